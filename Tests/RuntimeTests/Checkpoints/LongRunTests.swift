// SPDX-License-Identifier: Apache-2.0
//  What a job remembers does not grow with the time it runs; what it must not forget it keeps.

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@testable import ThalwegRuntime

@Suite struct LongRunTests {
    private struct NoBackground: BackgroundExecutor {
        func submit(_ work: @escaping @Sendable () -> Void) { work() }
    }

    /// However often it has been called, a call is one call: this one would run out of stack.
    @Test func wakesOfTheMaster() {
        let wake = MasterWake()
        let count = Mutex(0)
        wake.set { count.withLock { $0 += 1 } }
        for _ in 0..<100_000 { wake() }
        #expect(count.withLock { $0 } == 100_000)
    }

    private final class Token: Sendable {
        func passed(_ number: Int64) -> Int64 { number }
    }

    /// Runs a job whose functions hold an object, and lets go of both.
    private func tokenOfAJob(on scheduler: any TaskScheduler, failures: Set<Int>) async throws -> () -> Token? {
        let (token, mishaps) = (Token(), Mishaps(at: failures))
        let env = StreamEnvironment()
        env.settings.parallelism = 2
        env.settings.restart = .fixedDelay(attempts: 10, delay: 1)
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: MemoryFileSystem())
        options.settings.interval = 10
        env.settings.checkpoints = options
        env.settings.state.budgetBytes = 64 << 10
        try env.read(GeneratedSource(0..<2_000) { token.passed($0) }, name: "numbers").keyed { $0 % 500 }
            .aggregate(Count(), name: "counts") { $1 }
            .map {
                try mishaps.pass()
                return token.passed($0)
            }
            .write(to: .collect(Collected<Int64>(), visible: .whenCommitted), name: "rows")
        try await env.makeExecution().run(on: scheduler)
        #expect(mishaps.left == 0)
        return { [weak token] in token }
    }

    /// Whoever runs one job after another has no more memory in use for it.
    @Test(arguments: [[], [700]] as [Set<Int>])
    func aJobThatHasEndedIsForgotten(_ failures: Set<Int>) async throws {
        let step = StepScheduler(seed: 1, afterStep: { $0.advance(to: $0.now + 1) }, observer: Holdup { _ in .go })
        let stepped = try await tokenOfAJob(on: step, failures: failures)
        #expect(stepped() == nil)
        // Threads of the pool may still be on their way out.
        let pooled = try await tokenOfAJob(on: WorkerPool(workers: 2), failures: failures)
        for _ in 0..<10_000 where pooled() != nil { try await Task.sleep(for: .milliseconds(1)) }
        #expect(pooled() == nil)
    }

    @Test func givenUpCheckpoints() {
        let link = JobLink(
            jobName: "job", maxParallelism: 8, store: nil, leases: RunLeases(), rowPlace: nil,
            background: NoBackground(), nanoseconds: { 0 },
            checkpoints: CheckpointMetrics(), notices: JobNotices(), wakeMaster: {})
        for checkpoint in 1...10_000 as ClosedRange<Int64> {
            link.abort(checkpoint: checkpoint)
            #expect(link.isAborted(checkpoint))
        }
        #expect(link.isAborted(10_000 - Int64(JobLink.abortedMax) + 1))
        #expect((1...8_000).allSatisfy { !link.isAborted($0) })
    }

    @Test func filesOfEnumerators() throws {
        let files = SourceFiles()
        files.add(.failure(Mishap()), to: 7)
        files.forget(7)
        #expect(try files.take(7).isEmpty)
    }

    /// A subtask that starts again is woken once, not once for every attempt it has had.
    @Test func wakersOfAlignmentGroups() {
        let groups = AlignmentGroups()
        let wakes = Mutex<[Int]>([])
        for attempt in 0..<100 {
            for subtask in 0..<2 {
                groups.join("g", drift: .seconds(1), as: .init(node: 0, subtask: subtask)) {
                    wakes.withLock { $0.append(attempt * 10 + subtask) }
                }
            }
        }
        let member = AlignmentGroups.Member(node: 0, subtask: 0, split: 0)
        _ = groups.report(Watermark(EventTime(milliseconds: 5)), of: member, in: "g")
        _ = groups.report(Watermark(EventTime(milliseconds: 9)), of: member, in: "g")
        #expect(wakes.withLock { $0 } == [990, 991])
    }

    /// A sink whose commit fails once, beside one whose output lives in this process only.
    private struct FailingOnce: Sink {
        let kind = "failing-once"
        let mishaps: Mishaps

        final class Writer: SinkWriter {
            var count: Int64 = 0
            func write(_ batch: Batch<Int64>) { count += Int64(batch.count) }
            func prepare(_ request: PrepareRequest) -> PreparedOutput<Int64, NoWriterState> {
                defer { count = 0 }
                return PreparedOutput(committables: count == 0 ? [] : [count])
            }
        }

        func makeWriter(_ context: SinkContext) -> Writer { Writer() }
        func commit(_ committables: [Int64]) throws { try mishaps.pass() }
    }

    @Test(arguments: 1...4)
    func whatIsPublishedInThisProcessOutlivesAFailedCommit(_ moment: Int) async throws {
        let env = StreamEnvironment()
        env.settings.batchCapacity = 16
        env.settings.restart = .fixedDelay(attempts: 10, delay: 1)
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: MemoryFileSystem())
        options.settings.interval = 20
        env.settings.checkpoints = options
        let mishaps = Mishaps(at: [moment])
        let collected = Collected<Int64>()
        let numbers = env.read(GeneratedSource(0..<2_000) { $0 })
        numbers.write(to: FailingOnce(mishaps: mishaps))
        numbers.write(to: .collect(collected, visible: .whenCommitted))
        let execution = try env.makeExecution()
        try await execution.run(on: CountingJob.scheduler(UInt64(moment)))
        #expect(mishaps.left == 0)
        #expect(collected.elements.sorted() == Array(0..<2_000))
    }

    /// A task fails after the sources were told to end, and there is nothing to go back to but the beginning: the job
    /// begins again, and whoever wanted the stop is told.
    @Test(.timeLimit(.minutes(30)))
    func aFailureDuringADrainWithoutCheckpoints() async throws {
        let env = StreamEnvironment()
        env.settings.restart = .fixedDelay(attempts: 3, delay: 1)
        env.settings.parallelism = 2
        let script = ManualScript<Int64>([[.emit([1, 2])], [.emit([3])]])
        let collected = Collected<Int64>()
        env.read(ManualSource(script, boundedness: .unbounded)).map { $0 }
            .write(to: .collect(collected, visible: .whenCommitted))
        let execution = try env.makeExecution()
        let state = Mutex((isDraining: false, hasFailed: false))
        let observer = Holdup(
            hear: { text in if text == "a wish: drain" { state.withLock { $0.isDraining = true } } },
            decide: { turn in
                guard case .task(_, 1, _) = turn else { return .go }
                let fails = state.withLock { state in
                    guard state.isDraining, !state.hasFailed else { return false }
                    state.hasFailed = true
                    return true
                }
                return fails ? .fail(Mishap()) : .go
            })
        let run = Task { try await execution.run(on: CountingJob.scheduler(1, observer)) }
        while execution.metrics.total(of: 1, \.recordsIn) < 3 { await Task.yield() }
        let error = await #expect(throws: ThalwegError.self) { try await execution.stop(.drain) }
        #expect(error?.kind == .retry, "\(error as Any)")
        while execution.metrics.total(of: 1, \.recordsIn) < 6 { await Task.yield() }
        script.endAll()
        guard case .finished = try await run.value else {
            Issue.record("the job was drained after all")
            return
        }
        #expect(collected.elements.sorted() == [1, 2, 3])
    }
}
