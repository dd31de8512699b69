// SPDX-License-Identifier: Apache-2.0
//  What fails while a job starts again counts as one more failure; what does not return ends the job.

import Dispatch
import Synchronization
import Testing
import Thalweg
import ThalwegTesting

/// A server that is away for a while.
private final class Server: Sendable {
    struct State {
        var commitsToFail = 0
        var opensToFail: Set<Int> = []
        var kind = ThalwegError.Kind.retry
        var opens = 0
        /// Whose turn it is, if somebody watches, and in whose turns output was published or given up.
        var turn: StepTurn?
        var commits: [StepTurn?] = []
        var aborts: [StepTurn?] = []
        var batches: [Int64: [Int64]] = [:]
    }
    let state = Guarded(State())

    var numbers: [Int64] { state.withLock { $0.batches.values.flatMap(\.self).sorted() } }
}

private struct ServerSink: Sink {
    struct Batch: Codable, Sendable { var checkpoint: Int64, numbers: [Int64] }
    let kind = "server"
    let server: Server

    final class Writer: SinkWriter {
        typealias Committable = ServerSink.Batch
        typealias State = NoWriterState
        var waiting: [Int64] = []
        func write(_ batch: Thalweg.Batch<Int64>) throws {
            for index in 0..<batch.count { waiting.append(batch.rows[index]) }
        }
        func prepare(_ request: PrepareRequest) -> PreparedOutput<ServerSink.Batch, NoWriterState> {
            defer { waiting = [] }
            return waiting.isEmpty
                ? PreparedOutput()
                : PreparedOutput(committables: [ServerSink.Batch(checkpoint: request.checkpoint, numbers: waiting)])
        }
    }

    func makeWriter(_ context: SinkContext) throws -> Writer {
        let error = server.state.withLock { state -> ThalwegError? in
            state.opens += 1
            return state.opensToFail.contains(state.opens) ? ThalwegError(state.kind, "the server is away") : nil
        }
        if let error { throw error }
        return Writer()
    }

    func commit(_ committables: [Batch]) throws {
        try server.state.withLock { state in
            if state.commitsToFail > 0 {
                state.commitsToFail -= 1
                throw ThalwegError(.retry, "the server is away", hint: "wait")
            }
            state.commits.append(state.turn)
            for batch in committables { state.batches[batch.checkpoint] = batch.numbers }
        }
    }

    func abort(_ committables: [Batch]) { server.state.withLock { $0.aborts.append($0.turn) } }
}

@Suite struct RestartAgainTests {
    private func execution(
        _ server: Server, mishaps: Mishaps = Mishaps(at: []), attempts: Int = 1000, perTask: Int? = nil,
        interval: Int64 = 20
    ) throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.batchCapacity = 16
        env.settings.restart = .fixedDelay(attempts: attempts, delay: 1)
        env.settings.failuresPerTaskMax = perTask
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: MemoryFileSystem())
        options.settings.interval = interval
        options.settings.concurrentMax = interval < 20 ? 3 : 1
        env.settings.checkpoints = options
        env.read(GeneratedSource(0..<1_000) { $0 }, name: "numbers")
            .map { (number: Int64) in
                try mishaps.pass()
                return number
            }
            .write(to: ServerSink(server: server), name: "server")
        return try env.makeExecution()
    }

    @Test(arguments: [0, 1, 2, 5])
    func aServerThatIsAwayForSomeCommits(_ count: Int) async throws {
        let server = Server()
        server.state.withLock { $0.commitsToFail = count }
        let execution = try execution(server)
        try await execution.run(on: CountingJob.scheduler(1))
        #expect(server.numbers == Array(0..<1_000))
        #expect(execution.checkpoints.failovers.value == min(count, 1))
    }

    @Test(arguments: [[2], [2, 3, 4]])
    func aServerThatIsAwayWhenATaskStartsAgain(_ opens: Set<Int>) async throws {
        let server = Server()
        server.state.withLock { $0.opensToFail = opens }
        let execution = try execution(server, mishaps: Mishaps(at: [500]))
        try await execution.run(on: CountingJob.scheduler(1))
        #expect(server.numbers == Array(0..<1_000))
        #expect(server.state.withLock { $0.opens } == opens.count + 2)
    }

    /// Whose turn it is.
    private final class Turns: StepObserver {
        let wantsNotes = false
        let server: Server

        init(_ server: Server) { self.server = server }

        func willTake(_ turn: StepTurn) -> StepDecision {
            server.state.withLock { $0.turn = turn }
            return .go
        }
        func didTake(_ turn: StepTurn, _ result: PollResult) { server.state.withLock { $0.turn = nil } }
        func note(_ text: String) {}
    }

    /// A server may take its time to give something up: neither tasks nor the master wait for it.
    @Test func whatIsGivenUpIsDoneInTheBackground() async throws {
        var turns: [StepTurn?] = []
        for seed in 0..<20 as Range<UInt64> {
            let server = Server()
            let mishaps = Mishaps(at: [200, 500, 900])
            let execution = try execution(server, mishaps: mishaps, interval: 2)
            let scheduler = StepScheduler(
                seed: seed, afterStep: { $0.advance(to: $0.now + 1) }, observer: Turns(server))
            try await execution.run(on: scheduler)
            #expect(server.numbers == Array(0..<1_000), "seed \(seed)")
            server.state.withLock { state in
                turns += state.aborts
                // What a checkpoint has prepared is published again before tasks begin; else nobody waits.
                #expect(Set(state.commits.map { $0 ?? .background }).isSubset(of: [.background, .master]))
            }
        }
        // What is left when the job has ended is done in no turn.
        #expect(Set(turns.map { "\($0 ?? .background)" }) == ["background"])
    }

    /// Each counts: the strategy and the limit of each task put an end to it.
    @Test func eachFailureCounts() async throws {
        for (attempts, perTask) in [(3, nil), (1000, 3)] as [(Int, Int?)] {
            let server = Server()
            server.state.withLock { $0.opensToFail = Set(2...100) }
            let execution = try execution(server, mishaps: Mishaps(at: [500]), attempts: attempts, perTask: perTask)
            let error = await #expect(throws: ThalwegError.self) {
                try await execution.run(on: CountingJob.scheduler(1))
            }
            #expect(error?.primary == "the job has failed for good", "\(String(describing: error))")
            // The first start, and three more.
            #expect(server.state.withLock { $0.opens } == 4)
        }
    }

    /// What no restart can mend ends the job at once, as elsewhere.
    @Test func whatCannotBeMendedEndsTheJob() async throws {
        let server = Server()
        server.state.withLock { state in
            state.opensToFail = [2]
            state.kind = .job
        }
        let execution = try execution(server, mishaps: Mishaps(at: [500]))
        let error = await #expect(throws: ThalwegError.self) { try await execution.run(on: CountingJob.scheduler(1)) }
        #expect(error?.primary == "the server is away" && server.state.withLock { $0.opens } == 2)
    }

    // MARK: What does not return

    /// A subtask does not return when its region is to start again: the job ends within the bound of a cancel, names
    /// the subtask, and answers who wants it to stop.
    @Test func aTaskThatDoesNotReturnEndsTheRestart() async throws {
        let env = StreamEnvironment()
        env.settings.parallelism = 2
        env.settings.batchCapacity = 16
        env.settings.restart = .fixedDelay(attempts: 10, delay: 1)
        env.settings.cancellationTimeout = .milliseconds(100)
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: MemoryFileSystem())
        options.settings.interval = 5
        env.settings.checkpoints = options
        try env.read(GeneratedSource(0..<1_000_000) { $0 }, name: "numbers").keyed { $0 % 7 }
            .aggregate(Count(), name: "counts") { $1 }
            .write(to: .collect(Collected<Int64>(), visible: .whenCommitted), name: "rows")
        let execution = try env.makeExecution()
        let clock = ManualClock()
        let phase = Mutex((isStuck: false, since: Int64(0)))
        let stop = Guarded<Task<SnapshotReport, any Error>?>(nil)
        let observer = Holdup { turn in
            guard case .task(let name, let subtask, _) = turn, execution.checkpoints.completed.value >= 2 else {
                return .go
            }
            let (fails, isStuck) = phase.withLock { phase in
                let fails = !phase.isStuck && name.hasPrefix("counts") && subtask == 0
                if fails { phase = (true, clock.now) }
                return (fails, phase.isStuck)
            }
            if fails {
                stop.withLock { $0 = Task { try await execution.stop() } }
                return .fail(Mishap(text: "beside one that is stuck"))
            }
            return isStuck && name.hasPrefix("counts") && subtask == 1 ? .skip : .go
        }
        let error = await #expect(throws: ThalwegError.self) {
            try await execution.run(
                on: StepScheduler(
                    seed: 1, clock: clock, afterStep: { $0.advance(to: $0.now + 1) }, observer: observer))
        }
        #expect(error?.detail?.contains("counts -> rows/1") == true, "\(String(describing: error))")
        #expect(clock.now - phase.withLock { $0.since } < 1_000)
        let wish = try #require(stop.withLock { $0 })
        await #expect(throws: ThalwegError.self) { try await wish.value }
        #expect(execution.notices.lines.last?.contains("counts -> rows/1: no return") == true)
    }

    /// It returns in time: the job goes on.
    @Test func aTaskThatReturnsInTimeDoesNot() async throws {
        var job = CountingJob()
        job.parallelism = 2
        job.mishaps = Mishaps(at: [1_500])
        let collected = Collected<CountingJob.Row>()
        let environment = try job.build(collected)
        // Nothing else happens meanwhile, so time would jump to any bound.
        environment.settings.cancellationTimeout = .seconds(Int64.max)
        let execution = try environment.makeExecution()
        let held = Mutex(0)
        let observer = Holdup { [mishaps = job.mishaps] turn in
            guard mishaps.left == 0, case .task(let name, 1, _) = turn, name.hasPrefix("counts") else { return .go }
            return held.withLock { held in
                held += 1
                return held < 200 ? .skip : .go
            }
        }
        try await execution.run(on: CountingJob.scheduler(3, observer))
        #expect(tally(collected.elements) == job.expected)
        #expect(execution.checkpoints.failovers.value == 1)
    }

    // MARK: Stops without checkpoints

    /// Two who stop a job at the same time are answered alike.
    @Test func twoDrainsAtOnce() async throws {
        let env = StreamEnvironment()
        let script = ManualScript<Int64>([[.emit([1, 2])]])
        env.read(ManualSource(script), name: "numbers").write(to: .blackHole())
        let execution = try env.makeExecution()
        let stops = (0..<2).map { _ in Task { try await execution.stop(.drain) } }
        let wishes = Mutex(0)
        let observer = Holdup(
            hear: { text in if text.hasPrefix("a wish") { wishes.withLock { $0 += 1 } } },
            decide: { turn in
                // Nothing moves before both have said so.
                if case .task = turn, wishes.withLock({ $0 }) < 2 { return .skip }
                return .go
            })
        let outcome = try await execution.run(on: StepScheduler(seed: 1, observer: observer))
        for stop in stops { #expect(outcome == .stopped(try await stop.value)) }
    }
}
