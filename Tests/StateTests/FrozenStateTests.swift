// SPDX-License-Identifier: Apache-2.0
//  What a snapshot reads stays as it was, whatever the operator does meanwhile.

import Testing
import ThalwegBase
import ThalwegData
import ThalwegState
import ThalwegStorage
import ThalwegTesting

@Suite struct FrozenStateTests {
    /// A store with a state of each kind, changed at random.
    private final class Fixture {
        let store: KeyedStore<Int>
        let value = ValueState<String>()
        let list = ListState<[Int]>()
        let map = MapState<Int, String>()
        let sorted = SortedMapState<String, [Int]>()
        let sum = ReducingState<Int> { $0 &+ $1 }
        let timers = TimerQueue()

        init() throws {
            store = try KeyedStore(.learn())
            try store.register("timers", timers)
            try value.bind("value", to: store)
            try list.bind("list", to: store)
            try map.bind("map", to: store)
            try sorted.bind("sorted", to: store)
            try sum.bind("sum", to: store)
        }

        func change(_ rounds: Int, _ random: inout SeededRandom) {
            for _ in 0..<rounds {
                let keys = (0..<64).map { _ in Int(random.next() % 5_000) }
                var slots = Array(repeating: Int32(0), count: keys.count)
                store.resolve(keys, hashes: keys.map { store.hasher.hash($0) }, count: keys.count, into: &slots)
                for slot in slots {
                    store.slot = Int(slot)
                    let number = Int(random.next() % 1_000)
                    value.value = number % 9 == 0 ? nil : "a value of some length, number \(number)"
                    if number % 7 == 0 { list.clear() } else { list.append([number, number + 1]) }
                    if !list.isEmpty && number % 3 == 0 { list[0][0] += 1 }
                    if number % 11 == 0 { map.clear() } else { map[number % 6, default: ""] += "x" }
                    changeInOrder(number)
                    timers.register(time: Int64(number), slot: Int(slot))
                }
                for slot in slots { store.releaseIfEmpty(Int(slot)) }
                store.releaseUnused()
                while let timer = timers.popDue(Int64(random.next() % 20)) { store.select(Int(timer.slot)) }
            }
        }

        private func changeInOrder(_ number: Int) {
            for index in 0..<(number % 16 == 0 ? 80 : 2) { sorted["entry \(index * number % 100)"] = [number] }
            for (key, _) in sorted.entries(from: "entry 1", to: "entry 2").prefix(number % 20) { sorted[key] = nil }
            sorted["entry \(number % 7)", default: []].append(number)
            if number % 31 == 0 { sorted.removeAll(from: "entry 2") }
            if number % 37 == 0 { sorted.clear() }
            if number % 5 == 0 { sum.clear() } else { sum.add(number) }
        }

        func freeze() -> [StatePart] { store.freeze(operatorName: "fixture", maxParallelism: 32) }
    }

    /// Each part is written by a task of its own while the state goes on changing.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func partsAreWrittenWhileTheStateChanges(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let live = try Fixture()
        live.change(100, &random)
        for _ in 0..<3 {
            // Written at once: the state as it is.
            let expected = try MemorySnapshot(parts: live.freeze(), parallelism: 1)
            live.store.release()
            let parts = live.freeze()
            let writer = Task.detached { try MemorySnapshot(parts: parts, parallelism: 1) }
            live.change(60, &random)
            #expect(try await writer.value.sections == expected.sections, "seed \(seed)")
            live.store.release()
            live.change(20, &random)
        }
    }

    /// The order of keys is remembered as long as none comes or goes; a store that knows nothing writes the same.
    @Test(arguments: 0..<4 as Range<UInt64>)
    func snapshotsDoNotDependOnEarlierOnes(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let live = try Fixture()
        for round in 0..<12 {
            // Now and then only keys that are there change, or none does.
            live.change(round % 3 == 0 ? 30 : round % 3 - 1, &random)
            let written = try MemorySnapshot(parts: live.freeze(), parallelism: 1)
            live.store.release()
            let other = try Fixture()
            try other.store.restore(
                from: KeyedRestore(
                    operatorName: "fixture", state: written, keyGroups: 0..<32, maxParallelism: 32))
            let again = try MemorySnapshot(parts: other.freeze(), parallelism: 1)
            other.store.release()
            #expect(again.sections == written.sections, "seed \(seed), round \(round)")
        }
    }

    /// Barriers may overlap: each snapshot has its own state, in whatever order they are written and released.
    @Test func snapshotsOverlap() throws {
        var random = SeededRandom(seed: 5)
        let live = try Fixture()
        var expected: [MemorySnapshot] = []
        var frozen: [[StatePart]] = []
        for _ in 0..<4 {
            live.change(40, &random)
            expected.append(try MemorySnapshot(parts: live.freeze(), parallelism: 1))
            frozen.append(live.freeze())
        }
        live.change(40, &random)
        for index in [2, 0, 3, 1] {
            #expect(try MemorySnapshot(parts: frozen[index], parallelism: 1).sections == expected[index].sections)
            frozen[index] = []
            live.store.release()
            live.change(10, &random)
        }
        for _ in 0..<4 { live.store.release() }
        live.change(40, &random)
    }

    /// An operator that fails is closed while its last snapshot may still be written.
    @Test func theStateMayGoBeforeItsSnapshot() throws {
        var random = SeededRandom(seed: 9)
        var live: Fixture? = try Fixture()
        live?.change(100, &random)
        let expected = try MemorySnapshot(parts: live?.freeze() ?? [], parallelism: 1)
        let parts = live?.freeze() ?? []
        live?.change(20, &random)
        live = nil
        #expect(!expected.entries(of: "value").isEmpty)
        #expect(try MemorySnapshot(parts: parts, parallelism: 1).sections == expected.sections)
    }

    @Test func valuesAreCopiesOnTheWayInAndOut() throws {
        let live = try Fixture()
        var slots: [Int32] = [0]
        live.store.resolve([1], hashes: [live.store.hasher.hash(1)], count: 1, into: &slots)
        live.store.slot = Int(slots[0])
        var local = [1, 2]
        live.list.append(local)
        local[0] = 7
        #expect(live.list.values == [[1, 2]])
        var read = live.list.values
        read[0][1] = 9
        #expect(live.list.values == [[1, 2]])
        let frozen = try MemorySnapshot(parts: live.freeze(), parallelism: 1)
        read[0][0] = 3
        local[1] = 4
        live.store.release()
        #expect(try MemorySnapshot(parts: live.freeze(), parallelism: 1).sections == frozen.sections)
    }

    @Test func otherTypesAreRefusedAndSay() throws {
        let live = try Fixture()
        var random = SeededRandom(seed: 1)
        live.change(1, &random)
        let snapshot = try MemorySnapshot(parts: live.freeze(), parallelism: 1)
        let store = try KeyedStore<Int>(.learn())
        try ValueState<Int>().bind("value", to: store)
        let source = KeyedRestore(
            operatorName: "fixture", state: snapshot, keyGroups: 0..<32, maxParallelism: 32)
        let error = #expect(throws: ThalwegError.self) { try store.restore(from: source) }
        #expect(error?.kind == .job)
        let text = error?.description ?? ""
        for word in ["fixture", "\"value\"", "string", "int64", "hint"] { #expect(text.contains(word), "\(text)") }
    }

    @Test func aKeyInTheWrongGroupIsRefused() throws {
        let live = try Fixture()
        var random = SeededRandom(seed: 1)
        live.change(1, &random)
        let snapshot = try MemorySnapshot(parts: live.freeze(), parallelism: 1)
        let source = KeyedRestore(
            operatorName: "fixture", state: snapshot, keyGroups: 0..<64, maxParallelism: 64)
        let error = #expect(throws: ThalwegError.self) { try Fixture().store.restore(from: source) }
        #expect(error?.kind == .corrupt)
    }
}
