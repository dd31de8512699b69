// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check failures`: a job that fails a thousand times leaves nothing behind in memory (49.d4).

import ArgumentParser
import Synchronization
import Thalweg

/// Runs a job whose task fails over and over, and looks at what the process occupies. Fails when it grows.
struct FailuresCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failures", abstract: "Measure whether failures of tasks leave memory behind.")

    @Option(help: "How often the task fails.") var failures = 1000
    @Option(help: "The directory for checkpoints.") var directory = "failures-measured"

    private final class Attempts: Sendable {
        let count = Atomic<Int>(0)
        let samples = Mutex<[Int]>([])
    }

    /// Counts per key; throws in the middle of each attempt but the last.
    private struct Faulty: KeyedProcessFunction {
        @State var count: ValueState<Int64>
        let attempts: Attempts
        let failures: Int
        private var records = 0

        init(_ attempts: Attempts, _ failures: Int) {
            _count = State(wrappedValue: ValueState())
            self.attempts = attempts
            self.failures = failures
        }

        mutating func process(_ item: Item, _ context: KeyedContext<Int64>, _ out: Collector<Pair>) throws {
            records += 1
            if records == 20_000, attempts.count.load(ordering: .relaxed) < failures {
                attempts.count.add(1, ordering: .relaxed)
                attempts.samples.withLock { $0.append(ProcessUsage.residentBytes()) }
                throw ThalwegError(.task, "a planned failure")
            }
            let next = (count.value ?? 0) + 1
            count.value = next
            out.emit(Pair(item.key, next))
        }
    }

    func run() async throws {
        let attempts = Attempts()
        let env = StreamEnvironment()
        env.settings.restart = .fixedDelay(attempts: failures + 1, delay: 0)
        env.settings.checkpoints = CheckpointOptions(directory: directory)
        env.settings.checkpoints?.settings.interval = 50
        env.settings.memory = MemorySettings(MemoryConfiguration(processBytes: 256 << 20))
        try Item.stream(events: 40_000_000, keys: 10_000, in: env).keyed(by: \.key)
            .process(Faulty(attempts, failures)).write(to: .blackHole())
        let execution = try env.makeExecution()
        try await execution.run()
        try LocalFileSystem().removeTree(directory)
        let samples = attempts.samples.withLock { $0 }
        // The first attempts fill what later ones use again.
        let settled = samples.dropFirst(samples.count / 10)
        let (early, late) = (
            settled.prefix(settled.count / 4).max() ?? 0, settled.suffix(settled.count / 4).max() ?? .max
        )
        let growth = Double(late) / Double(max(1, early)) - 1
        let left = execution.metrics.memory.stateBytes
        let holds = growth <= 0.05 && samples.count == failures && left == 0
        print(
            "49.d4  \(holds ? "holds " : "MISSED")  \(samples.count) failures: resident at most \(early >> 20) MiB in "
                + "the first quarter, \(late >> 20) MiB in the last; \(left) bytes of managed memory left in use")
        if !holds { throw ExitCode.failure }
    }
}
