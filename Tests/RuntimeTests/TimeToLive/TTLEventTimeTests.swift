// SPDX-License-Identifier: Apache-2.0
//  Event-time state does not depend on how fast a job runs (A25.5).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct TTLEventTimeTests {
    private struct Event: Codable, Sendable {
        var note: Note
        var time: EventTime
    }

    private static let ttl = StateTTL(.seconds(20), update: .onReadAndWrite, domain: .eventTime)

    /// Keys that come back sooner and later than their state lives, out of order by up to five seconds.
    private static func events(_ seed: UInt64) -> [Event] {
        var random = SeededRandom(seed: seed)
        return (0..<3000).map { number in
            let time = Int64(number) * 100 - Int64.random(in: 0..<5000, using: &random)
            let key = Int.random(in: 0..<400, using: &random)
            return Event(
                note: Note(key: key, value: number, reads: number % 2 == 0), time: EventTime(milliseconds: time))
        }
    }

    /// How processing time goes on while the job runs.
    enum Pace: CaseIterable {
        case standing, real, fast, paused

        func advance(_ clock: ManualClock, _ step: Int) {
            switch self {
            case .standing: break
            case .real: clock.advance(by: .milliseconds(3))
            case .fast: clock.advance(by: .milliseconds(150))
            case .paused: clock.advance(by: step == 40 ? .seconds(60) : .milliseconds(1))
            }
        }
    }

    private func run(
        _ events: [Event], _ pace: Pace, seed: UInt64, batch: Int, parallelism: Int
    ) async throws -> (main: [String], lost: [String]) {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.batchCapacity = batch
        let (main, lost) = (Collected<String>(), Collected<String>())
        let process = try env.read(GeneratedSource(0..<Int64(events.count)) { events[Int($0)] }).parallelism(1)
            .timestamps(by: \.time, watermark: .boundedOutOfOrderness(.seconds(5))).parallelism(1)
            .map { $0.note }.parallelism(1)
            .keyed(by: \.key).process(Ledger(Self.ttl, writesOnRead: true))
        process.write(to: CollectSink(main))
        try process.sideOutput(Ledger.lost).write(to: CollectSink(lost))
        let steps = Guarded(0)
        let scheduler = StepScheduler(seed: seed) { clock in
            let step = steps.withLock { step in
                step += 1
                return step
            }
            pace.advance(clock, step)
        }
        let execution = try env.makeExecution()
        try await within { try await execution.run(on: scheduler) }
        return (main.elements.sorted(), lost.elements.sorted())
    }

    @Test(arguments: Pace.allCases, [1, 3])
    func outputDoesNotDependOnThePace(_ pace: Pace, _ parallelism: Int) async throws {
        let events = Self.events(5)
        let expected = try await run(events, .standing, seed: 0, batch: 1024, parallelism: 1)
        #expect(expected.main.contains { $0.contains("- []") } && expected.main.contains { !$0.contains("- []") })
        #expect(expected.lost.count > 3000)
        for (seed, batch) in [(1, 16), (2, 100)] as [(UInt64, Int)] {
            let found = try await run(events, pace, seed: seed, batch: batch, parallelism: parallelism)
            #expect(found.main == expected.main, "\(pace), seed \(seed), batches of \(batch)")
            #expect(found.lost == expected.lost, "\(pace), seed \(seed), batches of \(batch)")
        }
    }

    /// The same records under other watermarks and another clock: the same outputs and the same state in the end.
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func theFinalStateDoesNotDependOnThePace(_ seed: UInt64) throws {
        let events = Self.events(seed)
        func run(_ stride: (Int) -> Bool) throws -> (outputs: [String], state: MemorySnapshot) {
            let harness = try KeyedHarness(
                Ledger(Self.ttl, writesOnRead: true), keyedBy: { $0.key }, startingAt: 1000)
            var latest = Int64.min
            for (number, event) in events.enumerated() {
                latest = max(latest, event.time.milliseconds)
                try harness.push(event.note, at: event.time.milliseconds)
                if stride(number) {
                    try harness.advanceWatermark(to: latest - 5001)
                    try harness.advanceProcessingTime(to: 1000 + Int64(number) * Int64(seed))
                }
            }
            try harness.advanceWatermark(to: latest)
            return (harness.outputs, try harness.snapshot())
        }
        var random = SeededRandom(seed: seed)
        let expected = try run { _ in false }
        let found = try run { _ in Int.random(in: 0..<20, using: &random) == 0 }
        #expect(found.outputs == expected.outputs)
        #expect(found.state.sections == expected.state.sections)
        #expect(expected.state.count(of: "last") > 50)
    }
}
