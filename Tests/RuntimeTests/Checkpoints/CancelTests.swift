// SPDX-License-Identifier: Apache-2.0
//  A cancel ends a job within its bound, whatever its tasks do, and nothing is published after it (45.d5).

import Dispatch
import Synchronization
import Testing
import Thalweg
import ThalwegTesting

/// A place that a function of the user does not leave until it is told to.
private final class Trap: Sendable {
    private let gate = DispatchSemaphore(value: 0)
    private let count = Atomic<Int>(0)
    var held: Int { count.load(ordering: .acquiring) }

    func enter() {
        count.add(1, ordering: .acquiringAndReleasing)
        gate.wait()
        count.subtract(1, ordering: .acquiringAndReleasing)
    }
    func open() { gate.signal() }
}

@Suite struct CancelTests {
    /// Numbers, some of which never come back from the function called "stuck".
    private func execution(_ trap: Trap, _ disk: MemoryFileSystem, interval: Int64?) throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.parallelism = 2
        env.settings.batchCapacity = 16
        env.settings.cancellationTimeout = .milliseconds(50)
        if let interval {
            var options = CheckpointOptions(directory: "checkpoints", fileSystem: disk)
            options.settings.interval = interval
            env.settings.checkpoints = options
        }
        env.read(GeneratedSource(0..<1_000_000) { $0 }, name: "numbers")
            .map(name: "stuck") { number in
                if number == 50_001 { trap.enter() }
                return "\(number)"
            }
            .write(to: FileSink("out/", format: .lines, fileSystem: disk), name: "parts")
        return try env.makeExecution()
    }

    private func parts(_ disk: MemoryFileSystem) -> [String] { disk.paths.filter { $0.hasPrefix("out/part-") } }

    /// The time-out is that of the job's clock, which the test moves.
    @Test(arguments: [nil, 2])
    func endsWithoutATaskThatIsStuck(_ interval: Int64?) async throws {
        let (trap, disk, clock) = (Trap(), MemoryFileSystem(), ManualClock())
        defer { trap.open() }
        let execution = try execution(trap, disk, interval: interval)
        let isOver = Atomic<Bool>(false)
        let run = Task {
            defer { isOver.store(true, ordering: .releasing) }
            try await within { try await execution.run(on: WorkerPool(workers: 2, clock: clock)) }
        }
        while trap.held == 0 {
            clock.advance(by: .milliseconds(1))
            await Task.yield()
        }
        execution.cancel()
        while !isOver.load(ordering: .acquiring) {
            clock.advance(by: .milliseconds(1))
            await Task.yield()
        }
        // A commit that had begun may come to its end.
        let error = await #expect(throws: (any Error).self) { try await run.value }
        #expect(error is CancellationError, "\(String(describing: error))")
        let published = parts(disk)
        let notice = try #require(execution.notices.lines.last)
        #expect(notice.contains("numbers -> stuck -> parts/1"), "\(notice)")
        trap.open()
        while trap.held > 0 { await Task.yield() }
        #expect(parts(disk) == published)
        if interval == nil { #expect(published == []) }
    }

    /// The others have returned: only the task that is stuck is named.
    @Test func namesTheTaskThatIsStuck() async throws {
        let execution = try execution(Trap(), MemoryFileSystem(), interval: 2)
        let isStuck = Atomic<Bool>(false)
        let observer = Holdup { turn in
            if execution.checkpoints.completed.value >= 2, !isStuck.exchange(true, ordering: .relaxed) {
                execution.cancel()
            }
            if isStuck.load(ordering: .relaxed), case .task(_, subtask: 1, _) = turn { return .skip }
            return .go
        }
        await #expect(throws: CancellationError.self) {
            try await execution.run(on: CountingJob.scheduler(1, observer))
        }
        let notice = try #require(execution.notices.lines.last)
        #expect(notice.contains("without numbers -> stuck -> parts/1: no return"), "\(notice)")
    }

    /// All tasks return: the job names nobody.
    @Test func namesNobodyWhenAllReturn() async throws {
        let execution = try execution(Trap(), MemoryFileSystem(), interval: 2)
        let observer = Listener { text in if text == "checkpoint 2: complete" { execution.cancel() } }
        await #expect(throws: CancellationError.self) {
            try await execution.run(
                on: StepScheduler(seed: 1, afterStep: { $0.advance(to: $0.now + 1) }, observer: observer))
        }
        #expect(execution.notices.lines == [])
    }

    /// The checkpoint is complete when the cancel comes, and its output waits to be published: it goes on waiting, and
    /// a start from the checkpoint publishes it.
    @Test func nothingIsCommittedAfterACancel() async throws {
        let disk = MemoryFileSystem()
        func execution(from: String?) throws -> JobExecution {
            let env = StreamEnvironment()
            env.settings.batchCapacity = 16
            var options = CheckpointOptions(directory: "checkpoints", fileSystem: disk, from: from)
            options.settings.interval = 20
            env.settings.checkpoints = options
            env.read(GeneratedSource(0..<2_000) { "\($0)" }, name: "numbers")
                .write(to: FileSink("out/", format: .lines, fileSystem: disk), name: "parts")
            return try env.makeExecution()
        }
        let first = try execution(from: nil)
        let observer = Listener { text in if text == "checkpoint 3: complete" { first.cancel() } }
        await #expect(throws: CancellationError.self) {
            try await first.run(
                on: StepScheduler(seed: 1, afterStep: { $0.advance(to: $0.now + 1) }, observer: observer))
        }
        #expect(disk.paths.contains("checkpoints/chk-3/_metadata"))
        #expect(Set(parts(disk).map { $0.split(separator: "-")[1] }).count == 2, "\(parts(disk))")
        try await execution(from: "latest").run(on: CountingJob.scheduler(2))
        let lines = parts(disk).flatMap { (disk.text($0) ?? "").split(separator: "\n").map(String.init) }
        #expect(tally(lines) == tally((0..<2_000).map { "\($0)" }))
    }

    /// All is processed and waits to be published at once when the cancel comes: nothing is.
    @Test func withoutCheckpointsNothingIsPublishedAfterACancel() async throws {
        let disk = MemoryFileSystem()
        let env = StreamEnvironment()
        env.read(GeneratedSource(0..<100) { "\($0)" }, name: "numbers")
            .write(to: FileSink("out/", format: .lines, fileSystem: disk), name: "parts")
        let execution = try env.makeExecution()
        let observer = Listener { text in if text.contains("finished") { execution.cancel() } }
        await #expect(throws: CancellationError.self) {
            try await execution.run(on: StepScheduler(seed: 1, observer: observer))
        }
        #expect(disk.paths == [])
    }

    /// A signal may come before the job has begun.
    @Test func whatIsAskedBeforeTheBeginningIsDone() async throws {
        let cancelled = try execution(Trap(), MemoryFileSystem(), interval: nil)
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.run(on: StepScheduler(seed: 1)) }
        let env = StreamEnvironment()
        env.settings.checkpoints = CheckpointOptions(directory: "checkpoints", fileSystem: MemoryFileSystem())
        env.read(ManualSource(ManualScript<Int64>([[.emit([1])]]))).write(to: .blackHole())
        let stopped = try env.makeExecution()
        let stop = Task { try await stopped.stop() }
        // The wish may come before the run or after its beginning: both have to do.
        for _ in 0..<20 { await Task.yield() }
        let outcome = try await stopped.run(on: StepScheduler(seed: 1))
        #expect(outcome == .stopped(try await stop.value))
        await #expect(throws: ThalwegError.self) { try await stopped.stop() }
    }
}

/// Hears what a job's master is told.
private final class Listener: StepObserver {
    let wantsNotes = true
    private let hear: @Sendable (String) -> Void
    init(_ hear: @escaping @Sendable (String) -> Void) { self.hear = hear }
    func willTake(_ turn: StepTurn) -> StepDecision { .go }
    func didTake(_ turn: StepTurn, _ result: PollResult) {}
    func note(_ text: String) { hear(text) }
}
