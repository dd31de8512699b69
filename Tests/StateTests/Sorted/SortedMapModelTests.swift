// SPDX-License-Identifier: Apache-2.0
//  Sorted maps against sorted arrays, in the order of the encoded keys (50.d4).

import Foundation
import Testing
import ThalwegBase
import ThalwegData
import ThalwegStorage
import ThalwegTesting

@testable import ThalwegState

/// Makes up user keys: some from a small pool, so that they meet, and some from everywhere.
private struct Keys<Key: Codable & Sendable> {
    let name: String
    let draw: (inout SeededRandom) -> Key
}

private struct Place: Codable, Sendable {
    var name: String
    var number: Int32?
}

private enum Pool {
    static let texts = ["", "\0", "a", "a\0", "a\0b", "ab", "é", "e\u{301}", "naïve", "🌊", "\u{FFFF}", "z", "zz"]
    static let numbers: [Double] = [
        0, -0.0, .nan, -.nan, .infinity, -.infinity, 1, -1, 1e300, -1e300, .leastNonzeroMagnitude, .pi,
    ]

    static func text(_ random: inout SeededRandom) -> String {
        random.next() % 3 == 0 ? "k\(random.next() % 500)" : texts[Int(random.next() % UInt64(texts.count))]
    }
    static func number(_ random: inout SeededRandom) -> Int64 {
        switch random.next() % 8 {
        case 0: .min
        case 1: .max
        default: Int64(random.next() % 600) - 300
        }
    }
}

/// What a map must hold, by the bytes of its user keys.
private struct Twin {
    typealias Entry = (bytes: [UInt8], value: Int)
    private(set) var entries: [Entry] = []

    func position(_ bytes: [UInt8]) -> Int {
        entries.firstIndex { !$0.bytes.lexicographicallyPrecedes(bytes) } ?? entries.count
    }
    func value(_ bytes: [UInt8]) -> Int? { entries.first { $0.bytes == bytes }?.value }
    mutating func set(_ bytes: [UInt8], _ value: Int?) {
        let position = position(bytes)
        if position < entries.count, entries[position].bytes == bytes { entries.remove(at: position) }
        if let value { entries.insert((bytes, value), at: position) }
    }
    /// What lies between two user keys; nil: from the first, to the last.
    func range(_ lower: [UInt8]?, _ upper: [UInt8]?, isClosed: Bool) -> [Entry] {
        entries.filter { entry in
            if let lower, entry.bytes.lexicographicallyPrecedes(lower) { return false }
            guard let upper else { return true }
            return entry.bytes.lexicographicallyPrecedes(upper) || isClosed && entry.bytes == upper
        }
    }
}

/// Subtasks with a sorted map for each of a few keys, moved by the same draws as their twins.
private final class Subject<Key: Codable & Sendable> {
    private typealias Subtask = (store: KeyedStore<Int>, map: SortedMapState<Key, Int>)
    private static var maxParallelism: Int { 8 }

    private let keys: Keys<Key>
    private let encoder: KeyEncoder<Key>
    private let order: KeyComparator<Key>
    private var random: SeededRandom
    private var subtasks: [Subtask] = []
    private var twins: [Int: Twin] = [:]
    private let label: String

    init(_ keys: Keys<Key>, seed: UInt64) throws {
        self.keys = keys
        encoder = try KeyEncoder()
        order = try KeyComparator(.learn())
        random = SeededRandom(seed: seed)
        label = "\(keys.name), seed \(seed)"
        subtasks = [try Self.makeSubtask()]
    }

    private static func makeSubtask() throws -> Subtask {
        let subtask: Subtask = (try KeyedStore(.learn()), SortedMapState())
        try subtask.map.bind("map", to: subtask.store)
        return subtask
    }

    private func draw(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
    private func drawKey() throws -> (Key, [UInt8]) {
        let key = keys.draw(&random)
        return (key, try encoder.encode(key))
    }

    func run(_ steps: Int) throws {
        for step in 0..<steps {
            if draw(60) == 0 { try restart() }
            let key = draw(4)
            let subtask = enter(key)
            var twin = twins[key] ?? Twin()
            subtask.store.mayBeEmpty = false
            try change(subtask.map, &twin)
            try check(subtask.map, twin, step)
            if subtask.store.mayBeEmpty { subtask.store.releaseIfEmpty(subtask.store.slot) }
            subtask.store.releaseUnused()
            twins[key] = twin.entries.isEmpty ? nil : twin
            #expect(subtasks.reduce(0) { $0 + $1.store.table.count } == twins.count, "\(label), step \(step)")
        }
    }

    private func enter(_ key: Int) -> Subtask {
        let hash = subtasks[0].store.hasher.hash(key)
        let group = KeyGroup.of(hash: hash, maxParallelism: Self.maxParallelism)
        let subtask = subtasks[
            KeyGroup.subtask(of: group, maxParallelism: Self.maxParallelism, parallelism: subtasks.count)]
        var slots: [Int32] = [0]
        subtask.store.resolve([key], hashes: [hash], count: 1, into: &slots)
        subtask.store.slot = Int(slots[0])
        return subtask
    }

    /// A snapshot, and a start from it at another parallelism.
    private func restart() throws {
        let parts = subtasks.flatMap {
            $0.store.freeze(operatorName: "op", maxParallelism: Self.maxParallelism)
        }
        let snapshot = try MemorySnapshot(parts: parts, parallelism: subtasks.count)
        for subtask in subtasks { subtask.store.release() }
        let parallelism = 1 + draw(3)
        subtasks = try (0..<parallelism).map { index in
            let subtask = try Self.makeSubtask()
            let groups = KeyGroup.range(
                subtask: index, maxParallelism: Self.maxParallelism, parallelism: parallelism)
            try subtask.store.restore(
                from: KeyedRestore(
                    operatorName: "op", state: snapshot, keyGroups: groups, maxParallelism: Self.maxParallelism))
            return subtask
        }
    }

    private func change(_ map: SortedMapState<Key, Int>, _ twin: inout Twin) throws {
        let ((key, bytes), number) = (try drawKey(), draw(1000))
        switch draw(14) {
        case 0...5:
            map[key] = number
            twin.set(bytes, number)
        case 6:
            map[key] = nil
            twin.set(bytes, nil)
        case 7:
            map[key, default: 7] += number
            twin.set(bytes, (twin.value(bytes) ?? 7) + number)
        case 8:
            let (entry, expected) = (map.popFirst(), twin.entries.first)
            #expect(same(entry, expected), "\(label)")
            if let expected { twin.set(expected.bytes, nil) }
        case 9:
            let (entry, expected) = (map.popLast(), twin.entries.last)
            #expect(same(entry, expected), "\(label)")
            if let expected { twin.set(expected.bytes, nil) }
        case 10 where draw(3) == 0:
            let (other, otherBytes) = try drawKey()
            let isClosed = draw(2) == 0
            for entry in twin.range(bytes, otherBytes, isClosed: isClosed) { twin.set(entry.bytes, nil) }
            if isClosed { map.removeAll(from: key, through: other) } else { map.removeAll(from: key, to: other) }
        case 11 where draw(12) == 0:
            map.clear()
            twin = Twin()
        default: try changeWhileWalking(map, &twin)
        }
    }

    /// Walks over a stretch and changes the map meanwhile: what is seen is what there was.
    private func changeWhileWalking(_ map: SortedMapState<Key, Int>, _ twin: inout Twin) throws {
        let lower = try draw(3) == 0 ? nil : drawKey()
        let upper = try draw(3) == 0 ? nil : drawKey()
        let (isClosed, isDescending, limit) = (draw(2) == 0 && upper != nil, draw(2) == 0, draw(40))
        var expected = twin.range(lower?.1, upper?.1, isClosed: isClosed)
        var entries: SortedEntries<Key, Int>
        if isClosed, let upper {
            entries = map.entries(from: lower?.0, through: upper.0)
        } else {
            entries = map.entries(from: lower?.0, to: upper?.0)
        }
        if isDescending {
            entries = entries.reversed()
            expected.reverse()
        }
        var count = 0
        for entry in entries {
            #expect(same(entry, count < expected.count ? expected[count] : nil), "\(label)")
            count += 1
            let (other, otherBytes) = try drawKey()
            switch draw(6) {
            case 0:
                map[entry.key] = nil
                twin.set(try encoder.encode(entry.key), nil)
            case 1:
                map[other] = count
                twin.set(otherBytes, count)
            case 2 where draw(10) == 0:
                map.removeAll(to: other)
                for entry in twin.range(nil, otherBytes, isClosed: false) { twin.set(entry.bytes, nil) }
            default: break
            }
            if count == limit { return }
        }
        #expect(count == expected.count, "\(label)")
    }

    private func same(_ entry: (key: Key, value: Int)?, _ expected: Twin.Entry?) -> Bool {
        guard let entry, let expected else { return entry == nil && expected == nil }
        return (try? encoder.encode(entry.key)) == expected.bytes && entry.value == expected.value
    }

    private func check(_ map: SortedMapState<Key, Int>, _ twin: Twin, _ step: Int) throws {
        let (key, bytes) = try drawKey()
        #expect(map[key] == twin.value(bytes) && map.contains(key) == (twin.value(bytes) != nil), "\(label) \(step)")
        #expect(same(map.first, twin.entries.first) && same(map.last, twin.entries.last), "\(label) \(step)")
        #expect(same(map.first(from: key), twin.range(bytes, nil, isClosed: false).first), "\(label) \(step)")
        #expect(same(map.last(through: key), twin.range(nil, bytes, isClosed: true).last), "\(label) \(step)")
        #expect(map.count == twin.entries.count && map.isEmpty == twin.entries.isEmpty, "\(label) \(step)")
        guard step % 16 == 0 else { return }
        let all = Array(map.entries)
        #expect(all.count == twin.entries.count, "\(label) \(step)")
        for (entry, expected) in zip(all, twin.entries) { #expect(same(entry, expected), "\(label) \(step)") }
        #expect(map.column.address(map.store.slot).pointee.isSound(order), "\(label) \(step)")
    }
}

extension SortedTree {
    /// Whether keys ascend, nodes are as full as they have to be and the count is right.
    fileprivate func isSound(_ order: KeyComparator<Key>) -> Bool {
        guard let root else { return count == 0 && height == 0 }
        var keys: [Key] = []
        guard Self.isSound(root, level: Int(height), from: nil, to: nil, order, &keys) else { return false }
        let ascends = zip(keys, keys.dropFirst()).allSatisfy { order.precedes($0, $1) }
        return ascends && keys.count == count && (height == 0 || Self.count(root) > 1)
    }

    private static func isSound(
        _ node: AnySortedNode, level: Int, from lower: Key?, to upper: Key?, _ order: KeyComparator<Key>,
        _ keys: inout [Key]
    ) -> Bool {
        if level == 0 {
            let leaf = leaf(node)
            for index in 0..<leaf.count {
                let key = leaf.keys[index]
                if let lower, order.precedes(key, lower) { return false }
                if let upper, !order.precedes(key, upper) { return false }
                keys.append(key)
            }
            return leaf.count > 0 && leaf.count <= leaf.room && leaf.room <= entriesMax
        }
        let inner = inner(node)
        for index in 0..<inner.count {
            let start = index == 0 ? lower : inner.keys[index]
            let end = index + 1 < inner.count ? inner.keys[index + 1] : upper
            let child = inner.payloads[index]
            if !isSound(child, level: level - 1, from: start, to: end, order, &keys) { return false }
        }
        return inner.count > 0 && inner.count <= inner.room
    }
}

@Suite struct SortedMapModelTests {
    private static let isFull = ProcessInfo.processInfo.environment["THALWEG_FULL"] == "1"
    private static let steps = isFull ? 20_000 : 1500

    @Test(arguments: 0..<3 as Range<UInt64>)
    func numbersAreInOrder(_ seed: UInt64) throws {
        try Subject(Keys(name: "numbers", draw: Pool.number), seed: seed).run(Self.steps)
        try Subject(
            Keys(name: "moments", draw: { EventTime(milliseconds: Pool.number(&$0)) }), seed: seed
        ).run(Self.steps)
        try Subject(
            Keys(name: "doubles", draw: { Pool.numbers[Int($0.next() % UInt64(Pool.numbers.count))] }), seed: seed
        ).run(Self.steps)
    }

    @Test(arguments: 0..<3 as Range<UInt64>)
    func textsAndRecordsAreInOrder(_ seed: UInt64) throws {
        try Subject(Keys(name: "texts", draw: Pool.text), seed: seed).run(Self.steps)
        try Subject(
            Keys<Int64?>(name: "optionals", draw: { $0.next() % 9 == 0 ? nil : Pool.number(&$0) }), seed: seed
        ).run(Self.steps)
        let places = Keys<Place>(
            name: "records",
            draw: { random in
                Place(
                    name: Pool.text(&random),
                    number: random.next() % 3 == 0 ? nil : Int32(truncatingIfNeeded: Pool.number(&random)))
            })
        try Subject(places, seed: seed).run(Self.steps)
    }

    // MARK: Large maps

    private func makeMap<Key: Codable & Sendable>(
        _: Key.Type
    ) throws -> (KeyedStore<Int>, SortedMapState<Key, Int>, KeyComparator<Key>) {
        let store = try KeyedStore<Int>(.learn())
        let map = SortedMapState<Key, Int>()
        try map.bind("map", to: store)
        var slots: [Int32] = [0]
        store.resolve([1], hashes: [store.hasher.hash(1)], count: 1, into: &slots)
        store.slot = Int(slots[0])
        return (store, map, try KeyComparator(.learn()))
    }

    /// Grows over several levels in three orders, then shrinks to nothing, sound at every hundredth step.
    @Test(arguments: ["ascending", "descending", "shuffled"])
    func growsAndShrinks(_ way: String) throws {
        let (store, map, order) = try makeMap(Int.self)
        var random = SeededRandom(seed: 3)
        let keys: [Int] =
            switch way {
            case "ascending": Array(0..<9000)
            case "descending": (0..<9000).reversed()
            default: (0..<9000).shuffled(using: &random)
            }
        func expectSound(_ expected: Int) {
            #expect(map.column.address(store.slot).pointee.isSound(order) && map.count == expected, "\(way)")
        }
        for (index, key) in keys.enumerated() {
            map[key] = key
            if index % 100 == 0 { expectSound(index + 1) }
        }
        #expect(map.column.address(store.slot).pointee.height >= 2)
        #expect(map.entries.map(\.value) == Array(0..<9000))
        #expect(map.entries.reversed().map(\.key) == (0..<9000).reversed())
        #expect(map.entries(from: 4000, to: 4010).map(\.key) == Array(4000..<4010))
        let before = map.entries
        for (index, key) in keys.shuffled(using: &random).enumerated() {
            map[key] = nil
            if index % 100 == 0 { expectSound(keys.count - index - 1) }
        }
        #expect(store.mayBeEmpty && map.isEmpty && map.column.address(store.slot).pointee.root == nil)
        #expect(before.map(\.value) == Array(0..<9000), "a walk sees what there was when it began")
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func removesStretches(_ seed: UInt64) throws {
        let (store, map, order) = try makeMap(Int.self)
        var random = SeededRandom(seed: seed)
        for key in 0..<9000 { map[key] = key }
        var expected = Array(0..<9000)
        while !expected.isEmpty {
            let lower = Int.random(in: -10..<9010, using: &random)
            let upper = lower + Int.random(in: -100..<3000, using: &random)
            map.removeAll(from: lower, through: upper)
            expected.removeAll { $0 >= lower && $0 <= upper }
            #expect(map.entries.map(\.key) == expected, "seed \(seed)")
            #expect(map.column.address(store.slot).pointee.isSound(order), "seed \(seed)")
        }
    }

    @Test func textsWithAPrefix() throws {
        let (store, map, _) = try makeMap(String.self)
        defer { withExtendedLifetime(store) {} }
        let texts = ["", "a", "ab", "ab\0", "abc", "ab\u{10FFFF}", "ac", "b", "é", "e\u{301}"]
        for (index, text) in texts.enumerated() { map[text] = index }
        #expect(map.entries(withPrefix: "ab").map(\.key) == ["ab", "ab\0", "abc", "ab\u{10FFFF}"])
        #expect(map.entries(withPrefix: "ab").reversed().first?.key == "ab\u{10FFFF}")
        #expect(map.entries(withPrefix: "").map(\.value).count == texts.count)
        #expect(map.entries(withPrefix: "x").first == nil)
        map.removeAll(withPrefix: "ab")
        #expect(map.entries(withPrefix: "a").map(\.key) == ["a", "ac"] && map.count == texts.count - 4)
    }

    private enum Shape: Codable, Sendable { case circle(Int), dot }

    @Test func aKeyWithoutAnOrderIsRefused() throws {
        let store = try KeyedStore<Int>(.learn())
        let error = #expect(throws: ThalwegError.self) { try SortedMapState<Shape, Int>().bind("map", to: store) }
        #expect(error?.kind == .job && error?.description.contains("Shape") == true, "\(String(describing: error))")
    }

    /// A map without order can become one with it, and back: they stand alike in snapshots.
    @Test func readsWhatAMapStateHasStored() throws {
        let store = try KeyedStore<Int>(.learn())
        let map = MapState<Int, String>()
        try map.bind("map", to: store)
        var slots: [Int32] = [0]
        store.resolve([1], hashes: [store.hasher.hash(1)], count: 1, into: &slots)
        store.slot = Int(slots[0])
        for key in [5, -3, 9, 0] { map[key] = "\(key)" }
        let snapshot = try MemorySnapshot(
            parts: store.freeze(operatorName: "op", maxParallelism: 8), parallelism: 1)
        let other = try KeyedStore<Int>(.learn())
        let sorted = SortedMapState<Int, String>()
        try sorted.bind("map", to: other)
        try other.restore(
            from: KeyedRestore(operatorName: "op", state: snapshot, keyGroups: 0..<8, maxParallelism: 8))
        other.resolve([1], hashes: [other.hasher.hash(1)], count: 1, into: &slots)
        other.slot = Int(slots[0])
        #expect(sorted.entries.map(\.value) == ["-3", "0", "5", "9"])
        let again = try MemorySnapshot(parts: other.freeze(operatorName: "op", maxParallelism: 8), parallelism: 1)
        #expect(again.sections == snapshot.sections)
    }
}
