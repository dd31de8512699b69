// SPDX-License-Identifier: Apache-2.0
//  The built-in workload: a source, a keyed window, keyed state with timers, a sink.

import Thalweg
import ThalwegTesting

/// A record of the built-in workload.
public struct Reading: Codable, Sendable, Hashable {
    public var key: Int64
    public var value: Int64
    public var time: EventTime

    /// Record number n: event time rises with n, somewhat out of order.
    public init(number: Int) {
        var random = SeededRandom(seed: UInt64(number))
        key = Int64(random.next() % 12)
        value = Int64(random.next() % 1_000)
        time = EventTime(milliseconds: Int64(number) * 10 + Int64(random.next() % 50))
    }
}

/// What a window of one key gave.
public struct ReadingTotal: Codable, Sendable, Hashable {
    public var key: Int64
    public var start: EventTime
    public var total: Int64
}

/// Adds the totals of a group of keys by window, and the windows up: one line for each window when its time is over.
public struct GroupTotals: KeyedProcessFunction {
    @State var windows = MapState<Int64, Int64>()
    @State var last = ValueState<Int64>()

    public init() {}

    public mutating func process(
        _ value: ReadingTotal, _ context: KeyedContext<Int64>, _ out: Collector<String>
    ) {
        windows[value.start.milliseconds, default: 0] += value.total
        context.registerEventTimeTimer(
            at: EventTime(milliseconds: value.start.milliseconds + WindowedScenario.windowMilliseconds * 2))
    }

    public mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<String>
    ) {
        let start = time.milliseconds - WindowedScenario.windowMilliseconds * 2
        guard let total = windows[start] else { return out.emit("\(context.key) \(start) without a window") }
        windows[start] = nil
        let sum = (last.value ?? 0) + total
        last.value = sum
        out.emit("\(context.key) \(start) \(total) \(sum)")
    }
}

/// Makes the built-in scenario, whole or in parts.
public enum WindowedScenario {
    public static let windowMilliseconds: Int64 = 200
    /// By how much records may be behind others.
    public static let disorderMilliseconds: Int64 = 60

    /// A windowed job of three stages; half of the seeds write to files, half to a topic.
    public static func make(records: Int = 240) -> Scenario {
        Scenario("windowed", records: records) { env, world in
            let lines = try totals(env.read(SimulatedLog(world) { Reading(number: $0) }, name: "readings"))
            if world.seed % 2 == 0 {
                lines.write(to: SimulatedTopic("totals", in: world), name: "totals")
            } else {
                lines.write(
                    to: FileSink(SimulatedWorld.outputDirectory + "/", format: .lines, fileSystem: world.disk),
                    name: "totals")
            }
        }
    }

    /// Two steps keep keyed state, in up to four subtasks each.
    private static let leastBudget = 8 * StateSettings.taskBytesMin

    /// The same job with so little memory for keyed state that all of it rests in files.
    public static func spilling(records: Int = 240) -> Scenario {
        var scenario = make(records: records)
        scenario.adjust = { $0.state.budgetBytes = leastBudget }
        return scenario.named("spilling")
    }

    /// The same with a store of bytes in which the rows rest.
    public static func shelving(records: Int = 240) -> Scenario {
        var scenario = make(records: records)
        scenario.adjust = {
            $0.state.budgetBytes = leastBudget
            $0.state.backend = .store(MemoryRowBackend())
        }
        return scenario.named("shelving")
    }

    /// The stages between source and sink.
    public static func totals(_ readings: DataStream<Reading>) throws -> DataStream<String> {
        try grouped(windows(readings)).process(GroupTotals(), name: "groups")
    }

    /// The totals by key and window.
    public static func windows(_ readings: DataStream<Reading>) throws -> DataStream<ReadingTotal> {
        try readings
            .timestamps(by: \.time, watermark: .boundedOutOfOrderness(.milliseconds(disorderMilliseconds)))
            .keyed(by: \.key).window(.tumbling(.milliseconds(windowMilliseconds)))
            .aggregate(Sum(\.value), name: "windows") { ReadingTotal(key: $0, start: $2.start, total: $1) }
    }

    /// The totals by group of keys.
    public static func grouped(
        _ totals: DataStream<ReadingTotal>
    ) throws -> KeyedStream<Int64, ReadingTotal> { try totals.keyed { $0.key % 5 } }
}
