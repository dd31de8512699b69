// SPDX-License-Identifier: Apache-2.0
//  A sorted map that is too large to be in memory.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// One key's map whose entries rest in layers one by one (FLIP-50): what has changed lately is in memory, as a level
/// over them; what is part of a snapshot under way, as further levels below that.
@usableFromInline
final class WideMap<UserKey: Codable & Sendable, Value: Codable & Sendable> {
    /// The newest first; the first one takes changes.
    @usableFromInline var levels: [WideLevel<UserKey, Value>]
    /// Key group and key.
    @usableFromInline let row: [UInt8]
    /// How many entries there are, if that is known.
    @usableFromInline var count: Int?
    /// How often changes are still written until it is forgotten that it was asked how many there are: as long it stays
    /// known, at the cost of a look-up for each change.
    @usableFromInline var countedFor = 0
    /// Nothing lies before the first of these, nor after the second; nil: that is not known. So what was removed at an
    /// end is not walked over again and again.
    @usableFromInline var ends: (first: UserKey?, last: UserKey?) = (nil, nil)
    /// How often entries have been set.
    @usableFromInline var insertions = 0
    /// Whether an entry was removed and it is not known how many are left.
    var mayBeEmpty = false
    @usableFromInline var changes = 0
    @usableFromInline var runs = RowRuns()
    // The state holds it, and it the maps.
    @usableFromInline unowned let maps: WideMaps<UserKey, Value>

    /// - Parameter first: what is in memory; nothing counts that lies below if it says so.
    init(_ maps: WideMaps<UserKey, Value>, row: [UInt8], first: WideLevel<UserKey, Value>, count: Int?) {
        self.maps = maps
        self.row = row
        levels = [first]
        self.count = count
    }

    /// How many changes are in memory.
    var changeCount: Int { levels.reduce(0) { $0 + $1.changes.count } }

    // MARK: Reading

    @inlinable
    func find(_ key: UserKey) -> Value? {
        if let known = findInMemory(key) { return known }
        return maps.orFail { try findBelow(key) } ?? nil
    }

    /// What memory says of a key: a value, or that there is none; nil: nothing.
    @inlinable
    func findInMemory(_ key: UserKey) -> Value?? {
        for level in levels {
            if let place = level.changes.find(key, maps.order) { return .some(place.value.pointee) }
            if level.hidesBelow { return .some(nil) }
        }
        return nil
    }

    @inlinable
    func findBelow(_ key: UserKey) throws -> Value? {
        let rest = maps.rest
        rest.key.removeAll()
        row.withUnsafeBytes { rest.key.append($0) }
        try maps.keyEncoder.encode(key, into: &rest.key)
        return try rest.value(rowBytes: row.count, runs: &runs).map { try maps.codec.decode($0) }
    }

    /// The map as it is now.
    @inlinable
    func view() -> WideView<UserKey, Value> {
        // Only what hides nothing lies over others.
        let end = levels.firstIndex(where: \.hidesBelow)
        return WideView(
            Array(levels[...(end ?? levels.count - 1)]), below: end == nil ? maps.orFail { try maps.rest.view() } : nil,
            self)
    }

    /// The number of entries. The first time all of them are looked at.
    @inlinable
    func counted() -> Int {
        countedFor = 2
        if let count { return count }
        var found = 0
        let entries = view().entries(from: .start, to: .end, isDescending: false)
        while entries.next() != nil { found += 1 }
        count = found
        return found
    }

    @inlinable
    var isEmpty: Bool {
        if let count { return count == 0 }
        return view().entries(from: .start, to: .end, isDescending: false).next() == nil
    }

    // MARK: Writing

    @inlinable
    func set(_ key: UserKey, _ value: Value?) {
        if count != nil { adjustCount(key, isThere: value != nil) }
        let (place, isNew) = levels[0].changes.findOrInsert(key, value, maps.order, hasStamps: false)
        // The node it lies in has just been made one of its own, should others have held it.
        if isNew { maps.changeCount &+= 1 } else { place.value.pointee = value }
        if value == nil { noteRemoved() } else { noteSet(key) }
        changes &+= 1
        if changes & 1023 == 0 { maps.makeRoom(after: self) }
    }

    @usableFromInline
    func noteRemoved() {
        guard count == nil, !mayBeEmpty else { return }
        mayBeEmpty = true
        maps.store.mayHaveEmptied = true
    }

    @inlinable
    func noteSet(_ key: UserKey) {
        insertions &+= 1
        if let first = ends.first, maps.order.precedes(key, first) { ends.first = key }
        if let last = ends.last, maps.order.precedes(last, key) { ends.last = key }
    }

    @inlinable
    func adjustCount(_ key: UserKey, isThere: Bool) {
        var wasThere = findInMemory(key).map { $0 != nil }
        if wasThere == nil && countedFor > 0 { wasThere = maps.orFail { try findBelow(key) != nil } }
        guard let wasThere, let count else { return self.count = nil }
        self.count = count + (isThere ? 1 : 0) - (wasThere ? 1 : 0)
    }

    @inlinable
    func removeAll(from lower: SortedCut<UserKey>, to upper: SortedCut<UserKey>) {
        let entries = view().entries(from: lower, to: upper, isDescending: false)
        while let entry = entries.next() { set(entry.key, nil) }
    }

    // MARK: Snapshots

    /// What has changed is part of a snapshot.
    func seal(_ snapshot: Int64) {
        levels[0].snapshot = snapshot
        levels.insert(WideLevel(), at: 0)
    }

    /// The snapshot has been written: what it and older ones have lies below.
    func land(_ snapshot: Int64) {
        if let place = levels.firstIndex(where: { $0.snapshot == snapshot }) { levels.removeSubrange(place...) }
    }

    /// The snapshot has failed: what it would have had belongs to the next one.
    func takeBack(_ snapshot: Int64) {
        guard let place = levels.firstIndex(where: { $0.snapshot == snapshot }), place > 0 else { return }
        // Those between belong to snapshots that build on it. Should one of them be written all the same, its changes
        // are written once more.
        for older in levels[1...place] { levels[0].append(older, maps.order) }
        levels.removeSubrange(1...place)
    }

    /// All changes have been written, over everything.
    func rested() {
        levels = [WideLevel()]
        countedFor = max(0, countedFor - 1)
        if countedFor == 0 { count = nil }
    }
}
