// SPDX-License-Identifier: Apache-2.0
//  Sorted maps whose entries expire one by one.

import ThalwegBase
import ThalwegData

extension SortedMapState: ExpiringColumn {
    public var isHeard: Bool { listener != nil }

    /// Calls `body` with each entry that has expired and its key, once, when it is removed: by a read, by a write, or
    /// because its time has passed. What `body` emits carries the moment of expiry.
    @inlinable
    public func onExpired<Key: Hashable & Codable & Sendable>(_ body: @escaping (Key, UserKey, Value) -> Void) {
        listener = ExpiryListener { (key: Key, entry: (UserKey, Value)) in body(key, entry.0, entry.1) }
    }

    // MARK: Reading

    @inlinable @inline(never)
    func readExpiring(_ key: UserKey) -> Value? {
        guard let place = find(key) else { return nil }
        return read(key, place.value.pointee, stamp: place.stamp.pointee, slot: store.slot)
    }

    /// What a read of an entry gives, which may have changed since the reader began.
    @inlinable @inline(never)
    func read(_ key: UserKey, _ value: Value, stamp: Int64, slot: Int) -> Value? {
        guard let expiry else { return value }
        guard expiry.isExpired(stamp: stamp, now: expiry.now) else {
            if expiry.isTouchedByReads { touch(key, slot) }
            return value
        }
        expiry.countReads(1)
        if expiry.removesOnRead { expire(key, slot, now: expiry.now) }
        return expiry.isHiding ? nil : value
    }

    @inlinable @inline(never)
    func isVisible(stamp: Int64) -> Bool {
        guard let expiry, expiry.isHiding else { return true }
        return !expiry.isExpired(stamp: stamp, now: expiry.now)
    }

    @inlinable @inline(never)
    func visibleCount() -> Int {
        guard let expiry, expiry.isHiding else { return column.address(store.slot).pointee.count }
        let now = expiry.now
        var count = 0
        column.address(store.slot).pointee.forEachLeaf { leaf in
            let stamps = leaf.stamps
            for index in 0..<leaf.count where !expiry.isExpired(stamp: stamps[index], now: now) { count &+= 1 }
            return true
        }
        return count
    }

    @inlinable @inline(never)
    func hasVisible() -> Bool {
        guard let expiry, expiry.isHiding else { return column.address(store.slot).pointee.count > 0 }
        let now = expiry.now
        var found = false
        column.address(store.slot).pointee.forEachLeaf { leaf in
            found = (0..<leaf.count).contains { !expiry.isExpired(stamp: leaf.stamps[$0], now: now) }
            return !found
        }
        return found
    }

    // MARK: Writing

    /// Gives an entry that is still there the stamp of now.
    @inlinable
    func touch(_ key: UserKey, _ slot: Int) {
        // Whoever kept a reader beyond its call reads another key's state, or none.
        guard let expiry, slot == store.slot, let place = find(key) else { return }
        let stamp = expiry.newStamp(after: place.stamp.pointee)
        guard stamp != place.stamp.pointee else { return }
        column.address(slot).pointee.findToWrite(key, order.unsafelyUnwrapped)?.stamp.pointee = stamp
        expiry.note(stamp, at: slot)
    }

    /// Gives a place that is being written the stamp of now.
    @inlinable
    func stamp(_ place: SortedPlace<UserKey, Value>, isNew: Bool) {
        guard let expiry else { return }
        let stamp = expiry.newStamp(after: isNew ? .min : place.stamp.pointee)
        place.stamp.pointee = stamp
        expiry.note(stamp, at: store.slot)
    }

    /// Before a write to an entry: what has expired is gone.
    ///
    /// - Parameter replacing: whether the value so far does not matter to what is written.
    @inlinable
    func expireBeforeWrite(_ key: UserKey, replacing: Bool) {
        if let expiry, expiry.isHiding || replacing { expire(key, store.slot, now: expiry.now) }
    }

    /// Makes an entry ready to be written, with the stamp of now.
    @inlinable @inline(never)
    func prepareWrite(_ key: UserKey, _ standard: () -> Value) -> SortedPlace<UserKey, Value> {
        expireBeforeWrite(key, replacing: false)
        let isNew = find(key) == nil
        let place = placeToWrite(key, standard)
        stamp(place, isNew: isNew)
        return place
    }

    @inlinable @inline(never)
    func replaceExpiring(_ key: UserKey, _ value: Value?) {
        expireBeforeWrite(key, replacing: true)
        guard let value else { return removeEntry(key, slot: store.slot) }
        let (place, isNew) = findOrInsert(key, value)
        if !isNew { place.value.pointee = value }
        stamp(place, isNew: isNew)
    }

    // MARK: Expiring

    /// Removes an entry if it is there and has expired.
    ///
    /// - Returns: whether it was.
    @inlinable
    @discardableResult
    func expire(_ key: UserKey, _ slot: Int, now: Int64) -> Bool {
        guard let expiry, slot == store.slot, let place = find(key) else { return false }
        let (value, stamp) = (place.value.pointee, place.stamp.pointee)
        guard expiry.isExpired(stamp: stamp, now: now) else { return false }
        removeEntry(key, slot: slot)
        guard let listener else { return true }
        let store = store
        expiry.report(stamp: stamp) { listener.hear(store, slot, (key, value)) }
        return true
    }

    /// Before a stretch of the current key's map is removed: what has expired there is gone.
    @inlinable @inline(never)
    func expireAll(_ lower: SortedCut<UserKey>, _ upper: SortedCut<UserKey>) {
        guard let expiry else { return }
        let (slot, now) = (store.slot, expiry.now)
        var cursor = SortedCursor(
            column.address(slot).pointee, from: lower, to: upper, isDescending: false, order.unsafelyUnwrapped)
        while let place = cursor.next() {
            if expiry.isExpired(stamp: place.stamp.pointee, now: now) { expire(place.key, slot, now: now) }
        }
    }

    /// Looks at the stamp of every entry of the slot: what expires at one time may lie anywhere in the order of the
    /// user keys.
    public func sweep(_ slot: Int, now: Int64, emptied: inout [Int32]) -> Int64? {
        guard let expiry, slot < column.capacity, let order, column.address(slot).pointee.count > 0 else { return nil }
        var (first, undated, gone): (Int64, [UserKey], [UserKey]) = (.max, [], [])
        column.address(slot).pointee.forEachLeaf { leaf in
            let stamps = leaf.stamps
            for index in 0..<leaf.count {
                let stamp = stamps[index]
                if stamp == .min {
                    undated.append(leaf.keys[index])
                    first = min(first, now)
                } else if expiry.isExpired(stamp: stamp, now: now) {
                    gone.append(leaf.keys[index])
                } else {
                    first = min(first, stamp)
                }
            }
            return true
        }
        let isEmptied = gone.count == column.address(slot).pointee.count
        if undated.isEmpty && gone.isEmpty { return first }
        store.select(slot)
        for key in undated { column.address(slot).pointee.findToWrite(key, order)?.stamp.pointee = now }
        for key in gone where expire(key, slot, now: now) { expiry.time.sweptEntries.add(1) }
        guard isEmptied else { return first }
        emptied.append(Int32(truncatingIfNeeded: slot))
        return nil
    }
}
