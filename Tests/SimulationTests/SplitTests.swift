// SPDX-License-Identifier: Apache-2.0
//  Splits under faults: a thousand of them, and such as move from reader to reader.

import Testing
import Thalweg
import ThalwegSimulation

/// A log whose partitions are all given out at once, and whose readers read one after the other: those that wait go to
/// readers that have come to their end.
struct QueuedLog: Source {
    typealias Element = Reading
    typealias Split = LogSplit
    let kind = "queued"
    let boundedness = Boundedness.bounded
    let log: SimulatedLog<Reading>

    func makeEnumerator() throws -> FixedSplits<LogSplit> {
        try FixedSplits((0..<log.partitions).map(LogSplit.init), assignment: .push)
    }
    func makeReader(_ context: SourceReaderContext) -> QueuedReader { QueuedReader(log.makeReader(context)) }
}

final class QueuedReader: SourceReader {
    private let base: LogReader<Reading>
    let openSplitsMax = 1

    init(_ base: LogReader<Reading>) { self.base = base }
    func start() throws { try base.start() }
    func addSplits(_ splits: [AssignedSplit<LogSplit>]) { base.addSplits(splits) }
    func noMoreSplits() { base.noMoreSplits() }
    func pause(_ splits: Set<Int32>) { base.pause(splits) }
    func poll(into batch: Batch<Reading>) throws -> ReadStatus { try base.poll(into: batch) }
    func snapshot() -> [LogSplit] { base.snapshot() }
}

@Suite struct SplitTests {
    /// 27.d2: a thousand splits, two hundred kills, of readers and of the whole process, at other parallelisms, every
    /// few moments, so that many come while something recovers.
    @Test(arguments: [1, 2] as [UInt64])
    func aThousandSplitsUnderTwoHundredKills(_ seed: UInt64) async throws {
        var scenario = Scenario("splits", records: 2_000) { env, world in
            env.read(SimulatedLog(world, partitions: 1_000) { Reading(number: $0) }, name: "readings")
                .map { "\($0.key) \($0.time.milliseconds) \($0.value)" }
                .write(to: SimulatedTopic("lines", in: world), name: "lines")
        }
        scenario.livesMax = 200
        scenario.turnsMax = 2_000_000
        scenario.adjust = { $0.checkpoints?.settings.interval = 20 }
        var random = SeededRandom(seed: seed)
        let faults = (0..<200).map { number -> Fault in
            let turn = number * 60 + Int.random(in: 0..<60, using: &random)
            switch number % 8 {
            case 3: return Fault(.crash, at: .turn, turn)
            case 6: return Fault(.rescale, number % 4 + 1, at: .turn, turn)
            case 7: return Fault(.powerLoss, at: .turn, turn)
            default: return Fault(.failure, at: .turn, turn)
            }
        }
        let result = try await Simulation(scenario).run(
            seed: seed, plan: FaultPlan(faults, records: 2_000))
        #expect(result.isPassed, "\(result)")
        #expect(result.struck.count == 200)
    }

    /// 27.d5: under every kind of fault each record counts once, and none of a split that has moved is late.
    @Test func movedSplitsAreExactUnderFaults() async throws {
        let simulation = Simulation(
            Scenario("queued", records: 240) { env, world in
                let log = SimulatedLog(world, partitions: 24) { Reading(number: $0) }
                try WindowedScenario.totals(env.read(QueuedLog(log: log), name: "readings"))
                    .write(to: SimulatedTopic("totals", in: world), name: "totals")
            })
        for seed in 1...SeedTests.count {
            let result = try await simulation.run(seed: seed)
            #expect(result.isPassed, "\(result)")
        }
    }
}
