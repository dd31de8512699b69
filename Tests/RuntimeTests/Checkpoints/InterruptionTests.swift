// SPDX-License-Identifier: Apache-2.0
//  Failures, cancels and stops at the moments at which something is still on its way to the disk.

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct InterruptionTests {
    /// A savepoint commits nothing: its output is what the job goes on from.
    @Test func aSavepointSurvivesACancel() async throws {
        let disk = MemoryFileSystem()
        func execution(_ script: ManualScript<String>, from: String?) throws -> JobExecution {
            let env = StreamEnvironment()
            env.settings.checkpoints = CheckpointOptions(directory: "checkpoints", fileSystem: disk, from: from)
            env.read(ManualSource(script), name: "lines")
                .write(to: FileSink("out/", format: .lines, fileSystem: disk), name: "parts")
            return try env.makeExecution()
        }
        let first = try execution(ManualScript([[.emit(["a", "b"])]]), from: nil)
        let run = Task { try await first.run(on: StepScheduler(seed: 5)) }
        while first.metrics.total(of: 1, \.recordsIn) < 2 { await Task.yield() }
        let savepoint = try await first.savepoint()
        first.cancel()
        await #expect(throws: CancellationError.self) { try await run.value }
        let second = try execution(ManualScript([[.emit(["a", "b"]), .end]]), from: savepoint.path)
        try await second.run(on: StepScheduler(seed: 6))
        let parts = disk.paths.filter { $0.hasPrefix("out/part-") }.map { disk.text($0) ?? "" }
        #expect(parts.first == "a\nb\n")
    }

    /// The metadata of a checkpoint comes to the disk after the job was cancelled: its output must still be there.
    @Test func aCancelWhileMetadataIsWritten() async throws {
        var job = PartsJob()
        let execution = try job.makeExecution()
        let acknowledged = Mutex(0)
        let observer = Holdup(
            hear: { text in
                guard text.contains("acknowledged") else { return }
                if acknowledged.withLock({
                    $0 += 1; return $0 == 3
                }) {
                    execution.cancel()
                }
            },
            decide: { turn in turn == .background && acknowledged.withLock { $0 } >= 3 ? .skip : .go })
        await #expect(throws: CancellationError.self) {
            try await execution.run(on: CountingJob.scheduler(1, observer))
        }
        job.from = "latest"
        try await job.makeExecution().run(on: CountingJob.scheduler(2))
        #expect(job.published == job.expected)
    }

    /// The disk is slow: what failed attempts left in the background must not touch the files of new ones.
    @Test(arguments: 0..<2 as Range<UInt64>)
    func aSlowBackground(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        var job = PartsJob()
        job.parallelism = seed % 2 == 0 ? 1 : 2
        job.mishaps = Mishaps(at: Set((0..<6).map { _ in Int.random(in: 1...2_500, using: &random) }))
        let chance = Mutex(SeededRandom(seed: seed &+ 77))
        let observer = Holdup { turn in
            guard turn == .background else { return .go }
            return chance.withLock { Int.random(in: 0..<20, using: &$0) } > 0 ? .skip : .go
        }
        let execution = try job.makeExecution()
        try await execution.run(on: CountingJob.scheduler(seed, observer))
        #expect(job.published == job.expected)
    }

    /// A stop is given up before its barrier has come to every task: those it comes to later go on too.
    @Test func aLateBarrierOfAStopThatFailedHoldsUpNobody() async throws {
        var job = CountingJob()
        let disk = FaultyFileSystem(MemoryFileSystem(), DiskFaults())
        job.disk = disk
        job.interval = nil
        let collected = Collected<CountingJob.Row>()
        let execution = try job.build(collected).makeExecution()
        let state = Mutex((steps: 0, isStopping: false))
        let observer = Holdup(
            hear: { text in
                guard text.contains("declined") else { return }
                state.withLock { $0.isStopping = false }
            },
            decide: { turn in
                guard case .task(_, _, let isSource) = turn, !isSource else { return .go }
                return state.withLock { $0.isStopping } ? .skip : .go
            })
        let run = StepScheduler(
            seed: 3,
            afterStep: { clock in
                clock.advance(to: clock.now + 1)
                let begins = state.withLock { state in
                    state.steps += 1
                    if state.steps == 40 { state.isStopping = true }
                    return state.steps == 40
                }
                guard begins else { return }
                disk.faults.failsCreate = true
                Task {
                    _ = try? await execution.stop()
                    disk.faults.failsCreate = false
                }
            }, observer: observer)
        let outcome = try await execution.run(on: run)
        guard case .finished = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(tally(collected.elements) == job.expected)
    }

    /// Batches restored from an unaligned checkpoint are processed slowly, and the next barrier comes before the last.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func whatWasInFlightIsInTheNextCheckpointToo(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        var job = CountingJob()
        job.isUnaligned = true
        job.interval = 30
        job.numbers = 600
        job.mishaps = Mishaps(at: Set((0..<8).map { _ in Int.random(in: 1...1_200, using: &random) }))
        let chance = Mutex(SeededRandom(seed: seed &+ 5))
        let observer = Holdup { turn in
            guard case .task(_, _, let isSource) = turn, !isSource else { return .go }
            return chance.withLock { Int.random(in: 0..<4, using: &$0) } > 0 ? .skip : .go
        }
        let collected = Collected<CountingJob.Row>()
        let execution = try job.build(collected).makeExecution()
        try await execution.run(on: CountingJob.scheduler(seed, observer))
        #expect(tally(collected.elements) == job.expected)
        #expect(execution.checkpoints.failovers.value > 1)
    }

    /// Checkpoints follow one another as closely as can be, several are under way, and their barriers overtake: records
    /// move on all the same, and the checkpoints become complete.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func checkpointsWithoutAPause(_ seed: UInt64) async throws {
        var job = CountingJob()
        job.isUnaligned = true
        (job.interval, job.concurrentMax, job.numbers) = (2, 3, 1_000)
        let chance = Mutex(SeededRandom(seed: seed &+ 5))
        let observer = Holdup { turn in
            guard case .task(_, 0, let isSource) = turn, !isSource else { return .go }
            return chance.withLock { Int.random(in: 0..<6, using: &$0) } > 0 ? .skip : .go
        }
        let collected = Collected<CountingJob.Row>()
        let execution = try job.build(collected).makeExecution()
        try await execution.run(on: CountingJob.scheduler(seed, observer))
        #expect(tally(collected.elements) == job.expected)
        // Where nothing moves time jumps to the timeout of a checkpoint: some are given up.
        #expect(execution.checkpoints.completed.value > 5)
    }

    /// Where all tasks have their turns no checkpoint is given up for a newer one.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func checkpointsUnderWaySideBySide(_ seed: UInt64) async throws {
        var job = CountingJob()
        job.isUnaligned = true
        (job.interval, job.concurrentMax, job.numbers) = (2, 3, 1_000)
        let collected = Collected<CountingJob.Row>()
        let execution = try job.build(collected).makeExecution()
        try await execution.run(on: CountingJob.scheduler(seed, Holdup { _ in .go }))
        #expect(tally(collected.elements) == job.expected)
        #expect(execution.checkpoints.completed.value > 5 && execution.checkpoints.failed.value == 0)
    }

    /// The same, with failures from which the job goes back.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func checkpointsUnderWayAndFailures(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        var job = CountingJob()
        job.isUnaligned = true
        (job.interval, job.concurrentMax, job.numbers) = (3, 2, 600)
        job.mishaps = Mishaps(at: Set((0..<5).map { _ in Int.random(in: 1...900, using: &random) }))
        let chance = Mutex(SeededRandom(seed: seed &+ 9))
        let observer = Holdup { turn in
            guard case .task(_, _, let isSource) = turn, !isSource else { return .go }
            return chance.withLock { Int.random(in: 0..<3, using: &$0) } > 0 ? .skip : .go
        }
        let collected = Collected<CountingJob.Row>()
        try await job.build(collected).makeExecution().run(on: CountingJob.scheduler(seed, observer))
        #expect(tally(collected.elements) == job.expected)
    }

    /// A task fails while all of the job is about to be restarted: that restart takes it in.
    @Test func aFailureJoinsTheRestartOfTheWholeJob() async throws {
        var job = PartsJob()
        job.parallelism = 2
        job.toleratedFailures = 0
        let checkpoints = job.checkpoints
        let failsNext = Mutex(false)
        let observer = Holdup(
            hear: { text in
                failsNext.withLock { failsNext in
                    if text == "checkpoint 2: committed" { checkpoints.faults.failsCreate = true }
                    if text.contains("declined") && checkpoints.faults.failsCreate {
                        checkpoints.faults.failsCreate = false
                        failsNext = true
                    }
                }
            },
            decide: { turn in
                guard case .task(_, 1, _) = turn else { return .go }
                return failsNext.withLock { failsNext in
                    defer { failsNext = false }
                    return failsNext ? .fail(Mishap(text: "one more")) : .go
                }
            })
        let execution = try job.makeExecution()
        try await execution.run(on: CountingJob.scheduler(4, observer))
        #expect(job.published == job.expected)
        #expect(execution.checkpoints.failovers.value == 1)
    }
}
