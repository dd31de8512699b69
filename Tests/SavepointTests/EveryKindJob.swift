// SPDX-License-Identifier: Apache-2.0
//  A job with state of every kind, stopped by a failure on its way, and started from copies of its checkpoint.

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

struct Mishap: Error {}

struct Pair: Codable, Hashable, Sendable { var left: Int64, right: Int64 }

struct Row: Codable, Hashable, Sendable {
    var kind: String
    var key: Int64
    var value: Int64
}

/// What rows of a function do not depend on the order of records within a key.
private struct Memory: KeyedProcessFunction {
    @State var seen = ValueState<Pair>()
    @State var all = ListState<Int64>()
    @State var byRest = MapState<String, Int64>()
    @State var byTime = SortedMapState<EventTime, Int64>()
    @State var folded = ReducingState<Int64> { $0 + $1 }
    @State var counted = AggregatingState(Count<Int64>())
    @State var recent = ValueState<String?>(ttl: StateTTL(.seconds(100), domain: .eventTime))

    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Row>) {
        var pair = seen.value ?? Pair(left: 0, right: 0)
        pair.left += 1
        pair.right += number
        seen.value = pair
        all.append(number)
        byRest["rest \(number % 5)", default: 0] += 1
        let time = EventTime(milliseconds: number / 100 * 100 - 300)
        byTime[time, default: 0] += 1
        folded.add(number % 2)
        counted.add(number)
        recent.value = number % 2 == 0 ? "even" : nil
        context.registerEventTimeTimer(at: EventTime(milliseconds: number + 50))
        out.emit(Row(kind: "seen", key: context.key, value: pair.left))
        for (time, count) in byTime.entries(from: time, through: time) {
            out.emit(Row(kind: "by time \(time.milliseconds)", key: context.key, value: count))
        }
        if number % 2 != 0 { out.emit(Row(kind: "folded", key: context.key, value: folded.value ?? -1)) }
        out.emit(Row(kind: "counted", key: context.key, value: counted.value))
        out.emit(Row(kind: "all", key: context.key, value: Int64(all.count)))
        out.emit(Row(kind: "rest \(number % 5)", key: context.key, value: byRest["rest \(number % 5)"] ?? -1))
    }

    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<Row>
    ) {
        out.emit(Row(kind: "timer", key: context.key, value: time.milliseconds))
    }
}

private struct Lists: ProcessFunction {
    @State var kept = OperatorListState<Pair>(.split)
    @State var shared = OperatorListState<String>(.union)
    @State var owned = OperatorListState<Int64>(.keyedList(by: { $0 }))

    mutating func process(_ number: Int64, _ context: ProcessContext, _ out: Collector<Row>) {
        if number % 20 == 0 { kept.append(Pair(left: number, right: -number)) }
        if number % 30 == 0 { shared.append("number \(number)") }
        if owned.owns(number) { owned.append(number) }
    }
}

private struct Rules: BroadcastProcessFunction {
    @State var table = BroadcastState<String, Pair>()

    mutating func processElement(_ value: Int64, _ context: ProcessContext, _ out: Collector<Row>) {}
    mutating func processBroadcast(_ rule: Int64, _ context: BroadcastContext, _ out: Collector<Row>) {
        context.update(table) { $0["rule \(rule)"] = Pair(left: rule, right: 2 * rule) }
    }
}

/// Starts, fails, and starts again from what it is told.
struct EveryKindJob {
    static let numbers: Int64 = 600
    static let keys: Int64 = 37

    let disk = MemoryFileSystem()
    /// The name of the step with the function's states.
    var memoryName = "memory"
    var parallelism = 2
    var maxParallelism = 128

    /// Runs until a failure that nothing survives but checkpoints.
    func fail(after records: Int = 500, seed: UInt64 = 1) async throws {
        let passed = Mutex(0)
        let execution = try make(Collected(), directory: "checkpoints", from: nil) {
            let count = passed.withLock { passed in
                passed += 1
                return passed
            }
            if count > records { throw Mishap() }
        }
        await #expect(throws: (any Error).self) { try await execution.run(on: Self.scheduler(seed)) }
    }

    /// What the job gives when it starts from a snapshot.
    func rows(from path: String, seed: UInt64 = 2) async throws -> [Row: Int] {
        let collected = Collected<Row>()
        let directory = "run-\(path)-\(seed)-\(parallelism)"
        let execution = try make(collected, directory: directory, from: path) {}
        try await execution.run(on: Self.scheduler(seed))
        return collected.elements.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    private static func scheduler(_ seed: UInt64) -> StepScheduler {
        StepScheduler(seed: seed, afterStep: { $0.advance(to: $0.now + 1) })
    }

    private func make(
        _ collected: Collected<Row>, directory: String, from: String?, _ pass: @escaping @Sendable () throws -> Void
    ) throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.maxParallelism = maxParallelism
        env.settings.batchCapacity = 8
        env.settings.restart = RestartStrategy.none
        var options = CheckpointOptions(directory: directory, fileSystem: disk, from: from)
        options.settings.interval = 20
        env.settings.checkpoints = options
        let numbers = env.read(GeneratedSource(0..<Self.numbers) { $0 }, name: "numbers").map { number in
            try pass()
            return number
        }.timestamps(by: { EventTime(milliseconds: $0) }, watermark: .boundedOutOfOrderness(.milliseconds(5)))
        let keyed = try numbers.keyed { $0 % Self.keys }
        let memory = keyed.process(Memory(), name: memoryName)
        let windows = try keyed.window(.tumbling(.milliseconds(100))).aggregate(Count(), name: "windows") {
            Row(kind: "window \($2.start.milliseconds)", key: $0, value: $1)
        }
        let other = try numbers.keyed { $0 % Self.keys }
        let pairs = try keyed.intervalJoin(other, lower: .zero, upper: .milliseconds(80), name: "pairs") {
            Row(kind: "pair", key: $0, value: $1)
        }
        let lists = numbers.process(Lists(), name: "lists")
        let rules = env.read(GeneratedSource(0..<40) { $0 }, name: "rules")
        let ruled = numbers.connect(broadcast: rules).process(Rules(), name: "ruled")
        memory.union(windows, pairs, lists, ruled).write(to: .collect(collected, visible: .atOnce), name: "rows")
        return try env.makeExecution()
    }
}
