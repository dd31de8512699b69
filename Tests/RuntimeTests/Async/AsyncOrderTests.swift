// SPDX-License-Identifier: Apache-2.0
//  Asynchronous calls: order, watermarks, capacity, time-outs, retries, on virtual time (A12.2, A12.3).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

/// A harness of an asynchronous step whose calls give what they are given.
struct AsyncProbe {
    let calls: ManualCalls
    let harness: OperatorHarness<Int64, Int64>

    init(
        _ lanes: AsyncLanes, capacity: Int = 4, timeout: Duration? = nil, retry: AsyncRetry = .none,
        batching: CallBatching? = nil, onError policy: RecordErrorPolicy = .fail, sides: [any AnySideProbe] = [],
        calls: ManualCalls = ManualCalls(), restoring state: MemorySnapshot? = nil, subtask: Int = 0,
        parallelism: Int = 1, retryIf: (@Sendable ([Int64]) -> Bool)? = nil,
        onTimeout: (@Sendable (Int64) throws -> [Int64])? = nil,
        call: @escaping @Sendable (Int64) throws -> [Int64] = { [$0] }
    ) throws {
        let settings = try AsyncSettings(
            lanes, capacity: capacity, timeout: timeout, retry: retry, batching: batching, onError: policy,
            calls: calls)
        var plan = AsyncPlan<Int64, Int64, [Int64], Int64>(
            settings, retryIf: retryIf, onTimeout: onTimeout, call: { try $0.map(call) })
        if lanes == .keys {
            let hasher = try KeyHasher<Int64>()
            plan.keyHash = { hasher.hash($0 % 10) }
        }
        let made = plan
        self.calls = calls
        harness = try OperatorHarness(
            restoring: state, subtask: subtask, parallelism: parallelism, sides: sides
        ) { OperatorInstance(async: try AsyncOperator(made, in: $0)) }
    }

    func run(_ numbers: Int...) throws {
        for number in numbers {
            calls.run(number)
            try harness.pump()
        }
    }

    func push(_ values: Int64...) throws { try harness.push(values.map { ($0, $0) }) }
}

@Suite struct AsyncOrderTests {
    @Test func orderedResultsWaitForTheirTurn() throws {
        let probe = try AsyncProbe(.one)
        try probe.push(1, 2, 3)
        try probe.run(2, 1)
        #expect(probe.harness.outputs == [])
        try probe.run(0)
        #expect(probe.harness.outputs == [1, 2, 3])
        #expect(probe.harness.timedOutputs.map(\.time.milliseconds) == [1, 2, 3])
    }

    @Test func unorderedResultsLeaveAtOnceButNotAcrossAWatermark() throws {
        let probe = try AsyncProbe(.none, capacity: 10)
        try probe.push(1, 2)
        try probe.harness.advanceWatermark(to: 2)
        try probe.push(3, 4)
        try probe.run(3, 1)
        #expect(probe.harness.outputs == [2] && probe.harness.signals.first == .flush)
        try probe.run(0)
        #expect(probe.harness.outputs == [2, 1, 4])
        #expect(probe.harness.signals.contains(.watermark(Watermark(EventTime(milliseconds: 2)))))
        try probe.run(2)
        #expect(probe.harness.outputs == [2, 1, 4, 3])
    }

    @Test func resultsOfAKeyKeepTheirOrder() throws {
        let probe = try AsyncProbe(.keys, capacity: 10)
        try probe.push(1, 2, 11, 21, 12)
        try probe.run(4, 3, 2)
        #expect(probe.harness.outputs == [])
        try probe.run(1)
        #expect(probe.harness.outputs == [2, 12])
        try probe.run(0)
        #expect(probe.harness.outputs == [2, 12, 1, 11, 21])
    }

    @Test func aFullOperatorTakesNothingAndGoesOn() throws {
        let probe = try AsyncProbe(.none, capacity: 2)
        try probe.push(1, 2, 3, 4, 5)
        #expect(probe.calls.started == 2 && probe.harness.isHeldUp)
        #expect(probe.harness.metrics.async.inFlight.value == 2 && probe.harness.metrics.async.waiting.value == 3)
        try probe.run(1)
        #expect(probe.calls.started == 3 && probe.harness.outputs == [2])
        try probe.run(0, 2, 3)
        #expect(probe.harness.isHeldUp == false && probe.harness.metrics.async.inFlight.value == 1)
        try probe.run(4)
        #expect(probe.harness.outputs == [2, 1, 3, 4, 5] && probe.harness.isDrained)
    }

    @Test func completedResultsAndWatermarksTakePlaces() throws {
        let probe = try AsyncProbe(.one, capacity: 3)
        try probe.push(1)
        for time in 1...5 as ClosedRange<Int64> { try probe.harness.advanceWatermark(to: time) }
        #expect(probe.harness.metrics.async.inFlight.value == 2)
        try probe.push(2)
        try probe.run(1)
        #expect(probe.harness.isHeldUp && probe.harness.outputs == [])
        try probe.run(0)
        #expect(probe.harness.outputs == [1, 2] && !probe.harness.isHeldUp)
        let watermarks = probe.harness.signals.filter { $0 != .flush }
        #expect(watermarks == [.watermark(Watermark(EventTime(milliseconds: 5)))])
    }

    @Test func capacityOneWithWatermarksGoesOn() throws {
        let probe = try AsyncProbe(.none, capacity: 1)
        for value in 1...5 as ClosedRange<Int64> {
            try probe.push(value)
            try probe.harness.advanceWatermark(to: value)
        }
        for number in 0..<5 { try probe.run(number) }
        #expect(probe.harness.outputs == [1, 2, 3, 4, 5] && probe.harness.isDrained)
    }

    @Test func theEndWaitsForWhatIsUnderWay() throws {
        let probe = try AsyncProbe(.none)
        try probe.push(1, 2)
        try probe.harness.signal(.watermark(.end))
        try probe.harness.signal(.end)
        #expect(!probe.harness.isDrained && probe.harness.signals.filter { $0 != .flush } == [])
        try probe.run(0, 1)
        #expect(probe.harness.isDrained && probe.harness.signals.filter { $0 != .flush } == [.watermark(.end), .end])
    }

    @Test func barriersPassAtOnce() throws {
        let probe = try AsyncProbe(.one)
        try probe.push(1, 2)
        try probe.harness.signal(.barrier(CheckpointBarrier(checkpoint: 1, time: 0)))
        #expect(try probe.harness.snapshot().count(of: "$inFlight") == 2)
        #expect(probe.harness.signals.contains { if case .barrier = $0 { true } else { false } })
    }

    @Test(arguments: [AsyncLanes.one, .none])
    func timeoutsCoverEverything(_ lanes: AsyncLanes) throws {
        let probe = try AsyncProbe(
            lanes, capacity: 2, timeout: .milliseconds(100), onTimeout: { [-$0] })
        try probe.push(1, 2, 3)
        try probe.harness.advanceProcessingTime(to: 60)
        try probe.run(0)
        // The third one has entered now: its clock starts.
        try probe.harness.advanceProcessingTime(to: 120)
        #expect(probe.harness.outputs == [1, -2])
        try probe.run(1)
        #expect(probe.harness.metrics.async.lateCompletionsIgnored.value == 1 && probe.harness.outputs == [1, -2])
        try probe.harness.advanceProcessingTime(to: 159)
        #expect(probe.harness.outputs == [1, -2])
        try probe.harness.advanceProcessingTime(to: 160)
        #expect(probe.harness.outputs == [1, -2, -3] && probe.harness.metrics.async.timeouts.value == 2)
        #expect(probe.calls.cancelled == 2 && probe.harness.isDrained)
    }

    @Test func aTimeoutIsAnErrorForThePolicy() throws {
        let failing = try AsyncProbe(.one, timeout: .milliseconds(10))
        try failing.push(1)
        #expect(throws: ThalwegError.self) { try failing.harness.advanceProcessingTime(to: 10) }
        let letters = OutputTag<DeadLetter>("letters")
        let side = SideProbe(letters)
        let setAside = try AsyncProbe(
            .one, timeout: .milliseconds(10), onError: .deadLetter(letters), sides: [side])
        try setAside.push(7)
        try setAside.harness.advanceProcessingTime(to: 10)
        #expect(setAside.harness.outputs == [] && side.elements.first?.record == "7")
        #expect(side.timed.first?.time.milliseconds == 7 && setAside.harness.metrics.rejected.value == 1)
    }

    @Test func errorsOfCallsFollowThePolicy() throws {
        let probe = try AsyncProbe(.one, onError: .skip(limit: 1), call: { [try refusing(2, $0)] })
        try probe.push(1, 2, 3)
        try probe.run(2, 1, 0)
        #expect(probe.harness.outputs == [1, 3] && probe.harness.metrics.rejected.value == 1)
        let failing = try AsyncProbe(.one, call: { [try refusing(2, $0)] })
        try failing.push(1, 2)
        // It fails at once, though the first has not come back.
        #expect(throws: ThalwegError.self) { try failing.run(1) }
    }

    @Test func retriesHappenWithinTheTimeout() throws {
        let attempts = Guarded(0)
        let probe = try AsyncProbe(
            .one, timeout: .milliseconds(100), retry: .fixed(attempts: 3, delay: .milliseconds(20)),
            call: { value in
                let attempt = attempts.withLock { attempts in
                    attempts += 1
                    return attempts
                }
                if attempt < 3 { throw Mishap() }
                return [value]
            })
        try probe.push(1)
        try probe.run(0)
        #expect(probe.calls.started == 1)
        try probe.harness.advanceProcessingTime(to: 20)
        try probe.run(1)
        try probe.harness.advanceProcessingTime(to: 40)
        try probe.run(2)
        #expect(probe.harness.outputs == [1] && probe.harness.metrics.async.retries.value == 2)
    }

    @Test func resultsMayBeRetriedAndTheLastOneCounts() throws {
        let probe = try AsyncProbe(
            .one, retry: .exponential(attempts: 3, firstDelay: .milliseconds(10), delayMax: .milliseconds(15)),
            retryIf: { $0 == [5] })
        try probe.push(5)
        try probe.run(0)
        try probe.harness.advanceProcessingTime(to: 10)
        try probe.run(1)
        try probe.harness.advanceProcessingTime(to: 24)
        #expect(probe.calls.started == 2)
        try probe.harness.advanceProcessingTime(to: 25)
        try probe.run(2)
        #expect(probe.harness.outputs == [5] && probe.calls.started == 3)
    }

    @Test func senselessSettingsAreRefused() {
        #expect(throws: ThalwegError.self) { try AsyncProbe(.one, capacity: 0) }
        #expect(throws: ThalwegError.self) { try AsyncProbe(.one, timeout: .zero) }
        #expect(throws: ThalwegError.self) { try AsyncProbe(.one, retry: .fixed(attempts: 0, delay: .zero)) }
        #expect(throws: ThalwegError.self) {
            try AsyncProbe(.one, batching: CallBatching(countMax: 0, delayMax: .zero))
        }
    }
}
