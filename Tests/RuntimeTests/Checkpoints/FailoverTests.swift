// SPDX-License-Identifier: Apache-2.0
//  Jobs that fail and start again by themselves commit everything once.

import Testing
import Thalweg
import ThalwegTesting

@Suite struct FailoverTests {
    @Test(arguments: 0..<12 as Range<UInt64>)
    func failuresLoseAndDoubleNothing(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        var job = CountingJob()
        job.parallelism = [1, 2, 3][Int(seed % 3)]
        job.isUnaligned = seed % 2 == 1
        let moments = (0..<4).map { _ in Int.random(in: 1...4_000, using: &random) }
        job.mishaps = Mishaps(at: Set(moments))
        let collected = Collected<CountingJob.Row>()
        let execution = try job.build(collected).makeExecution()
        try await execution.run(on: CountingJob.scheduler(seed))
        #expect(tally(collected.elements) == job.expected)
        #expect(execution.checkpoints.completed.value > 3)
        // Two failures may share a restart.
        let failovers = execution.checkpoints.failovers.value
        #expect(failovers > 0 && failovers <= 4 - job.mishaps.left)
    }

    @Test(arguments: [false, true])
    func onThreadsToo(_ isUnaligned: Bool) async throws {
        var job = CountingJob()
        job.numbers = 60_000
        job.interval = 3
        job.isUnaligned = isUnaligned
        job.mishaps = Mishaps(at: [9_000, 40_000, 75_000])
        let collected = Collected<CountingJob.Row>()
        let execution = try job.build(collected).makeExecution()
        try await execution.run(on: WorkerPool(workers: 2))
        #expect(tally(collected.elements) == job.expected)
        #expect(execution.checkpoints.failovers.value >= 1)
    }

    /// Pipelines without an exchange are regions of their own (A1.1).
    @Test func onlyTheFailedPipelineStartsAgain() async throws {
        let env = StreamEnvironment()
        env.settings.parallelism = 8
        env.settings.batchCapacity = 16
        env.settings.restart = .fixedDelay(attempts: 3, delay: 5)
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: MemoryFileSystem())
        options.settings.interval = 20
        env.settings.checkpoints = options
        let mishaps = Mishaps(at: [3_000])
        let collected = Collected<Int64>()
        env.read(GeneratedSource(0..<8_000) { $0 })
            .map { number in
                if number % 8 == 3 { for _ in 0..<8 { try mishaps.pass() } }
                return number
            }
            .write(to: .collect(collected, visible: .whenCommitted))
        let execution = try env.makeExecution()
        try await execution.run(on: CountingJob.scheduler(7))
        #expect(mishaps.left == 0)
        #expect(collected.elements.sorted() == Array(0..<8_000))
        #expect(execution.checkpoints.tasksRestarted.value == 1)
        #expect(execution.checkpoints.failovers.value == 1)
    }

    /// The limit counts each task by itself (A1.8).
    @Test func theLimitIsPerTask() async throws {
        func run(_ failures: Int, of subtask: Int64) async throws -> Int {
            let env = StreamEnvironment()
            env.settings.parallelism = 16
            env.settings.batchCapacity = 8
            env.settings.restart = .fixedDelay(attempts: 1000, delay: 1)
            env.settings.failuresPerTaskMax = 3
            var options = CheckpointOptions(directory: "checkpoints", fileSystem: MemoryFileSystem())
            options.settings.interval = 20
            env.settings.checkpoints = options
            let others = (0..<16).map { index in
                Int64(index) == subtask ? Mishaps(at: Set(1...max(1, failures))) : Mishaps(at: [1, 2])
            }
            let collected = Collected<Int64>()
            env.read(GeneratedSource(0..<1_600) { $0 })
                .map { number in
                    if number / 16 == 50 { try others[Int(number % 16)].pass() }
                    return number
                }
                .write(to: .collect(collected, visible: .whenCommitted))
            let execution = try env.makeExecution()
            try await execution.run(on: CountingJob.scheduler(1))
            #expect(collected.elements.sorted() == Array(0..<1_600))
            return execution.checkpoints.failovers.value
        }
        #expect(try await run(2, of: 5) == 32)
        do {
            _ = try await run(4, of: 5)
            Issue.record("the fourth failure of one task has to end the job")
        } catch let error as ThalwegError {
            #expect("\(error)".contains("task 0.5"), "\(error)")
        }
    }

    @Test func withoutCheckpointsTheFirstFailureEndsTheJob() async throws {
        let env = StreamEnvironment()
        let mishaps = Mishaps(at: [10])
        let collected = Collected<Int64>()
        env.read(GeneratedSource(0..<100) { $0 })
            .map { number in
                try mishaps.pass()
                return number
            }
            .write(to: .collect(collected, visible: .whenCommitted))
        await #expect(throws: ThalwegError.self) { try await env.execute(on: StepScheduler(seed: 1)) }
        #expect(collected.count == 0)
    }
}
