// SPDX-License-Identifier: Apache-2.0
//  Results that come at the very moment they are given up: one outcome for each record (A12.5).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct AsyncRaceTests {
    private enum Overload: Error { case now }

    @Test(arguments: [AsyncLanes.one, .none, .keys], [1, 5])
    func everyRecordHasOneOutcome(_ lanes: AsyncLanes, _ perCall: Int) throws {
        let count: Int64 = isFull ? 1_000_000 : 20_000
        let poor: Int64 = 1 << 40
        let random = Guarded(SeededRandom(seed: 77))
        // A call takes 1 to 39 ms, a record may take 20: half of the calls are too slow.
        let calls = SimulatedCalls(seed: 5, milliseconds: 1...39)
        let letters = OutputTag<DeadLetter>("letters")
        let side = SideProbe(letters)
        let settings = try AsyncSettings(
            lanes, capacity: 64, timeout: .milliseconds(20),
            retry: .exponential(attempts: 4, firstDelay: .milliseconds(1), delayMax: .milliseconds(4)),
            batching: perCall == 1 ? nil : CallBatching(countMax: perCall, delayMax: .milliseconds(2)),
            onError: .deadLetter(letters), calls: calls)
        var plan = AsyncPlan<Int64, Int64, [Int64], Int64>(
            settings,  // Poor results are tried again, as long as there is time; the last one counts.
            retryIf: { ($0.first ?? 0) > poor },
            onTimeout: { value in
                if value % 3 == 0 { throw Overload.now }
                return [-value]
            },
            call: { values in
                let draw = random.withLock { $0.next() % 4 }
                if draw == 0 { throw Overload.now }
                return values.map { draw == 1 ? [$0 + poor] : [$0] }
            })
        plan.keyHash = { UInt64($0 % 10) << 57 }
        let made = plan
        let harness = try OperatorHarness<Int64, Int64>(sides: [side]) {
            OperatorInstance(async: try AsyncOperator(made, in: $0))
        }
        var next: Int64 = 1
        while next <= count {
            if harness.isHeldUp, let due = harness.time.nextTime {
                try harness.advanceProcessingTime(to: due)
                continue
            }
            try harness.push((next..<min(next + 8, count + 1)).map { ($0, $0) })
            next += 8
        }
        let last = harness.time.now
        try harness.signal(.watermark(.end))
        try harness.signal(.end)
        try harness.advanceProcessingTime(to: last + 10 * 20)
        #expect(harness.isDrained && harness.signals.last == .end)
        let (outputs, metrics) = (harness.outputs, harness.metrics.async)
        let refused = side.elements.compactMap { Int64($0.record) }
        let outcomes = outputs.map { $0 > poor ? $0 - poor : abs($0) } + refused
        #expect(outcomes.sorted() == Array(1...count))
        #expect(metrics.timeouts.value > Int(count) / 10 && metrics.retries.value > Int(count) / 50)
        #expect(metrics.lateCompletionsIgnored.value > 0 && metrics.inFlight.value == 0)
        #expect(outputs.contains { $0 < 0 } && outputs.contains { $0 > 0 } && !refused.isEmpty)
        #expect(outputs.contains { $0 > poor })
        // Results in order, and dead letters at their turn, whatever their calls did.
        let lost = Set(refused)
        if lanes == .one {
            #expect(outputs.map { $0 > poor ? $0 - poor : abs($0) } == outcomes.sorted().filter { !lost.contains($0) })
        }
    }
}
