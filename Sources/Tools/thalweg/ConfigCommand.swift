// SPDX-License-Identifier: Apache-2.0
//  `thalweg config explain`: what options mean, and where each figure comes from.

import ArgumentParser
import Foundation
import Thalweg

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Look at settings.", subcommands: [ConfigExplainCommand.self])
}

struct ConfigExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Show how the memory of a process is divided, and why.",
        discussion: "The same options given to a job have the same effect.")

    /// Whose defaults hold.
    enum Defaults: String, ExpressibleByArgument, CaseIterable { case thalweg, flink }

    @Option(help: "The memory of the process: 256MiB, 2g.")
    var memory: MemorySize?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "A memory option, such as taskmanager.memory.managed.size=64m.", valueName: "key=value"))
    var assignments: [String] = []

    @Option(help: "The defaults: thalweg, or flink to see what the options mean there.")
    var defaults = Defaults.thalweg

    @Flag(help: "Print a JSON object.")
    var json = false

    /// The plan as JSON shows it.
    private struct Explanation: Encodable {
        let processBytes: Int
        let flinkBytes: Int
        let parts: [MemoryPlan.Part]
        let notes: [String]
    }

    func run() throws {
        let plan = try Usage.check {
            var settings = ExecutionSettings()
            for assignment in assignments { try settings.set(assignment) }
            try MemoryArguments.setProcess(memory, in: &settings)
            return try MemoryPlan(
                settings.memory?.configuration ?? MemoryConfiguration(),
                defaults: defaults == .flink ? .flink : .thalweg)
        }
        guard json else { return print(plan.text, terminator: "") }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let explanation = Explanation(
            processBytes: plan.processBytes, flinkBytes: plan.flinkBytes, parts: plan.parts, notes: plan.notes)
        print(String(decoding: try encoder.encode(explanation), as: UTF8.self))
    }
}
