// SPDX-License-Identifier: Apache-2.0
//  Sorted maps that do not fit into memory.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension SortedMapState: WideColumn {
    /// A map whose entries rest one by one; nil: it is in memory, as part of its row.
    @usableFromInline @inline(never)
    func wideMap(_ slot: Int) -> WideMap<UserKey, Value>? { wides?.maps[slot] }

    // MARK: Becoming large

    /// The current map has grown: it may be too large for a row.
    @usableFromInline @inline(never)
    func noteGrown(_ slot: Int) {
        let tree = column.address(slot).pointee
        let count = tree.count
        guard count & (count - 1) == 0 || count & 4095 == 0, store.isTiered, !isExpiring,
            let limit = store.tier?.largeBytes, let userKeys, let stored
        else { return }
        guard count * WideMaps.bytesPerEntry(tree, userKeys, stored, { $0 }) > limit else { return }
        largeSlots.append(slot)
        store.mayHaveLarge = true
    }

    func takeLargeSlots() -> [Int] {
        defer { largeSlots.removeAll() }
        return largeSlots
    }

    /// What the maps share that rest, made when there is one; nil: this store keeps rows as a whole.
    private func makeWides() throws -> WideMaps<UserKey, Value>? {
        if let wides { return wides }
        guard !isExpiring, let order, let userKeys, let stored, let rest = store.wideStore?.restingEntries(of: self)
        else { return nil }
        let wides = WideMaps(store, order, userKeys, stored, rest)
        self.wides = wides
        return wides
    }

    func makeWide(_ slot: Int) throws {
        guard let wides = try makeWides(), wides.maps[slot] == nil, let order else { return }
        let tree = column.address(slot).pointee
        guard tree.count * WideMaps.bytesPerEntry(tree, wides.userKeys, wides.stored, { $0 }) > wides.rest.largeBytes,
            let row = try store.wideStore?.row(of: slot)
        else { return }
        wides.measure(tree) { $0 }
        var level = WideLevel<UserKey, Value>()
        // All entries are here, whatever layers have of the row.
        level.hidesBelow = true
        tree.forEachLeaf { leaf in
            for index in 0..<leaf.count {
                _ = level.changes.findOrInsert(leaf.keys[index], leaf.payloads[index], order, hasStamps: false)
            }
            return true
        }
        wides.add(WideMap(wides, row: row, first: level, count: tree.count), slot)
        store.open(slot)
        column.reset(slot)
        hasWide = true
    }

    /// The entries of a slot stay where they are: layers have more than memory is to have.
    ///
    /// - Returns: false when there are none, or they cannot stay.
    func leaveAtRest(_ slot: Int) throws -> Bool {
        guard let wides = try makeWides(), let row = try store.wideStore?.row(of: slot) else { return false }
        let map = WideMap(wides, row: row, first: WideLevel(), count: nil)
        // What is large may all be hidden by a newer tombstone.
        if map.isEmpty { return false }
        wides.measure(map)
        wides.add(map, slot)
        hasWide = true
        return true
    }

    /// The map holds nothing any more: from now on it is part of its row.
    @usableFromInline @inline(never)
    func forgetWide(_ slot: Int) {
        wides?.remove(slot)
        hasWide = wides.map { !$0.maps.isEmpty } ?? false
        store.mayBeEmpty = true
    }

    // MARK: Accesses

    @usableFromInline @inline(never)
    func setWide(_ map: WideMap<UserKey, Value>, _ key: UserKey, _ value: Value?) {
        map.set(key, value)
        if value == nil && map.count == 0 { forgetWide(store.slot) }
    }

    @usableFromInline @inline(never)
    func isEmptyWide(_ map: WideMap<UserKey, Value>) -> Bool {
        guard map.isEmpty else { return false }
        forgetWide(store.slot)
        return true
    }

    @usableFromInline @inline(never)
    func removeAllWide(
        _ map: WideMap<UserKey, Value>, from lower: SortedCut<UserKey>, to upper: SortedCut<UserKey>
    ) {
        if case .start = lower, case .end = upper { return forgetWide(store.slot) }
        map.removeAll(from: lower, to: upper)
        if map.count == 0 { forgetWide(store.slot) }
    }

    // MARK: Snapshots

    var wideSlots: SlotBits { wides?.slots ?? SlotBits() }

    var wideByteCount: Int { wides?.byteCount ?? 0 }

    /// What snapshots and layers have of the large maps: what has changed.
    ///
    /// - Parameter isAll: whether that includes what snapshots under way have.
    func frozenLevels(isAll: Bool) -> [Int: FrozenLevels<UserKey, Value>] {
        wides?.maps.mapValues { FrozenLevels(levels: isAll ? $0.levels : [$0.levels[0]]) } ?? [:]
    }

    func seal(_ snapshot: Int64) {
        wides?.maps.values.forEach { $0.seal(snapshot) }
        store.testsEmptied = true
    }

    func land(_ snapshot: Int64, isWritten: Bool) {
        guard let wides else { return }
        for map in wides.maps.values { if isWritten { map.land(snapshot) } else { map.takeBack(snapshot) } }
        wides.recount()
    }

    func rested() {
        guard let wides else { return }
        for map in wides.maps.values { map.rested() }
        wides.recount()
        store.testsEmptied = true
    }

    func takeEmptiedSlots() -> [Int] {
        guard let wides else { return [] }
        return wides.maps.compactMap { slot, map in
            guard map.mayBeEmpty else { return nil }
            map.mayBeEmpty = false
            return map.isEmpty ? slot : nil
        }
    }
}
