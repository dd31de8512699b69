// SPDX-License-Identifier: Apache-2.0
//  `thalweg state diff A B`: what is different between two snapshots.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

struct StateDiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Compare two snapshots entry by entry; exit code 1 when they differ.")

    @Argument(help: "A snapshot.")
    var first: String
    @Argument(help: "Another one.")
    var second: String
    @Flag(help: "Print every entry that differs.")
    var entries = false
    @OptionGroup var style: OutputStyle

    func run() throws {
        let (first, second) = (try SavepointReader(first), try SavepointReader(second))
        let found = try first.differences(to: second) { state, difference in
            if entries { print(line(state, difference)) }
        }
        for state in found where style.json || !state.isNone { print(line(state)) }
        guard found.allSatisfy(\.isNone) else { throw ExitCode.failure }
        if !style.json { print("no differences") }
    }

    private func line(_ state: StateDifference) -> String {
        guard style.json else {
            let reason = state.reason.map { ": \($0)" } ?? ""
            return "\(state.operatorName) / \(state.name): \(state.added) added, \(state.removed) removed, "
                + "\(state.changed) changed\(reason)"
        }
        var fields: [(String, DynamicValue)] = [
            ("operator", .string(state.operatorName)), ("state", .string(state.name)),
            ("added", .number(state.added)), ("removed", .number(state.removed)), ("changed", .number(state.changed)),
        ]
        if let reason = state.reason { fields.append(("reason", .string(reason))) }
        return DynamicValue.object(fields).json
    }

    private func line(_ state: StateDescriptor, _ difference: EntryDifference) -> String {
        let name = "\(state.operatorName) / \(state.name)"
        let (what, values): (String, [(String, DynamicValue)]) =
            switch difference {
            case .added(let entry): ("added", [("to", entry.record)])
            case .removed(let entry): ("removed", [("from", entry.record)])
            case .changed(let from, let to): ("changed", [("from", from.record), ("to", to.record)])
            }
        guard style.json else { return "\(name): \(what) " + values.map(\.1.json).joined(separator: " to ") }
        return DynamicValue.object(
            [("operator", .string(state.operatorName)), ("state", .string(state.name)), ("what", .string(what))]
                + values
        ).json
    }
}
