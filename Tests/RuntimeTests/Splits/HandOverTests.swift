// SPDX-License-Identifier: Apache-2.0
//  Splits after a change of parallelism, and splits that go from a busy reader to an idle one (27.d5).

import Testing
import Thalweg
import ThalwegTesting

@Suite struct HandOverTests {
    private func execution(
        _ source: Tapes, _ output: Collected<Int64>, parallelism: Int, from: String? = nil, interval: Int64? = nil,
        disk: MemoryFileSystem = MemoryFileSystem()
    ) throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.restart = .fixedDelay(attempts: 1_000, delay: 1)
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: disk, from: from)
        options.settings.interval = interval
        env.settings.checkpoints = options
        env.read(source, name: "tapes").write(to: .collect(output, visible: .whenCommitted), name: "out")
        return try env.makeExecution()
    }

    /// 27.d5, first half: eight splits of two readers, dealt anew to four, are two each; and back again.
    @Test(arguments: [1, Int.max])
    func restoredSplitsAreDealtEvenly(_ openMax: Int) async throws {
        let (disk, output) = (MemoryFileSystem(), Collected<Int64>())
        let lengths = Array(repeating: 300 as Int64, count: 8)
        for (life, parallelism) in [2, 4, 2].enumerated() {
            var source = Tapes(lengths: lengths, openMax: openMax)
            if life < 2 { source.pauseAt = Int64(life + 1) * 20 }
            let job = try execution(source, output, parallelism: parallelism, from: "latest", disk: disk)
            let report = try await within {
                async let outcome = job.run(on: StepScheduler(seed: UInt64(life)))
                while life < 2 && job.total("tapes", \.recordsOut) < parallelism * 10 { await Task.yield() }
                let report = life < 2 ? try await job.stop() : nil
                _ = try await outcome
                return report
            }
            guard let path = report?.path else { continue }
            let snapshot = try CheckpointStore(root: "checkpoints", fileSystem: disk).load(path)
            let held = try snapshot.restoredState(of: "tapes")?.elements(
                of: SourceStates.splits, as: TapeSplit.self)
            #expect(held?.map(\.count) == Array(repeating: 8 / parallelism, count: parallelism))
            #expect(Set(held?.flatMap(\.self).map(\.id) ?? []).count == 8)
        }
        #expect(output.elements.sorted() == Tapes(lengths: lengths).records)
    }

    /// 27.d5, second half: reader 1 is at its end early and takes over what reader 0 has not begun, within a second.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func whatWaitsGoesToTheIdleReader(_ seed: UInt64) async throws {
        let source = Tapes(lengths: [200, 2, 200, 2, 200, 2, 200, 2], openMax: 1)
        let output = Collected<Int64>()
        let job = try execution(source, output, parallelism: 2, interval: 20)
        try await job.run(on: CountingJob.scheduler(seed))
        #expect(output.elements.sorted() == source.records)
        #expect(source.taken(by: 0) == [0, 2])
        #expect(source.taken(by: 1) == [1, 3, 5, 7, 6, 4])
        let notes = source.log.all
        let free = notes.first { $0.event == .finished && $0.tape == 7 }?.time ?? .max
        let moved = notes.first { $0.event == .taken && $0.tape == 6 }?.time ?? .max
        #expect(moved - free <= 1_000)
        // Nothing that somebody has begun to read moves.
        #expect(notes.filter { $0.event == .taken }.allSatisfy { $0.read == 0 })
    }

    /// On threads, under failures, with barriers between the readers: every record once.
    @Test(arguments: 0..<8 as Range<UInt64>, [false, true])
    func handOversAreExactUnderFailures(_ seed: UInt64, _ isThreaded: Bool) async throws {
        var random = SeededRandom(seed: seed)
        var source = Tapes(
            lengths: (0..<24).map { _ in Int64.random(in: 0...60, using: &random) }, openMax: [1, 2][Int(seed % 2)])
        source.mishaps = Mishaps(at: Set((0..<6).map { _ in Int.random(in: 1...700, using: &random) }))
        let failures = source.mishaps.left
        let output = Collected<Int64>()
        let job = try execution(source, output, parallelism: 3, interval: isThreaded ? 1 : 10)
        let scheduler: any TaskScheduler = isThreaded ? WorkerPool(workers: 3) : CountingJob.scheduler(seed)
        try await within { try await job.run(on: scheduler) }
        #expect(output.elements.sorted() == source.records)
        // A checkpoint that was refused would have restarted all three readers.
        #expect(job.checkpoints.tasksRestarted.value == failures - source.mishaps.left)
    }

    /// A split that waits holds back event time everywhere: whoever gets it, its records are not late.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func recordsOfMovedSplitsAreNotLate(_ seed: UInt64) async throws {
        let env = StreamEnvironment()
        env.settings.parallelism = 2
        let source = Tapes(lengths: [60, 5, 60, 5, 60, 5, 60, 5], openMax: 1)
        let output = Collected<Int64>()
        try env.read(source).timestamps(by: { EventTime(milliseconds: $0 % 1_000) }, watermark: .ascending)
            .keyed { $0 % 1_000 / 5 }.window(.tumbling(.milliseconds(5)))
            .aggregate(Count()) { _, count, _ in count }
            .write(to: .collect(output), name: "out")
        try await env.run(.steps(seed))
        #expect(source.taken(by: 1).count > 4)
        #expect(output.elements.sorted() == Array(repeating: 20, count: 11) + [40])
    }

    /// Without restraint of its own a reader keeps what it was given.
    @Test func aReaderThatReadsAllSideBySideKeepsThem() async throws {
        let source = Tapes(lengths: [50, 2, 50, 2])
        let output = Collected<Int64>()
        try await execution(source, output, parallelism: 2).run(on: StepScheduler(seed: 1))
        #expect(source.taken(by: 0) == [0, 2] && source.taken(by: 1) == [1, 3])
    }
}
