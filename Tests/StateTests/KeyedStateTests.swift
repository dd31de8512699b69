// SPDX-License-Identifier: Apache-2.0
//  Value, list and map state against dictionaries, slots given back and used again.

import Testing
import ThalwegBase
import ThalwegData
import ThalwegState

@Suite struct KeyedStateTests {
    private final class Fixture {
        let store: KeyedStore<Int>
        let value = ValueState<String>()
        let list = ListState<Int>()
        let map = MapState<String, Int>()

        init() throws {
            store = try KeyedStore(.learn())
            try value.bind("value", to: store)
            try list.bind("list", to: store)
            try map.bind("map", to: store)
        }

        func enter(_ keys: [Int]) -> [Int32] {
            var slots = Array(repeating: Int32(0), count: keys.count)
            store.resolve(keys, hashes: keys.map { store.hasher.hash($0) }, count: keys.count, into: &slots)
            return slots
        }
    }

    private struct Twin: Equatable {
        var value: String?
        var list: [Int] = []
        var map: [String: Int] = [:]
        var isEmpty: Bool { value == nil && list.isEmpty && map.isEmpty }
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func behavesAsDictionaries(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let state = try Fixture()
        var twins: [Int: Twin] = [:]
        for round in 0..<400 {
            let keys = (0..<Int.random(in: 1...20, using: &random)).map { _ in Int.random(in: 0..<60, using: &random) }
            let slots = state.enter(keys)
            var emptied: [Int] = []
            for (key, slot) in zip(keys, slots) {
                state.store.slot = Int(slot)
                #expect(state.store.currentKey == key)
                var twin = twins[key] ?? Twin()
                change(state, &twin, &random)
                #expect(state.value.value == twin.value, "seed \(seed) round \(round) key \(key)")
                #expect(state.list.values == twin.list && state.list.count == twin.list.count)
                check(state.map, twin.map)
                if state.store.mayBeEmpty { emptied.append(Int(slot)) }
                state.store.mayBeEmpty = false
                twins[key] = twin
            }
            state.store.releaseUnused()
            for slot in emptied { state.store.releaseIfEmpty(slot) }
            twins = twins.filter { !$0.value.isEmpty }
            #expect(state.store.table.count == twins.count, "seed \(seed) round \(round)")
        }
        #expect(state.store.table.slotLimit <= 80)
    }

    private func change(_ state: Fixture, _ twin: inout Twin, _ random: inout SeededRandom) {
        let (name, number) = ("k\(random.next() % 5)", Int(random.next() % 100))
        switch random.next() % 15 {
        case 0: (state.value.value, twin.value) = (name, name)
        case 1: (state.value.value, twin.value) = (nil, nil)
        case 2:
            state.value[default: "new"] += "!"
            twin.value = (twin.value ?? "new") + "!"
        case 3:
            state.value.clear()
            twin.value = nil
        case 4, 5:
            state.list.append(number)
            twin.list.append(number)
        case 6:
            state.list.values.removeAll { $0 % 2 == 0 }
            twin.list.removeAll { $0 % 2 == 0 }
        case 7:
            state.list.clear()
            twin.list = []
        case 8, 9: (state.map[name], twin.map[name]) = (number, number)
        case 10: (state.map[name], twin.map[name]) = (nil, nil)
        case 11:
            state.map[name, default: 7] += number
            twin.map[name, default: 7] += number
        case 12:
            state.map.clear()
            twin.map = [:]
        default: break
        }
    }

    private func check(_ map: MapState<String, Int>, _ twin: [String: Int]) {
        var seen: [String: Int] = [:]
        map.forEach { seen[$0] = $1 }
        #expect(seen == twin && map.count == twin.count && map.isEmpty == twin.isEmpty)
        for key in ["k0", "k1", "k9"] { #expect(map[key] == twin[key] && map.contains(key) == (twin[key] != nil)) }
    }

    /// A21.5: values in state and values of the user never share changes.
    @Test func valuesAreCopies() throws {
        let state = try Fixture()
        state.store.slot = Int(state.enter([1])[0])
        var mine = [1, 2, 3]
        state.list.values = mine
        mine.append(4)
        #expect(state.list.values == [1, 2, 3])
        var read = state.list.values
        read.removeAll()
        #expect(state.list.values == [1, 2, 3])
        state.value.value = "a"
        var text = state.value.value ?? ""
        text += "b"
        #expect(state.value.value == "a" && text == "ab")
    }

    @Test func twoStatesOfOneNameAreRefused() throws {
        let store = try KeyedStore<Int>(.learn())
        try ValueState<Int>().bind("count", to: store)
        #expect(throws: ThalwegError.self) { try ListState<Int>().bind("count", to: store) }
    }

    @Test func manyKeysGrowAndShrink() throws {
        let state = try Fixture()
        for round in 0..<3 {
            let keys = Array(0..<5000)
            for (key, slot) in zip(keys, state.enter(keys)) {
                state.store.slot = Int(slot)
                #expect(state.value.value == nil && state.list.isEmpty && state.map.isEmpty, "round \(round)")
                state.value.value = "\(key)"
                state.map["x"] = key
            }
            state.store.releaseUnused()
            for (key, slot) in zip(keys, state.enter(keys)) {
                state.store.slot = Int(slot)
                #expect(state.value.value == "\(key)" && state.map["x"] == key)
                state.value.clear()
                state.map.clear()
                state.store.releaseIfEmpty(Int(slot))
            }
            state.store.releaseUnused()
            #expect(state.store.table.count == 0)
        }
        #expect(state.store.table.slotLimit == 5000)
    }
}
