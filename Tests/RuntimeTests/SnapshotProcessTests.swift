// SPDX-License-Identifier: Apache-2.0
//  Process functions frozen at a barrier and restored, also at another parallelism.

import Testing
import Thalweg
import ThalwegTesting

/// Keeps a value, a list and a map for each key and answers with all of them; asks for a timer now and then.
private struct Memory: KeyedProcessFunction {
    @State var last = ValueState<String>()
    @State var all = ListState<Int>()
    @State var counts = MapState<String, Int>()

    mutating func process(_ value: Int, _ context: KeyedContext<Int>, _ out: Collector<String>) {
        last.value = value % 11 == 0 ? nil : "v\(value)"
        if value % 13 == 0 { all.clear() } else { all.append(value) }
        counts["m\(value % 5)", default: 0] += 1
        if value % 7 == 0 { counts.clear() }
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
        }
        out.emit(text(context.key, "\(domain) \(time.milliseconds)"))
    }

    private func text(_ key: Int, _ what: String) -> String {
        var entries: [String] = []
        counts.forEach { entries.append("\($0)=\($1)") }
        return "\(key) \(what) \(last.value ?? "-") \(all.values) \(entries.sorted())"
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
