// SPDX-License-Identifier: Apache-2.0
//  State that expires in an operator: removal without traffic, the hook, time.

import Testing
import Thalweg
import ThalwegTesting

@Suite struct TTLHarnessTests {
    private typealias Harness = KeyedHarness<Ledger>

    private func make(
        _ ttl: StateTTL?, startingAt time: Int64 = 0, sides: [any AnySideProbe] = []
    ) throws -> Harness {
        try KeyedHarness(Ledger(ttl), keyedBy: { $0.key }, startingAt: time, sides: sides)
    }

    /// A25.2: what is kept follows the rate of new keys, and goes when nothing comes any more.
    @Test func stateIsBoundedAndGoesWithoutTraffic() throws {
        let rate = isFull ? 50_000 : 500
        let harness = try make(StateTTL(.seconds(10)), startingAt: 1_700_000_000_000)
        let start: Int64 = 1_700_000_000_000
        for tick in 0..<400 {
            try harness.advanceProcessingTime(to: start + Int64(tick) * 100)
            try harness.push((0..<rate / 10).map { (Note(key: tick * rate + $0, value: $0), nil) })
            if tick >= 250 { #expect(harness.keyCount <= rate * 12) }
            if tick >= 100 { #expect(harness.keyCount >= rate * 10) }
        }
        try harness.advanceProcessingTime(to: start + 40_000 + 11_250)
        #expect(harness.keyCount == 0)
        let metrics = harness.base.metrics.ttl
        #expect(metrics.sweptEntries.value == 400 * (rate / 10) * 3 && metrics.expiredOnRead.value == 0)
        #expect(harness.base.time.pendingCount == 0, "nothing waits once nothing is left")
    }

    @Test(arguments: [StateTTL.Domain.processingTime, .eventTime])
    func theHookTellsWhatHasExpiredOnce(_ domain: StateTTL.Domain) throws {
        let lost = SideProbe(Ledger.lost)
        let harness = try make(StateTTL(.milliseconds(80), domain: domain), startingAt: 1000, sides: [lost])
        let advance = domain == .processingTime ? harness.advanceProcessingTime : harness.advanceWatermark
        try harness.push(Note(key: 1, value: 5), at: 1000)
        try advance(1050)
        try harness.push(Note(key: 1, value: 6), at: 1050)
        try advance(1090)
        #expect(lost.elements.sorted() == ["element of 1: 5", "entry of 1: 5 5"])
        #expect(lost.timed.allSatisfy { $0.time.milliseconds == 1080 })
        try advance(1139)
        #expect(harness.keyCount == 0, "\(domain)")
        #expect(lost.elements.count == 5 && lost.timed.suffix(3).allSatisfy { $0.time.milliseconds == 1130 })
        #expect(Set(lost.elements).contains("last of 1: 6"))
    }

    /// Timers see what lived at their moment, however far the watermark leaps.
    @Test(arguments: [[1300], [1100, 1200, 1300]] as [[Int64]])
    func timersSeeTheirOwnMoment(_ watermarks: [Int64]) throws {
        struct Alarm: KeyedProcessFunction {
            @State var last = ValueState<Int>(ttl: StateTTL(.milliseconds(150), domain: .eventTime))
            mutating func process(_ value: Int, _ context: KeyedContext<Int>, _ out: Collector<[Int64]>) {
                last.value = value
                for delay in [100, 149, 150, 200] as [Int64] {
                    context.registerEventTimeTimer(at: EventTime(milliseconds: 1000 + delay))
                }
            }
            mutating func onTimer(
                at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int>, _ out: Collector<[Int64]>
            ) { out.emit([time.milliseconds, Int64(last.value ?? -1)]) }
        }
        let harness = try KeyedHarness(Alarm(), keyedBy: { $0 })
        try harness.push(3, at: 1000)
        for watermark in watermarks { try harness.advanceWatermark(to: watermark) }
        #expect(harness.outputs == [[1100, 3], [1149, 3], [1150, -1], [1200, -1]])
        #expect(harness.keyCount == 0)
    }

    /// A record of a later time does not take away what one of an earlier time may still see.
    @Test func recordsOutOfOrderNeverShortenALife() throws {
        let harness = try make(StateTTL(.milliseconds(100), domain: .eventTime))
        try harness.push(Note(key: 1, value: 5), at: 1000)
        try harness.push(Note(key: 1, value: 0, reads: true), at: 1100)
        try harness.push(Note(key: 1, value: 0, reads: true), at: 1099)
        #expect(harness.takeOutputs() == ["1: - [] []", "1: 5 [5] [5]"])
        // Written again by an earlier record: it lives as long as before.
        try harness.push(Note(key: 1, value: 5), at: 900)
        try harness.push(Note(key: 1, value: 0, reads: true), at: 1099)
        #expect(harness.takeOutputs() == ["1: 5 [5] [5]"])
        try harness.advanceWatermark(to: 1112)
        #expect(harness.keyCount == 0)
    }

    /// Entries written before event time is known begin to live with the first watermark.
    @Test func withoutTimestampsLifeBeginsWithTheWatermark() throws {
        let harness = try make(StateTTL(.milliseconds(100), domain: .eventTime))
        try harness.push(Note(key: 1, value: 5))
        try harness.advanceWatermark(to: 5000)
        #expect(harness.keyCount == 1)
        try harness.advanceWatermark(to: 5113)
        #expect(harness.keyCount == 0)
    }

    @Test func aRollingAggregateExpires() throws {
        let function = RollingAggregate<Int, Count<Int>, Int64>(Count(), ttl: StateTTL(.seconds(1))) { _, count in
            count
        }
        let harness = try KeyedHarness(function, keyedBy: { $0 })
        try harness.push(1, 1)
        try harness.advanceProcessingTime(to: 999)
        try harness.push(1)
        try harness.advanceProcessingTime(to: 1999)
        try harness.push(1)
        #expect(harness.outputs == [1, 2, 3, 1])
    }
}
