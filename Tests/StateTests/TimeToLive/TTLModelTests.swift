// SPDX-License-Identifier: Apache-2.0
//  States with a time to live against their naive twin (A25.1).

import Foundation
import Testing
import ThalwegBase
import ThalwegData
import ThalwegState
import ThalwegTesting

/// A state under test, moved by the same draws as its twin.
private final class Subject {
    enum Kind: String, CaseIterable { case value, aggregate, reduced, list, map, sorted }

    let kind: Kind
    private(set) var store: KeyedStore<Int>
    let time: StateTime
    private var value: ValueState<Int>
    private var reduced: ReducingState<Int>
    private var list: ListState<Int>
    private var map: MapState<Int, Int>
    private var sorted: SortedMapState<Int, Int>
    var twin: TTLModel
    var random: SeededRandom
    private var expired: [String] = []

    init(_ kind: Kind, _ ttl: StateTTL, seed: UInt64) throws {
        self.kind = kind
        store = try KeyedStore(.learn())
        value = ValueState(ttl: ttl)
        reduced = ReducingState(ttl: ttl) { $0 + $1 }
        list = ListState(ttl: ttl)
        map = MapState(ttl: ttl)
        sorted = SortedMapState(ttl: ttl)
        twin = TTLModel(ttl)
        random = SeededRandom(seed: seed)
        let record = RecordTime()
        recordTime = record
        time = StateTime(
            recordTime: { record.time },
            emitting: { moment, body in
                record.emitted = moment
                body()
            })
        time.advanceProcessingTime(to: 0)
        time.advanceEventTime(to: 0)
        try open()
    }

    private func open() throws {
        store.time = time
        let note = { [unowned self] (key: Int, id: Int, value: Int) in
            expired.append("\(key) \(id) \(value) at \(recordTime.emitted)")
        }
        value.onExpired { (key: Int, value: Int) in note(key, 0, value) }
        reduced.onExpired { (key: Int, value: Int) in note(key, 0, value) }
        list.onExpired { (key: Int, value: Int) in note(key, 0, value) }
        map.onExpired { (key: Int, id: Int, value: Int) in note(key, id, value) }
        sorted.onExpired { (key: Int, id: Int, value: Int) in note(key, id, value) }
        switch kind {
        case .value, .aggregate: try value.bind("state", to: store)
        case .list: try list.bind("state", to: store)
        case .reduced: try reduced.bind("state", to: store)
        case .map: try map.bind("state", to: store)
        case .sorted: try sorted.bind("state", to: store)
        }
    }

    /// A snapshot and a start from it: what has expired when it is taken is gone, and nobody hears of it.
    private func restart() throws {
        let snapshot = try MemorySnapshot(
            parts: store.freeze(operatorName: "op", maxParallelism: 4), parallelism: 1)
        let ttl = twin.ttl
        store = try KeyedStore(.learn())
        value = ValueState(ttl: ttl)
        reduced = ReducingState(ttl: ttl) { $0 + $1 }
        list = ListState(ttl: ttl)
        map = MapState(ttl: ttl)
        sorted = SortedMapState(ttl: ttl)
        try open()
        try store.restore(
            from: KeyedRestore(operatorName: "op", state: snapshot, keyGroups: 0..<4, maxParallelism: 4))
        for key in twin.entries.keys { twin.remove(key) { [twin] in twin.isExpired($0, twin.passed) } }
    }

    private final class RecordTime {
        var time = Int64(0)
        var emitted = Int64.min
    }
    private let recordTime: RecordTime

    func draw(_ range: Range<Int>) -> Int { Int.random(in: range, using: &random) }

    /// Does one thing to both.
    func step(_ number: Int) throws {
        if draw(0..<100) == 0 { try restart() }
        switch draw(0..<10) {
        case 0..<2: advance()
        default: operate(draw(0..<6), number)
        }
        #expect(expired.sorted() == twin.expired.sorted(), "step \(number)")
        expired = []
        twin.expired = []
        #expect(store.table.count == twin.keyCount, "step \(number)")
        #expect(time.expiredOnRead.value == twin.expiredOnRead && time.sweptEntries.value == twin.swept)
    }

    private func advance() {
        let domain = twin.ttl.domain
        let now = twin.passed + Int64(draw(0..<5))
        if domain == .processingTime { time.advanceProcessingTime(to: now) }
        // Time goes on with and without anything being removed.
        guard domain == .eventTime || draw(0..<2) == 0 else { return twin.passed = now }
        time.advanceEventTime(to: now)
        var emptied: [Int32] = []
        store.sweep(domain, now: now, emptied: &emptied)
        for slot in emptied { store.releaseIfEmpty(Int(slot)) }
        twin.sweep(now)
        #expect(store.nextExpiry(domain) > now)
    }

    private func operate(_ key: Int, _ number: Int) {
        // Records come out of order, and before or after the watermark.
        twin.record = max(0, twin.passed + Int64(draw(0..<16)) - 5)
        recordTime.time = twin.record
        var slot = Int32(0)
        withUnsafePointer(to: key) { key in
            withUnsafePointer(to: store.hasher.hash(key.pointee)) {
                store.resolve(key, hashes: $0, count: 1, into: &slot)
            }
        }
        store.slot = Int(slot)
        store.mayBeEmpty = false
        switch kind {
        case .value: operateValue(key, number)
        case .aggregate: operateAggregate(key, number)
        case .list: operateList(key, number)
        case .reduced: operateReduced(key, number)
        case .map: operateMap(key, number)
        case .sorted: operateSorted(key, number)
        }
        if store.mayBeEmpty { store.releaseIfEmpty(Int(slot)) }
        store.releaseUnused()
    }

    private func operateValue(_ key: Int, _ number: Int) {
        switch draw(0..<6) {
        case 0, 1: #expect(value.value == twin.read(key).first?.value, "step \(number)")
        case 2:
            value.value = number
            twin.write(key, replacing: true) { _ in number }
        case 3:
            value.value? += 1
            twin.write(key, replacing: false) { $0.map { $0 + 1 } }
        case 4:
            value[default: 100] += 1
            twin.write(key, replacing: false) { ($0 ?? 100) + 1 }
        default:
            value.clear()
            twin.clear(key)
        }
    }

    private func operateAggregate(_ key: Int, _ number: Int) {
        value[default: 0] += number
        twin.write(key, replacing: false) { ($0 ?? 0) + number }
        #expect(value[default: 0] == twin.read(key).first?.value, "step \(number)")
    }

    private func operateReduced(_ key: Int, _ number: Int) {
        switch draw(0..<5) {
        case 0, 1: #expect(reduced.value == twin.read(key).first?.value, "step \(number)")
        case 2 where draw(0..<4) == 0:
            reduced.clear()
            twin.clear(key)
        default:
            reduced.add(number)
            twin.write(key, replacing: false) { ($0 ?? 0) + number }
        }
    }

    private func operateList(_ key: Int, _ number: Int) {
        let visible = twin.visible(key)
        let position = visible.isEmpty ? 0 : draw(0..<visible.count)
        switch draw(0..<11) {
        case 0, 1: #expect(list.values == twin.read(key).map(\.value), "step \(number)")
        case 2: #expect(list.count == visible.count && list.isEmpty == visible.isEmpty, "step \(number)")
        case 3...5:
            list.append(number)
            let entry = TTLModel.Entry(id: 0, value: number, stamp: twin.stamp)
            twin.entries[key, default: []].append(entry)
        case 6:
            let (place, entry) = (
                twin.place(key, position), TTLModel.Entry(id: 0, value: number, stamp: twin.stamp)
            )
            list.insert(number, at: position)
            twin.entries[key, default: []].insert(entry, at: place)
        case 7 where !visible.isEmpty:
            let place = twin.place(key, position)
            #expect(list[position] == visible[position].value, "step \(number)")
            if twin.ttl.update == .onReadAndWrite, !twin.isExpired(visible[position], twin.now) { touch(key, place) }
        case 8 where !visible.isEmpty:
            let place = twin.place(key, position)
            list[position] += 7
            twin.entries[key]?[place].value += 7
            touch(key, place)
        case 9:
            let last = list.popLast()
            #expect(last == visible.last?.value, "step \(number)")
            if !visible.isEmpty {
                let place = twin.place(key, visible.count - 1)
                twin.entries[key]?.remove(at: place)
            }
        case 10 where draw(0..<2) == 0:
            list.clear()
            twin.clear(key)
        default:
            list.values.append(number)
            if twin.isHiding { twin.purge(key) }
            let stamp = max(twin.stamp, twin.entries[key]?.map(\.stamp).max() ?? .min)
            twin.entries[key, default: []].append(.init(id: 0, value: number, stamp: 0))
            for place in (twin.entries[key] ?? []).indices { twin.entries[key]?[place].stamp = stamp }
        }
    }

    private func touch(_ key: Int, _ place: Int) {
        guard let old = twin.entries[key]?[place].stamp else { return }
        let stamp = max(old, twin.stamp)
        twin.entries[key]?[place].stamp = stamp
    }

    private func operateMap(_ key: Int, _ number: Int) {
        let id = draw(0..<5)
        let visible = twin.visible(key)
        switch draw(0..<10) {
        case 0, 1: #expect(map[id] == twin.read(key) { $0.id == id }.first?.value, "step \(number)")
        case 2: #expect(map.count == visible.count && map.isEmpty == visible.isEmpty, "step \(number)")
        case 3: #expect(map.contains(id) == visible.contains { $0.id == id }, "step \(number)")
        case 4, 5:
            map[id] = number
            twin.write(key, id: id, replacing: true) { _ in number }
        case 6:
            map[id, default: 100] += 1
            twin.write(key, id: id, replacing: false) { ($0 ?? 100) + 1 }
        case 7:
            map[id] = nil
            twin.write(key, id: id, replacing: true) { _ in nil }
        case 8 where draw(0..<3) == 0:
            map.clear()
            twin.clear(key)
        default:
            let removes = draw(0..<3) == 0
            var seen: [[Int]] = []
            map.forEach { id, value in
                seen.append([id, value])
                if removes && value % 2 == 0 { map[id] = nil }
            }
            let given = twin.read(key)
            if removes { twin.remove(key) { $0.value % 2 == 0 && given.contains($0.id) } }
            #expect(
                seen.sorted { $0[0] < $1[0] } == given.map { [$0.id, $0.value] }.sorted { $0[0] < $1[0] },
                "step \(number)")
        }
    }
}

extension Subject {
    private func operateSorted(_ key: Int, _ number: Int) {
        let id = draw(0..<9)
        let visible = twin.visible(key)
        switch draw(0..<12) {
        case 0: #expect(sorted[id] == twin.read(key) { $0.id == id }.first?.value, "step \(number)")
        case 1: #expect(sorted.count == visible.count && sorted.isEmpty == visible.isEmpty, "step \(number)")
        case 2: #expect(sorted.contains(id) == visible.contains { $0.id == id }, "step \(number)")
        case 3...5:
            sorted[id] = number
            twin.write(key, id: id, replacing: true) { _ in number }
        case 6:
            sorted[id, default: 100] += 1
            twin.write(key, id: id, replacing: false) { ($0 ?? 100) + 1 }
        case 7:
            sorted[id] = nil
            twin.write(key, id: id, replacing: true) { _ in nil }
        case 8:
            let other = draw(0..<9)
            sorted.removeAll(from: id, through: other)
            twin.purge(key) { $0.id >= id && $0.id <= other }
            twin.remove(key) { $0.id >= id && $0.id <= other }
        case 9 where draw(0..<3) == 0:
            sorted.clear()
            twin.clear(key)
        case 10: #expect(sorted.first(from: id).map { [$0.key, $0.value] } == readOne(key, from: id), "step \(number)")
        default: walk(key, from: id, number)
        }
    }

    /// What a search for the first entry gives: it reads entries until it finds one that can be seen.
    private func readOne(_ key: Int, from id: Int) -> [Int]? {
        for place in (twin.entries[key] ?? []).map(\.id).filter({ $0 >= id }).sorted() {
            if let entry = twin.read(key, { $0.id == place }).first { return [entry.id, entry.value] }
        }
        return nil
    }

    /// Changes entries while a loop goes on that does not see it.
    private func walk(_ key: Int, from id: Int, _ number: Int) {
        var ids = (twin.entries[key] ?? []).filter { $0.id >= id }.sorted { $0.id < $1.id }
        let isDescending = draw(0..<2) == 0
        if isDescending { ids.reverse() }
        let entries = isDescending ? sorted.entries(from: id).reversed() : sorted.entries(from: id)
        var expected: [[Int]] = []
        var seen: [[Int]] = []
        let writes = draw(0..<3)
        // Everything that the loop reads it reads before it changes it: only what has been given is written to.
        for entry in entries {
            seen.append([entry.key, entry.value])
            while let next = ids.first {
                ids.removeFirst()
                if let given = twin.read(key, { $0.id == next.id }).first {
                    expected.append([given.id, given.value])
                    break
                }
            }
            if writes == 1 {
                sorted[entry.key] = nil
                twin.write(key, id: entry.key, replacing: true) { _ in nil }
            } else if writes == 2 {
                sorted[entry.key] = number
                twin.write(key, id: entry.key, replacing: true) { _ in number }
            }
        }
        for next in ids { expected += twin.read(key) { $0.id == next.id }.map { [$0.id, $0.value] } }
        #expect(seen == expected, "step \(number)")
    }
}

extension [TTLModel.Entry] {
    fileprivate func contains(_ id: Int) -> Bool { contains { $0.id == id } }
}

@Suite struct TTLModelTests {
    /// Shorter than two stretches of a millisecond each: what has expired is removed at its moment.
    private static let life = Duration.milliseconds(10)

    @Test(arguments: StateTTL.Update.allCases, StateTTL.Visibility.allCases)
    func behavesAsItsTwin(_ update: StateTTL.Update, _ visibility: StateTTL.Visibility) throws {
        let isFull = ProcessInfo.processInfo.environment["THALWEG_FULL"] == "1"
        for domain in StateTTL.Domain.allCases {
            for kind in Subject.Kind.allCases {
                let ttl = StateTTL(Self.life, update: update, visibility: visibility, domain: domain)
                let subject = try Subject(kind, ttl, seed: 25)
                for number in 0..<(isFull ? 100_000 : 3000) { try subject.step(number) }
                #expect(subject.twin.swept > 0, "\(kind) \(domain)")
                // An aggregate is always written before it is read.
                #expect(subject.twin.expiredOnRead > 0 || kind == .aggregate, "\(kind) \(domain)")
            }
        }
    }

    private func makeValue(
        _ ttl: StateTTL, at now: Int64 = 0
    ) throws -> (KeyedStore<Int>, ValueState<Int>, StateTime) {
        let store = try KeyedStore<Int>(.learn())
        let time = StateTime()
        time.advanceProcessingTime(to: now)
        store.time = time
        let value = ValueState<Int>(ttl: ttl)
        try value.bind("value", to: store)
        _ = try resolve(1, in: store)
        return (store, value, time)
    }

    private func resolve(_ key: Int, in store: KeyedStore<Int>) throws -> Int {
        var slot = Int32(0)
        store.resolve([key], hashes: [store.hasher.hash(key)], count: 1, into: &slot)
        store.slot = Int(slot)
        return Int(slot)
    }

    /// Exactly at its end an entry has expired, a millisecond before it has not.
    @Test func expiresExactlyAtItsEnd() throws {
        let (store, value, time) = try makeValue(StateTTL(.seconds(10)), at: 1_000_000)
        // The state does not hold its store.
        defer { withExtendedLifetime(store) {} }
        value.value = 7
        time.advanceProcessingTime(to: 1_009_999)
        #expect(value.value == 7)
        time.advanceProcessingTime(to: 1_010_000)
        #expect(value.value == nil)
    }

    @Test func aClockThatGoesBackKillsNothingAndRevivesNothing() throws {
        let (store, value, time) = try makeValue(StateTTL(.seconds(10)), at: 1_000_000)
        // The state does not hold its store.
        defer { withExtendedLifetime(store) {} }
        value.value = 7
        time.advanceProcessingTime(to: 500_000)
        #expect(value.value == 7 && time.processingTime == 1_000_000)
    }

    @Test(arguments: [Int64.max - 5, 1_700_000_000_000])
    func aHugeLifeNeverEnds(_ now: Int64) throws {
        let (store, value, time) = try makeValue(StateTTL(.milliseconds(Int64.max)), at: now)
        value.value = 7
        time.advanceProcessingTime(to: .max)
        var emptied: [Int32] = []
        store.sweep(.processingTime, now: .max, emptied: &emptied)
        #expect(value.value == 7 && emptied.isEmpty)
    }

    @Test func removalComesWithinOneStretch() throws {
        let (store, value, time) = try makeValue(StateTTL(.milliseconds(800)), at: 37)
        value.value = 7
        let due = store.nextExpiry(.processingTime)
        #expect(due >= 837 && due < 937)
        time.advanceProcessingTime(to: due)
        var emptied: [Int32] = []
        store.sweep(.processingTime, now: due, emptied: &emptied)
        #expect(emptied == [Int32(store.slot)] && store.nextExpiry(.processingTime) == .max)
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        let store = try KeyedStore<Int>(.learn())
        #expect(throws: ThalwegError.self) {
            try ValueState<Int>(ttl: StateTTL(.seconds(1))).bind("a", to: store)  // no time
        }
        store.time = StateTime()
        #expect(throws: ThalwegError.self) { try MapState<Int, Int>(ttl: StateTTL(.zero)).bind("b", to: store) }
        let other = ValueState<Int>(ttl: StateTTL(.seconds(1)))
        other.onExpired { (_: String, _: Int) in }
        #expect(throws: ThalwegError.self) { try other.bind("c", to: store) }
    }
}
