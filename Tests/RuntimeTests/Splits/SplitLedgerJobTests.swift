// SPDX-License-Identifier: Apache-2.0
//  The engine sees to it that every checkpoint has every split once (27.d2).

import Testing
import Thalweg
import ThalwegTesting

@Suite struct SplitLedgerJobTests {
    private func execution(
        _ source: Tapes, _ output: Collected<Int64>, parallelism: Int = 2, tolerated: Int = 0,
        restart: RestartStrategy = .none, interval: Int64? = 15, from: String? = nil,
        disk: MemoryFileSystem = MemoryFileSystem()
    ) throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.restart = restart
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: disk, from: from)
        options.settings.interval = interval
        options.settings.toleratedFailures = tolerated
        env.settings.checkpoints = options
        env.read(source, name: "tapes").write(to: .collect(output, visible: .whenCommitted), name: "out")
        return try env.makeExecution()
    }

    /// What the engine says of each bug.
    private static let texts: [(TapeBug, String)] = [
        (.givesTwice, "split 'tape-0' is with reader"),
        (.enumeratorKeepsAll, "split 'tape-0' is in the states of the enumerator and of reader"),
        (.enumeratorLosesOne, "split 'tape-15' belongs to the enumerator, which does not have it in its state"),
        (.readerForgets, "belongs to reader"),
        (.readerKeepsFinished, "' is in the state of reader"),
        (.readerNamesTwice, "is twice in the state of reader"),
        (.readerNamesAnothers, "split 'tape-0' is in the states of reader 0 and of reader 1"),
    ]

    @Test(arguments: TapeBug.allCases, 0..<3 as Range<UInt64>)
    func plantedBugsAreFoundAtTheNextCheckpoint(_ bug: TapeBug, _ seed: UInt64) async throws {
        // The first tape is read all the while.
        var source = Tapes(lengths: [400] + Array(repeating: 9, count: 15), assignment: .pull)
        source.bug = bug
        let output = Collected<Int64>()
        let job = try execution(source, output)
        let error = await #expect(throws: ThalwegError.self) { try await job.run(on: CountingJob.scheduler(seed)) }
        let text = error.map { "\($0)" } ?? ""
        let expected = Self.texts.first { $0.0 == bug }?.1 ?? "?"
        #expect(text.contains("source \"tapes\": ") && text.contains(expected), "\(text)")
        // Nothing of it was published but for what good checkpoints cover.
        #expect(tally(output.elements).allSatisfy { $0.value == 1 })
        #expect(output.count == 0 || job.checkpoints.completed.value > 0)
    }

    /// A source that has lost count of its splits is defective, and no restart mends that: the job fails, however many
    /// failures are borne.
    @Test(arguments: [TapeBug.enumeratorLosesOne, .readerForgets, .readerKeepsFinished, .readerNamesTwice])
    func aDefectIsNotTriedAgain(_ bug: TapeBug) async throws {
        var source = Tapes(lengths: Array(repeating: 30, count: 16), assignment: .pull)
        source.bug = bug
        let output = Collected<Int64>()
        let job = try execution(
            source, output, tolerated: 1_000, restart: .fixedDelay(attempts: 1_000, delay: 1))
        let error = await #expect(throws: ThalwegError.self) { try await job.run(on: CountingJob.scheduler(3)) }
        #expect(error?.kind == .bug && error?.primary == "a checkpoint does not have every split once")
        #expect(job.checkpoints.failovers.value == 0)
        #expect(tally(output.elements).allSatisfy { $0.value == 1 })
    }

    /// 27.d2: two hundred failures of readers, also of some that have just been given back their splits, over a
    /// thousand splits.
    @Test(arguments: [FixedSplits<TapeSplit>.Assignment.pull, .push], [1, Int.max])
    func aThousandSplitsUnderTwoHundredFailures(
        _ assignment: FixedSplits<TapeSplit>.Assignment, _ openMax: Int
    ) async throws {
        var random = SeededRandom(seed: openMax == 1 ? 5 : 6)
        var moments: Set<Int> = []
        while moments.count < 200 { moments.insert(Int.random(in: 1...3_500, using: &random)) }
        var source = Tapes(lengths: Array(repeating: 2, count: 1_000), assignment: assignment, openMax: openMax)
        source.mishaps = Mishaps(at: moments)
        let output = Collected<Int64>()
        let job = try execution(source, output, parallelism: 4, restart: .fixedDelay(attempts: 10_000, delay: 1))
        try await within { try await job.run(on: CountingJob.scheduler(9)) }
        #expect(source.mishaps.left == 0)
        #expect(output.elements.sorted() == source.records)
        #expect(job.checkpoints.completed.value > 20)
        // A checkpoint that was refused would have restarted all four readers.
        #expect(job.checkpoints.tasksRestarted.value == 200)
    }

    /// What an enumerator decides for a subtask while it starts again comes to it once: what lies in its inbox is
    /// forgotten before its splits are dealt anew, in one go.
    @Test(arguments: [FixedSplits<TapeSplit>.Assignment.pull, .push])
    func splitsOfARestartedTaskComeOnce(_ assignment: FixedSplits<TapeSplit>.Assignment) throws {
        let source = Tapes(lengths: Array(repeating: 1, count: 6), assignment: assignment)
        let coordinator = try SourceCoordinator(
            source, SourceCoordinatorSeat(name: "tapes", parallelism: 2, restored: nil))
        var inboxes: [[String]] = [[], []]
        func deliver(_ action: CoordinatorAction) {
            switch action {
            case .assign(let split, let subtask, _): inboxes[subtask].append(split.id)
            case .forget(let subtask): inboxes[subtask] = []
            case .noMoreSplits, .callAgain: break
            }
        }
        try coordinator.start(deliver)
        if assignment == .pull { for subtask in [0, 1, 0] { try coordinator.requestSplit(from: subtask, deliver) } }
        let before = inboxes
        try coordinator.reset([0], toCheckpoint: 0, restored: nil, deliver)
        #expect(inboxes[1] == before[1])
        #expect(inboxes[0] == (assignment == .push ? before[0] : []))
        if assignment == .pull {
            for _ in 0..<5 { try coordinator.requestSplit(from: 0, deliver) }
            #expect(inboxes[0].prefix(2) == before[0][...])
        }
        #expect((inboxes[0] + inboxes[1]).sorted() == source.splits.map(\.id).sorted())
    }
}
