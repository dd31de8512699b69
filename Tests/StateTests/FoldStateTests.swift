// SPDX-License-Identifier: Apache-2.0
//  Reducing and aggregating state: what is added, what is read, and what stands in snapshots.

import Testing
import ThalwegBase
import ThalwegData
import ThalwegState
import ThalwegStorage
import ThalwegTesting

/// The texts so far, and how many.
private struct Join: AggregateFunction {
    struct Texts: Codable, Sendable {
        var text = ""
        var count = 0
    }
    func makeAccumulator() -> Texts { Texts() }
    func add(_ value: String, to accumulator: inout Texts) {
        accumulator.text += value
        accumulator.count += 1
    }
    func merge(_ other: Texts, into accumulator: inout Texts) {
        accumulator.text += other.text
        accumulator.count += other.count
    }
    func result(_ accumulator: Texts) -> String { "\(accumulator.count): \(accumulator.text)" }
}

@Suite struct FoldStateTests {
    private final class Fixture {
        let store: KeyedStore<Int>
        let longest = ReducingState<String> { $0.count >= $1.count ? $0 : $1 }
        let all = AggregatingState(Join())

        init() throws {
            store = try KeyedStore(.learn())
            try longest.bind("longest", to: store)
            try all.bind("all", to: store)
        }

        func enter(_ key: Int) {
            var slots: [Int32] = [0]
            store.resolve([key], hashes: [store.hasher.hash(key)], count: 1, into: &slots)
            store.slot = Int(slots[0])
        }

        func add(_ text: String, at key: Int) {
            enter(key)
            longest.add(text)
            all.add(text)
        }
    }

    @Test func eachKeyFoldsItsOwn() throws {
        let state = try Fixture()
        state.enter(1)
        #expect(state.longest.value == nil && state.all.value == "0: ")
        for (key, text) in [(1, "a"), (2, "xyz"), (1, "bcd"), (1, "ef"), (2, "uvw")] { state.add(text, at: key) }
        state.enter(1)
        #expect(state.longest.value == "bcd" && state.all.value == "3: abcdef")
        state.enter(2)
        #expect(state.longest.value == "xyz" && state.all.value == "2: xyzuvw")
        state.longest.clear()
        state.all.clear()
        #expect(state.longest.value == nil && state.all.value == "0: ")
        #expect(state.store.mayBeEmpty && state.store.isEmpty(state.store.slot))
    }

    /// They stand in snapshots as values do, and come back as either.
    @Test func standsAsAValue() throws {
        let state = try Fixture()
        for (key, text) in [(1, "a"), (2, "xyz"), (1, "bcd")] { state.add(text, at: key) }
        let snapshot = try MemorySnapshot(
            parts: state.store.freeze(operatorName: "op", maxParallelism: 8), parallelism: 1)
        #expect(snapshot.states.map(\.kind) == [.value, .value])
        let source = KeyedRestore(operatorName: "op", state: snapshot, keyGroups: 0..<8, maxParallelism: 8)
        let again = try Fixture()
        try again.store.restore(from: source)
        again.add("ef", at: 1)
        #expect(again.longest.value == "bcd" && again.all.value == "3: abcdef")
        let store = try KeyedStore<Int>(.learn())
        let (longest, texts) = (ValueState<String>(), ValueState<Join.Texts>())
        try longest.bind("longest", to: store)
        try texts.bind("all", to: store)
        try store.restore(from: source)
        var slots: [Int32] = [0]
        store.resolve([2], hashes: [store.hasher.hash(2)], count: 1, into: &slots)
        store.slot = Int(slots[0])
        #expect(longest.value == "xyz" && texts.value?.count == 1)
    }
}
