// SPDX-License-Identifier: Apache-2.0
//  The entries of a large map in order: what lies in files, and what has changed since.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// A large map as it was at one moment, whatever becomes of it.
@usableFromInline
struct WideView<UserKey: Codable & Sendable, Value: Codable & Sendable> {
    /// The newest first.
    @usableFromInline let levels: [WideLevel<UserKey, Value>]
    /// What lies below; nil: nothing.
    @usableFromInline let below: RunView?
    @usableFromInline let row: [UInt8]
    @usableFromInline let maps: WideMaps<UserKey, Value>
    @usableFromInline let map: WideMap<UserKey, Value>
    /// As of then.
    @usableFromInline let ends: (first: UserKey?, last: UserKey?)
    @usableFromInline let insertions: Int

    @inlinable
    init(_ levels: [WideLevel<UserKey, Value>], below: RunView?, _ map: WideMap<UserKey, Value>) {
        self.levels = levels
        self.below = below
        self.map = map
        (row, maps) = (map.row, map.maps)
        (ends, insertions) = (map.ends, map.insertions)
    }

    /// Its entries between two positions.
    @inlinable
    func entries(
        from lower: SortedCut<UserKey>, to upper: SortedCut<UserKey>, isDescending: Bool
    ) -> WideEntries<UserKey, Value> {
        WideEntries(self, from: lower, to: upper, isDescending: isDescending)
    }

    /// The bytes of the first key that is not before a position; nil: there is no end.
    @usableFromInline
    func bytes(of cut: SortedCut<UserKey>) throws -> [UInt8]? {
        switch cut {
        case .start: return row
        case .before(let key): return try row + maps.userKeys.encoder.encode(key)
        // No key lies between this one and the one with a zero at its end.
        case .after(let key): return try row + maps.userKeys.encoder.encode(key) + [0]
        case .afterAll, .end: return RestingEntries.end(of: row)
        }
    }
}

/// Walks over a large map, one entry in memory. An error ends the walk, and the task hears of it.
@usableFromInline
final class WideEntries<UserKey: Codable & Sendable, Value: Codable & Sendable> {
    @usableFromInline typealias Head = (key: UserKey, value: Value?)

    @usableFromInline let maps: WideMaps<UserKey, Value>
    @usableFromInline let order: KeyComparator<UserKey>
    @usableFromInline let isDescending: Bool
    @usableFromInline let lower: SortedCut<UserKey>
    @usableFromInline let upper: SortedCut<UserKey>
    @usableFromInline var cursors: [SortedCursor<UserKey, Value?>]
    /// What each level comes with next, and last what lies below.
    @usableFromInline var heads: [Head?]
    @usableFromInline var below: RunEntries?
    @usableFromInline let rowBytes: Int
    /// Whether the first entry, or where the walk ends without one, tells where the map begins or ends.
    @usableFromInline var tellsEnd = false
    @usableFromInline let map: WideMap<UserKey, Value>
    @usableFromInline let insertions: Int
    @usableFromInline var hasFailed = false

    @inlinable
    init(
        _ view: WideView<UserKey, Value>, from start: SortedCut<UserKey>, to end: SortedCut<UserKey>,
        isDescending: Bool
    ) {
        var (lower, upper) = (start, end)
        if case .start = start {
            if let first = view.ends.first { lower = .before(first) }
            tellsEnd = !isDescending
        }
        if case .end = end {
            if let last = view.ends.last { upper = .after(last) }
            tellsEnd = tellsEnd || isDescending
        }
        (map, insertions) = (view.map, view.insertions)
        maps = view.maps
        order = view.maps.order
        self.isDescending = isDescending
        (self.lower, self.upper) = (lower, upper)
        rowBytes = view.row.count
        cursors = view.levels.map {
            SortedCursor($0.changes, from: lower, to: upper, isDescending: isDescending, view.maps.order)
        }
        heads = Array(repeating: nil, count: cursors.count + 1)
        for level in cursors.indices { step(level) }
        guard let runs = view.below else { return }
        do {
            let (from, to) = (try view.bytes(of: lower), try view.bytes(of: upper))
            below = runs.entries(from: from ?? RestingEntries.end(of: view.row), to: to, isDescending: isDescending)
            try stepBelow()
        } catch {
            fail(error)
        }
    }

    @inlinable
    func fail(_ error: any Error) {
        hasFailed = true
        below = nil
        maps.fail(error)
    }

    @inlinable
    func step(_ level: Int) {
        heads[level] = cursors[level].next().map { ($0.key, $0.value.pointee) }
    }

    @inlinable
    func stepBelow() throws {
        heads[cursors.count] = nil
        guard let below else { return }
        while try below.next() {
            var key = ByteReader(UnsafeRawBufferPointer(rebasing: below.key.dropFirst(rowBytes)))
            let userKey = try maps.keyEncoder.decode(&key)
            // Of some positions only keys know whether they lie before.
            if isDescending ? !upper.isAfter(userKey, order) : lower.isAfter(userKey, order) { continue }
            if isDescending ? lower.isAfter(userKey, order) : !upper.isAfter(userKey, order) { break }
            heads[cursors.count] = (userKey, try maps.codec.decode(below.value))
            return
        }
        self.below = nil
    }

    /// The next entry; nil when there are no more.
    @inlinable
    func next() -> (key: UserKey, value: Value)? {
        while let first = firstHead(), let head = heads[first] {
            // Of one key what is newest counts, which comes first among the heads.
            for level in first..<heads.count where isSame(heads[level], head.key) {
                if level < cursors.count { step(level) } else { stepOrFail() }
            }
            if let value = head.value {
                if tellsEnd { tellEnd(head.key) }
                return (head.key, value)
            }
        }
        if tellsEnd {
            switch isDescending ? lower : upper {
            case .before(let key), .after(let key): tellEnd(key)
            default: tellsEnd = false
            }
        }
        return nil
    }

    /// Nothing lies on the other side of a key from where the walk began.
    @inlinable
    func tellEnd(_ key: UserKey) {
        tellsEnd = false
        // What has been set since may lie there.
        guard map.insertions == insertions, !hasFailed else { return }
        if isDescending {
            if map.ends.last.map({ order.precedes(key, $0) }) ?? true { map.ends.last = key }
        } else {
            if map.ends.first.map({ order.precedes($0, key) }) ?? true { map.ends.first = key }
        }
    }

    @inlinable
    func stepOrFail() {
        do {
            try stepBelow()
        } catch {
            fail(error)
        }
    }

    @inlinable
    func firstHead() -> Int? {
        var best: Int?
        for level in heads.indices {
            guard let head = heads[level] else { continue }
            guard let other = best.flatMap({ heads[$0] }) else {
                best = level
                continue
            }
            let isBefore = isDescending ? order.precedes(other.key, head.key) : order.precedes(head.key, other.key)
            if isBefore { best = level }
        }
        return best
    }

    @inlinable
    func isSame(_ head: Head?, _ key: UserKey) -> Bool {
        guard let head else { return false }
        return !order.precedes(head.key, key) && !order.precedes(key, head.key)
    }
}
