// SPDX-License-Identifier: Apache-2.0
//  Asynchronous steps in whole jobs: order, end of input, chains (A12.2, A12.6).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct AsyncJobTests {
    /// Records what leaves a step: records and watermarks, in order.
    private func trace(_ lanes: AsyncLanes, count: Int64, seed: UInt64) throws -> [Int64] {
        let settings = try AsyncSettings(
            lanes, capacity: 100, timeout: .seconds(1), calls: SimulatedCalls(seed: seed, milliseconds: 0...50))
        let plan = AsyncPlan<Int64, Int64, [Int64], Int64>(
            settings, retryIf: nil, onTimeout: nil, call: { $0.map { [$0] } })
        var trace: [Int64] = []
        let time = VirtualTime()
        let context = OperatorContext(
            name: "async", subtask: 0, parallelism: 1, maxParallelism: 128, processingTime: time,
            metrics: OperatorMetrics(), objectReuse: .default, batchCapacity: 64,
            outlets: [
                nil: Inlet<Int64>(
                    push: { batch in for index in 0..<batch.count { trace.append(batch.rows[index]) } },
                    signal: { if case .watermark(let mark) = $0 { trace.append(-mark.time.milliseconds) } })
            ], wake: {}, commits: CommitLedger())
        let instance = OperatorInstance(async: try AsyncOperator(plan, in: context))
        guard let push = instance.pushes[0] as? (Batch<Int64>) throws -> Void else { return [] }
        var next: Int64 = 1
        while next <= count || instance.isDrained?() == false {
            while try instance.pump?() ?? false {}
            if instance.isHeldUp?() == true || next > count {
                if let due = time.nextTime { try time.advance(to: due) }
                continue
            }
            let batch = Batch<Int64>(capacity: 50)
            for value in next..<next + 50 { batch.append(value, time: value) }
            batch.isTimed = true
            try push(batch)
            next += 50
            try instance.signal(.watermark(Watermark(EventTime(milliseconds: next - 1))))
        }
        instance.close()
        return trace
    }

    @Test(arguments: [1, 2] as [UInt64])
    func orderOverManyRecords(_ seed: UInt64) throws {
        let count: Int64 = isFull ? 200_000 : 20_000
        let ordered = try trace(.one, count: count, seed: seed)
        #expect(ordered.filter { $0 > 0 } == Array(1...count))
        let unordered = try trace(.none, count: count, seed: seed)
        #expect(unordered.filter { $0 > 0 } != Array(1...count))
        #expect(unordered == (try trace(.none, count: count, seed: seed)))
        for trace in [ordered, unordered] {
            // Between two watermarks are the records of the input between them, all of them.
            var seen = 0
            var low: Int64 = 0
            for entry in trace {
                if entry > 0 {
                    seen += 1
                    #expect(entry > low)
                } else {
                    low = -entry
                    #expect(Int64(seen) == low)
                }
            }
            #expect(seen == count && low == count)
        }
    }

    @Test(arguments: Schedule.all)
    func aJobEndsWhenAllHaveComeBack(_ schedule: Schedule) async throws {
        let env = StreamEnvironment()
        env.settings.batchCapacity = 64
        let calls: any AsyncCallExecutor =
            if case .steps(let seed) = schedule { SimulatedCalls(seed: seed, milliseconds: 0...20) } else {
                .concurrent
            }
        let sink = Collected<Int64>()
        try env.numbers(1...1000, name: "numbers")
            .asyncMap(.ordered(capacity: 10), timeout: .seconds(3000), calls: calls) { [$0, -$0] }
            .asyncMap(.unordered(capacity: 7), timeout: .seconds(3000), name: "second", calls: calls) {
                $0 > 0 ? [$0] : []
            }
            .keyed(by: { $0 % 7 })
            .asyncMap(.keyOrdered(capacity: 20), timeout: .seconds(3000), name: "third", calls: calls) { [$0] }
            .write(to: CollectSink(sink))
        let execution = try await env.run(schedule)
        #expect(sink.elements.sorted() == Array(1...1000))
        for key in 0..<7 as Range<Int64> {
            let ofKey = sink.elements.filter { $0 % 7 == key }
            #expect(ofKey.count == (1...1000).count { $0 % 7 == key })
        }
        #expect(execution.total("second") { $0.recordsIn } == 2000)
        #expect(execution.total("third") { $0.async.calls } == 1000)
        #expect(execution.total("third") { $0.async.inFlight } == 0)
    }
}

extension AsyncJobTests {
    /// The job ends when the last of 100 calls does, in virtual time.
    @Test func theEndComesWithTheLastResult() async throws {
        let env = StreamEnvironment()
        let sink = Collected<Int64>()
        try env.numbers(1...100)
            .asyncMap(
                .unordered(capacity: 100), timeout: .seconds(10), calls: SimulatedCalls(milliseconds: 5000...5000)
            ) {
                [$0]
            }
            .write(to: CollectSink(sink))
        let scheduler = StepScheduler()
        let start = scheduler.virtualClock.now
        let execution = try env.makeExecution()
        try await within { try await execution.run(on: scheduler) }
        #expect(sink.elements.sorted() == Array(1...100) && scheduler.virtualClock.now - start == 5000)
    }

    @Test func aJobWhoseServiceHangsEndsWithTheTimeout() async throws {
        let env = StreamEnvironment()
        let sink = Collected<Int64>()
        let calls = ManualCalls()
        try env.numbers(1...100)
            .asyncMap(.ordered(capacity: 100), timeout: .seconds(2), onTimeout: { [-$0] }, calls: calls) { [$0] }
            .write(to: CollectSink(sink))
        let scheduler = StepScheduler()
        let start = scheduler.virtualClock.now
        let execution = try env.makeExecution()
        try await within { try await execution.run(on: scheduler) }
        #expect(sink.elements == (1...100).map { -$0 } && scheduler.virtualClock.now - start < 3000)
        #expect(calls.started == 100 && calls.cancelled == 100)
    }

    @Test(arguments: [1, 3])
    func aCallThatFailsFailsTheJob(_ workers: Int) async throws {
        let env = StreamEnvironment()
        try env.numbers(1...1000)
            .asyncMap(.ordered(), timeout: .seconds(3000), name: "calls") { [try refusing(500, $0)] }
            .write(to: BlackHoleSink<Int64>())
        let error = await #expect(throws: ThalwegError.self) { try await env.run(.pool(workers)) }
        #expect(error?.description.contains("\"calls\"") == true && error?.description.contains("500 is bad") == true)
    }

    /// A chain of two that are full in turn, behind an exchange: everything arrives, in order by key.
    @Test(arguments: Schedule.all, [1, 3])
    func fullStepsInAChain(_ schedule: Schedule, _ capacity: Int) async throws {
        let env = StreamEnvironment()
        env.settings.batchCapacity = 16
        let calls: any AsyncCallExecutor =
            if case .steps(let seed) = schedule { SimulatedCalls(seed: seed, milliseconds: 0...9) } else { .concurrent }
        let sink = Collected<Int64>()
        try env.numbers(1...300).rebalance().map { $0 }
            .keyed(by: { $0 % 5 })
            .asyncMap(.keyOrdered(capacity: capacity), timeout: .seconds(3000), calls: calls) { value in
                for _ in 0..<value % 4 { await Task.yield() }
                return [value]
            }
            .asyncMap(.ordered(capacity: capacity), timeout: .seconds(3000), calls: calls) { value in
                for _ in 0..<value % 3 { await Task.yield() }
                return [value]
            }
            .write(to: CollectSink(sink))
        try await env.run(schedule)
        #expect(sink.elements.sorted() == Array(1...300))
    }

    @Test func lookupsThroughTheFrontDoor() async throws {
        let env = StreamEnvironment()
        let sink = Collected<String>()
        try env.numbers(1...100)
            .asyncLookup(
                by: { $0 % 4 }, batch: CallBatching(countMax: 2, delayMax: .milliseconds(1)), .ordered(capacity: 8),
                timeout: .seconds(5), cache: LookupCache(rowsMax: 100), calls: SimulatedCalls(milliseconds: 1...3),
                lookup: { keys in Dictionary(uniqueKeysWithValues: keys.filter { $0 > 0 }.map { ($0, "row \($0)") }) }
            ) { value, row in ["\(value) \(row ?? "-")"] }
            .write(to: CollectSink(sink))
        try await env.run()
        #expect(sink.elements == (1...100).map { $0 % 4 == 0 ? "\($0) -" : "\($0) row \($0 % 4)" })
    }
}
