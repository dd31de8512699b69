// SPDX-License-Identifier: Apache-2.0
//  `thalweg nexmark run`: one query, measured or checked.

import ArgumentParser
import Thalweg
import ThalwegNexmark

struct NexmarkRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a Nexmark query.",
        discussion: """
            Without --golden the rows are dropped and what the run cost is printed. With it the final table is \
            written, one row per line, sorted by byte: the form of the golden results. The result of q12 depends \
            on processing time, so it is another one each time.
            """)

    @Option(help: "One of \(NexmarkQueries.names).")
    var query: String

    @Option(help: "JSON lines to read.")
    var input: String?

    // A number below 0 begins like an option: it is to be refused as what it is.
    @Option(parsing: .unconditional, help: "How many events to generate.")
    var events: Int64?

    @Option(parsing: .unconditional, help: "The seed of the generated events.")
    var seed: Int64 = 42

    @Option(name: [.long, .short], help: "The number of subtasks of each step.")
    var parallelism = 1

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("An engine setting, such as batch-capacity=256.", valueName: "key=value"))
    var assignments: [String] = []

    @Option(help: "Write the final table to this file.")
    var golden: String?

    @Option(
        help: ArgumentHelp(
            "Write the rows to files in this directory, one row per line, exactly once. Rows of a table with a key "
                + "come as changes: the last row of a key, in the order of the files' names, is the one that counts.",
            valueName: "dir"))
    var sink: String?

    @OptionGroup(title: "Memory")
    var memory: MemoryArguments

    @OptionGroup(title: "Checkpoints and stops")
    var checkpoints: CheckpointArguments

    @Flag(help: "Generate every field of every event, also those that the query does not read.")
    var fullRows = false

    @Flag(help: "Print what the run cost as a JSON object.")
    var json = false

    func validate() throws {
        guard (input == nil) != (events == nil) else { throw ValidationError("give either --input or --events") }
        for (name, value) in [("--input", input), ("--golden", golden), ("--sink", sink)] where value?.isEmpty == true {
            throw ValidationError("\(name) is empty: name a place, or leave it out")
        }
        if let events, events < 0 { throw ValidationError("--events must not be negative, not \(events)") }
        if golden != nil && sink != nil { throw ValidationError("give either --golden or --sink") }
        if golden != nil && checkpoints.from != nil {
            throw ValidationError("--golden shows whole runs only: with --from use --sink")
        }
        if fullRows && input != nil { throw ValidationError("--full-rows goes with --events") }
        try Usage.check {
            _ = try NexmarkQueries.named(query)
            try settings().validate()
        }
    }

    private func settings() throws -> ExecutionSettings {
        var settings = ExecutionSettings()
        settings.parallelism = parallelism
        for assignment in assignments { try settings.set(assignment) }
        settings.jobName = "nexmark-\(query)"
        try memory.apply(to: &settings)
        try checkpoints.apply(to: &settings)
        return settings
    }

    func run() async throws {
        let query = try NexmarkQueries.named(query)
        let input =
            input.map { NexmarkInput.files($0) }
            ?? .generator(events: events ?? 0, seed: seed, fullRows: fullRows)
        let file = try golden.map { try OutputFile($0) }
        let result = NexmarkResult()
        let env = StreamEnvironment(settings: try settings())
        let output: NexmarkOutput = sink.map { .files($0) } ?? (file == nil ? .blackHole : .result(result))
        try query.build(input, to: output, in: env)
        let summary = try await RunSummary.run(self.query, in: env, stopping: checkpoints.stopPolicy)
        if let file {
            for row in try result.table.sortedRows() { try file.write(Array((row + "\n").utf8)) }
            try file.close()
        }
        if json { print(summary.json) } else if file == nil { print(summary.line) }
    }
}
