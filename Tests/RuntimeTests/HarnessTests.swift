// SPDX-License-Identifier: Apache-2.0
//  Functions alone, in virtual time: the harness, and what keyed functions are promised.

import Testing
import Thalweg
import ThalwegTesting

@Suite struct HarnessTests {
    /// Emits a key's count once it has been silent for a minute of event time; complains to a side output.
    struct Sessions: KeyedProcessFunction {
        static let loud = OutputTag<String>("loud")
        @State var count = ValueState<Int>()
        @State var due = ValueState<EventTime>()
        @Side var loud = SideOutput(Sessions.loud)

        mutating func process(_ value: Int, _ context: KeyedContext<Int>, _ out: Collector<[Int]>) {
            count[default: 0] += 1
            if let due = due.value { context.deleteEventTimeTimer(at: due) }
            let next = (context.timestamp ?? .min) + .seconds(60)
            context.registerEventTimeTimer(at: next)
            due.value = next
            if value > 100 { loud.emit("\(value)") }
        }

        mutating func onTimer(
            at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int>, _ out: Collector<[Int]>
        ) {
            out.emit([context.key, count.value ?? -1])
            count.clear()
            due.clear()
        }
    }

    @Test(arguments: [1, 2, 1024])
    func eventTimeTimersStateAndSides(_ batchCapacity: Int) throws {
        let loud = SideProbe(Sessions.loud)
        let harness = try KeyedHarness(
            Sessions(), keyedBy: { $0 % 10 }, batchCapacity: batchCapacity, sides: [loud])
        try harness.push(1, 11, 2, at: 1000)
        try harness.push(21, 131, at: 30_000)
        #expect(harness.keyCount == 2 && harness.eventTimerCount == 2)
        try harness.advanceWatermark(to: 61_000)
        #expect(harness.takeOutputs() == [[2, 1]] && harness.keyCount == 1)
        try harness.finish()
        #expect(harness.outputs == [[1, 4]] && harness.timedOutputs.first?.time.milliseconds == 90_000)
        #expect(harness.keyCount == 0 && harness.eventTimerCount == 0)
        #expect(loud.elements == ["131"] && loud.timed.first?.time.milliseconds == 30_000)
        #expect(harness.base.signals.suffix(2) == [.watermark(.end), .end])
    }

    @Test func processingTimersFireInVirtualTime() throws {
        struct Ticks: KeyedProcessFunction {
            mutating func process(_ value: Int, _ context: KeyedContext<Int>, _ out: Collector<Int64>) {
                for delay in [30, 10, 20] as [Int64] {
                    context.registerProcessingTimeTimer(at: context.processingTime + .milliseconds(delay))
                }
                context.deleteProcessingTimeTimer(at: context.processingTime + .milliseconds(20))
            }
            mutating func onTimer(
                at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int>, _ out: Collector<Int64>
            ) {
                #expect(domain == .processingTime)
                out.emit(time.milliseconds)
            }
        }
        let harness = try KeyedHarness(Ticks(), keyedBy: { $0 }, startingAt: 1000)
        try harness.push(1, 2)
        #expect(harness.processingTimerCount == 4)
        try harness.advanceProcessingTime(to: 1009)
        #expect(harness.outputs == [])
        try harness.advanceProcessingTime(to: 1025)
        #expect(harness.outputs == [1010, 1010])
        try harness.advanceProcessingTime(to: 9999)
        #expect(harness.outputs == [1010, 1010, 1030, 1030] && harness.keyCount == 0)
    }

    @Test func anOperatorWithoutKeys() throws {
        let tag = OutputTag<DeadLetter>("dead")
        let letters = SideProbe(tag)
        let harness = try OperatorHarness<Int, Int>(name: "half", batchCapacity: 3, sides: [letters]) { context in
            let half: (Int) throws -> Int = { value in
                if value % 2 == 1 { throw Mishap(text: "odd") }
                return value / 2
            }
            return OperatorInstance(MapOperator(half, onError: .deadLetter(tag), in: context), in: context)
        }
        try harness.push((1...10).map { ($0, Int64($0)) })
        #expect(harness.outputs == [1, 2, 3, 4, 5])
        #expect(harness.timedOutputs.map(\.time.milliseconds) == [2, 4, 6, 8, 10])
        #expect(letters.elements.map(\.record) == ["1", "3", "5", "7", "9"] && harness.metrics.rejected.value == 5)
        try harness.signal(.idle)
        #expect(harness.signals == [.idle])
        #expect(throws: ThalwegError.self) {
            try OperatorHarness<String, Int> { context in
                OperatorInstance(MapOperator({ (value: Int) in value }, onError: .fail, in: context), in: context)
            }.push("text")
        }
    }
}
