// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check stop`: a job with much state that stops soon after its last checkpoint (45.d2).

import ArgumentParser
import Thalweg

/// Compares the time that a stop takes after 1 % of the rows has changed with that of a checkpoint of as much, and with
/// that of a savepoint. Fails when a limit is missed.
struct StopCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Measure how long a job with much state takes to stop.")

    @Option(help: "How many keys the job has, of 58 bytes each that cannot be compressed.")
    var keys: Int64 = 10_000_000
    @Option(help: "Milliseconds between checkpoints.") var interval: Int64 = 5000
    @Option(help: "The directory for checkpoints.") var directory = "stop-measured"

    private struct Keep: KeyedProcessFunction {
        @State var row: ValueState<TiersCheck.Increment.Row>

        init() { _row = State(wrappedValue: ValueState()) }

        mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Int64>) {
            row.value = TiersCheck.Increment.Row(number &+ (row.value?.first ?? 0))
        }
    }

    func run() async throws {
        let env = StreamEnvironment()
        env.settings.checkpoints = CheckpointOptions(directory: directory)
        env.settings.checkpoints?.settings.interval = interval
        let (numbers, feed) = AsyncStream.makeStream(of: [Int64].self, bufferingPolicy: .unbounded)
        try env.read(.async(numbers), name: "keys")
            .flatMap { (numbers, out: Collector<Int64>) in for number in numbers { out.emit(number) } }
            .keyed { $0 }.process(Keep(), name: "rows").write(to: .blackHole())
        let execution = try env.makeExecution()
        guard let node = execution.graph.streamGraph.nodes.first(where: { $0.name == "rows" })?.id else { return }
        let job = Task { try await execution.run() }
        var sent = 0
        func send(_ numbers: some Sequence<Int64>) async throws {
            var chunk: [Int64] = []
            for number in numbers {
                chunk.append(number)
                sent += 1
                if chunk.count == 8192 {
                    feed.yield(chunk)
                    chunk = []
                    // What is sent waits in memory.
                    while sent - received() > 1 << 20 { try await Task.sleep(for: .milliseconds(1)) }
                }
            }
            feed.yield(chunk)
            while received() < sent { try await Task.sleep(for: .milliseconds(1)) }
        }
        func received() -> Int { execution.metrics.subtasks(of: node).reduce(0) { $0 + $1.recordsIn.value } }
        func nextCheckpoint() async throws -> Double {
            // The one under way may have begun before what was sent last.
            let wanted = execution.checkpoints.completed.value + 2
            while execution.checkpoints.completed.value < wanted { try await Task.sleep(for: .milliseconds(5)) }
            return Double(execution.checkpoints.lastDurationMillis.value) / 1000
        }
        // Spread over the rows.
        func changes(_ round: Int64) -> some Sequence<Int64> {
            (0..<keys / 100).lazy.map { ($0 &* 100 &+ round) % keys }
        }
        try await send(0..<keys)
        _ = try await nextCheckpoint()
        let savepointStart = MonotonicTime.now
        _ = try await execution.savepoint()
        let savepoint = savepointStart.secondsSince
        var increments: [Double] = []
        for round in 1...3 as ClosedRange<Int64> {
            let completed = execution.checkpoints.completed.value
            try await send(changes(round))
            // The first one to end after all has come holds it, or the rest of it.
            while execution.checkpoints.completed.value < completed + 1 { try await Task.sleep(for: .milliseconds(5)) }
            increments.append(Double(execution.checkpoints.lastDurationMillis.value) / 1000)
        }
        _ = try await nextCheckpoint()
        try await send(changes(4))
        let start = MonotonicTime.now
        let report = try await execution.stop()
        let stop = start.secondsSince
        feed.finish()
        _ = try await job.value
        try LocalFileSystem().removeTree(directory)
        let increment = increments.max() ?? 0
        let holds = stop <= 2 * increment && stop <= savepoint / 10
        print(
            "45.d2  \(holds ? "holds " : "MISSED")  \(keys) keys, 1 % changed: a stop (\(report.kind.rawValue)) takes "
                + "\(rounded(stop)) s, a checkpoint \(rounded(increment)) s, a savepoint \(rounded(savepoint)) s")
        if !holds { throw ExitCode.failure }
    }

    private func rounded(_ number: Double) -> Double { (number * 1000).rounded() / 1000 }
}
