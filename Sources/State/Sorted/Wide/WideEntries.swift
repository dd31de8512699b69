// SPDX-License-Identifier: Apache-2.0
//  The entries of a large map in order: what lies in files, and what has changed since.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// A large map as it was at one moment, whatever becomes of it.
@usableFromInline
struct WideView<UserKey: Codable & Sendable, Value: Codable & Sendable> {
    /// The newest first.
    let levels: [WideLevel<UserKey, Value>]
    /// What lies below; nil: nothing.
    let below: RunView?
    let row: [UInt8]
    let maps: WideMaps<UserKey, Value>

    /// Its entries between two positions.
    @usableFromInline
    func entries(
        from lower: SortedCut<UserKey>, to upper: SortedCut<UserKey>, isDescending: Bool
    ) -> WideEntries<UserKey, Value> {
        WideEntries(self, from: lower, to: upper, isDescending: isDescending)
    }

    /// The bytes of the first key that is not before a position; nil: there is no end.
    fileprivate func bytes(of cut: SortedCut<UserKey>) throws -> [UInt8]? {
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
    private typealias Head = (key: UserKey, value: Value?)

    private let maps: WideMaps<UserKey, Value>
    private let order: KeyComparator<UserKey>
    private let isDescending: Bool
    private let lower: SortedCut<UserKey>
    private let upper: SortedCut<UserKey>
    private var cursors: [SortedCursor<UserKey, Value?>]
    /// What each level comes with next, and last what lies below.
    private var heads: [Head?]
    private var below: RunEntries?
    private let rowBytes: Int

    fileprivate init(
        _ view: WideView<UserKey, Value>, from lower: SortedCut<UserKey>, to upper: SortedCut<UserKey>,
        isDescending: Bool
    ) {
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
            maps.store.fail(error)
        }
    }

    private func step(_ level: Int) {
        heads[level] = cursors[level].next().map { ($0.key, $0.value.pointee) }
    }

    private func stepBelow() throws {
        heads[cursors.count] = nil
        guard let below else { return }
        while try below.next() {
            var key = ByteReader(UnsafeRawBufferPointer(rebasing: below.key.dropFirst(rowBytes)))
            let userKey = try maps.userKeys.encoder.decode(&key)
            // Of some positions only keys know whether they lie before.
            if isDescending ? !upper.isAfter(userKey, order) : lower.isAfter(userKey, order) { continue }
            if isDescending ? lower.isAfter(userKey, order) : !upper.isAfter(userKey, order) { break }
            heads[cursors.count] = (userKey, try maps.stored.codec.decode(below.value))
            return
        }
        self.below = nil
    }

    /// The next entry; nil when there are no more.
    @usableFromInline
    func next() -> (key: UserKey, value: Value)? {
        while let first = firstHead(), let head = heads[first] {
            // Of one key what is newest counts, which comes first among the heads.
            for level in first..<heads.count where isSame(heads[level], head.key) {
                if level < cursors.count { step(level) } else { stepOrFail() }
            }
            if let value = head.value { return (head.key, value) }
        }
        return nil
    }

    private func stepOrFail() {
        do {
            try stepBelow()
        } catch {
            below = nil
            maps.store.fail(error)
        }
    }

    private func firstHead() -> Int? {
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

    private func isSame(_ head: Head?, _ key: UserKey) -> Bool {
        guard let head else { return false }
        return !order.precedes(head.key, key) && !order.precedes(key, head.key)
    }
}
