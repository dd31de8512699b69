// SPDX-License-Identifier: Apache-2.0
//  `thalweg state`: looks into snapshots, and makes changed copies of them.

import ArgumentParser
import Thalweg
import ThalwegSavepoint

struct StateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "state", abstract: "Look into snapshots, without the job that took them.",
        discussion: "A PATH is the directory of a snapshot, such as checkpoints/chk-7, or a directory of checkpoints, "
            + "whose newest is taken. Nothing is ever changed in place. Exit codes: 0, 1 when something failed, is "
            + "damaged or differs, 64 for wrong usage; validate has 2 and 3 of its own.",
        subcommands: [
            StateListCommand.self, StateShowCommand.self, StateSchemaCommand.self, StateReadCommand.self,
            StateVerifyCommand.self, StateDiffCommand.self, StateValidateCommand.self, StateExportCommand.self,
            StateSetCommand.self, StateDeleteCommand.self, StateTransformCommand.self, StateRenameCommand.self,
            StateReshardCommand.self, StateBootstrapCommand.self, StateOwnCommand.self, StatePruneCommand.self,
        ])
}

/// The snapshot that a command looks into.
struct SnapshotPath: ParsableArguments {
    @Argument(help: "A snapshot.")
    var path: String

    func open() throws -> SavepointReader { try SavepointReader(path) }
}

/// Whether a command prints for people or for programs.
struct OutputStyle: ParsableArguments {
    @Flag(help: "Print JSON objects, one a line.")
    var json = false
}

/// Names one state.
struct StateName: ParsableArguments {
    @Option(name: .customLong("operator"), help: "The operator's name.")
    var operatorName: String
    @Option(help: "The state's name.")
    var state: String
}

/// Lines in columns.
struct TextTable {
    private var rows: [[String]]

    init(_ header: [String]) { rows = [header] }

    mutating func add(_ row: [String]) { rows.append(row) }

    func print() {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        for row in rows {
            let cells = zip(row, widths).map { $0.0.padding($0.1) }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            Swift.print(line)
        }
    }
}

extension String {
    fileprivate func padding(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

extension DynamicValue {
    static func object(_ fields: [(String, DynamicValue)]) -> DynamicValue {
        .record(fields.map { Field($0.0, $0.1) })
    }

    static func number(_ value: some BinaryInteger) -> DynamicValue { .integer(Int64(clamping: value)) }
}

extension SnapshotMetadata {
    /// When it was triggered.
    var time: String { EventTime(milliseconds: timeMilliseconds).description }

    /// The largest number of subtasks.
    var parallelism: Int { operators.map(\.parallelism).max() ?? 0 }
}
