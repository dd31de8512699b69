// SPDX-License-Identifier: Apache-2.0
//  Process functions frozen at a barrier and restored, also at another parallelism.

import Testing
import Thalweg
import ThalwegTesting

/// Keeps state of each kind for each key and answers with all of it; asks for a timer now and then.
private struct Memory: KeyedProcessFunction {
    @State var last = ValueState<String>()
    @State var all = ListState<Int>()
    @State var counts = MapState<String, Int>()
    @State var inOrder = SortedMapState<Int, String>()
    @State var greatest = ReducingState<Int> { max($0, $1) }
    @State var mean = AggregatingState(Average<Int> { Double($0) })

    mutating func process(_ value: Int, _ context: KeyedContext<Int>, _ out: Collector<String>) {
        last.value = value % 11 == 0 ? nil : "v\(value)"
        if value % 13 == 0 { all.clear() } else { all.append(value) }
        counts["m\(value % 5)", default: 0] += 1
        if value % 7 == 0 { counts.clear() }
        for number in 0..<(value % 10 == 0 ? 100 : 3) { inOrder[number * value % 1000 - 500] = "\(value)" }
        for (number, _) in inOrder.entries(from: -100, to: value % 100) where number % 3 == 0 { inOrder[number] = nil }
        if value % 17 == 0 { inOrder.removeAll(from: 100) }
        greatest.add(value)
        mean.add(value)
        if value % 4 == 0 { context.registerEventTimeTimer(at: EventTime(milliseconds: Int64(value / 2))) }
        if value % 6 == 0 { context.registerProcessingTimeTimer(at: EventTime(milliseconds: Int64(value))) }
        out.emit(text(context.key, "record \(value)"))
    }

    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int>, _ out: Collector<String>
    ) {
        if time.milliseconds % 3 == 0 {
            last.clear()
            all.clear()
            counts.clear()
            inOrder.clear()
            greatest.clear()
            mean.clear()
        }
        out.emit(text(context.key, "\(domain) \(time.milliseconds)"))
    }

    private func text(_ key: Int, _ what: String) -> String {
        var entries: [String] = []
        counts.forEach { entries.append("\($0)=\($1)") }
        let folds = "\(greatest.value ?? -1) \(mean.value ?? -1)"
        let ordered = [inOrder.entries, inOrder.entries(from: 0).reversed()].map { entries in
            entries.prefix(6).map { "\($0)=\($1)" }
        }
        let collections = "\(all.values) \(entries.sorted()) \(ordered) \(inOrder.count)"
        return "\(key) \(what) \(last.value ?? "-") \(collections) \(folds)"
    }
}

@Suite struct SnapshotProcessTests {
    private typealias Harness = KeyedHarness<Memory>

    private func make(_ parallelism: Int, _ state: MemorySnapshot? = nil, at time: Int64 = 0) throws -> [Harness] {
        try (0..<parallelism).map {
            try KeyedHarness(
                Memory(), keyedBy: { $0 % 97 }, restoring: state, subtask: $0, parallelism: parallelism,
                maxParallelism: 16, batchCapacity: 8, startingAt: time)
        }
    }

    private func push(_ values: [Int], into subtasks: [Harness]) throws {
        let hasher = try KeyHasher<Int>()
        for value in values {
            let group = KeyGroup.of(hash: hasher.hash(value % 97), maxParallelism: 16)
            let owner = KeyGroup.subtask(of: group, maxParallelism: 16, parallelism: subtasks.count)
            try subtasks[owner].push(value, at: Int64(value))
        }
    }

    private func run(_ values: [Int], _ first: Int, _ second: Int, breakAt: Int?) throws -> [String] {
        var subtasks = try make(first)
        var outputs: [String] = []
        for (index, value) in values.enumerated() {
            if index == breakAt {
                outputs += subtasks.flatMap(\.outputs)
                let frozen = try subtasks.map { try $0.base.freeze() }
                // What happens after the barrier must not be in the snapshot.
                try push(values, into: subtasks)
                for subtask in subtasks { try subtask.advanceWatermark(to: 1000) }
                let time = subtasks[0].base.time.now
                subtasks = try make(second, MemorySnapshot(frozen), at: time)
            }
            try push([value], into: subtasks)
            if index % 10 == 9 {
                for subtask in subtasks {
                    try subtask.advanceWatermark(to: Int64(index * 3))
                    try subtask.advanceProcessingTime(to: Int64(index * 2))
                }
            }
        }
        for subtask in subtasks { try subtask.finish() }
        return (outputs + subtasks.flatMap(\.outputs)).sorted()
    }

    @Test(arguments: 0..<12 as Range<UInt64>)
    func restoredRunEqualsTheUnbrokenOne(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let values = (0..<300).map { _ in Int.random(in: 0..<600, using: &random) }
        let first = Int.random(in: 1...4, using: &random)
        let second = Int.random(in: 1...4, using: &random)
        let breakAt = Int.random(in: 1..<300, using: &random)
        let expected = try run(values, 1, 1, breakAt: nil)
        #expect(
            try run(values, first, second, breakAt: breakAt) == expected,
            "seed \(seed): \(first) to \(second) at \(breakAt)")
    }
}
