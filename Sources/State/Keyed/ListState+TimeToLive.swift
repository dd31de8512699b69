// SPDX-License-Identifier: Apache-2.0
//  Lists whose values expire one by one.

import ThalwegBase

extension ListState: ExpiringColumn {
    public var isHeard: Bool { listener != nil }

    /// Calls `body` with each value that has expired and its key, once, when it is removed: by a read, by a write, or
    /// because its time has passed. What `body` emits carries the moment of expiry.
    @inlinable
    public func onExpired<Key: Hashable & Codable & Sendable>(_ body: @escaping (Key, Value) -> Void) {
        listener = ExpiryListener(body)
    }

    // MARK: Reading

    @inlinable @inline(never)
    func readExpiring() -> [Value] {
        guard let expiry else { return [] }
        let (slot, now) = (store.slot, expiry.now)
        let stamps = stamps.address(slot).pointee
        var values = column.address(slot).pointee
        let expiredCount = stamps.count { expiry.isExpired(stamp: $0, now: now) }
        if expiredCount > 0 {
            expiry.countReads(expiredCount)
            if expiry.isHiding {
                values = values.indices.filter { !expiry.isExpired(stamp: stamps[$0], now: now) }.map { values[$0] }
            }
            if expiry.removesOnRead { expire(slot, now: now) }
        }
        if expiry.isTouchedByReads {
            let places = self.stamps.address(slot)
            for index in places.pointee.indices where !expiry.isExpired(stamp: places.pointee[index], now: now) {
                places.pointee[index] = expiry.newStamp(after: places.pointee[index])
            }
        }
        return values
    }

    @inlinable @inline(never)
    func visibleCount() -> Int {
        guard let expiry, expiry.isHiding else { return column.address(store.slot).pointee.count }
        let now = expiry.now
        return stamps.address(store.slot).pointee.count { !expiry.isExpired(stamp: $0, now: now) }
    }

    /// Where the value is that readers see at a position; the end for the position after the last.
    @inlinable
    func place(of position: Int) -> Int {
        guard let expiry, expiry.isHiding else { return position }
        let (stamps, now) = (stamps.address(store.slot).pointee, expiry.now)
        var left = position
        for (place, stamp) in stamps.enumerated() where !expiry.isExpired(stamp: stamp, now: now) {
            if left == 0 { return place }
            left -= 1
        }
        precondition(left == 0, "the list has no value at this position")
        return stamps.count
    }

    @inlinable @inline(never)
    func readExpiring(_ position: Int) -> Value {
        let place = place(of: position)
        let stamps = stamps.address(store.slot)
        if let expiry, expiry.isTouchedByReads, !expiry.isExpired(stamp: stamps.pointee[place], now: expiry.now) {
            stamps.pointee[place] = expiry.newStamp(after: stamps.pointee[place])
        }
        return column.address(store.slot).pointee[place]
    }

    // MARK: Writing

    /// Before all values are written: what has expired is gone.
    @inlinable @inline(never)
    func prepareWrite() -> UnsafeMutablePointer<[Value]> {
        if let expiry, expiry.isHiding { expire(store.slot, now: expiry.now) }
        return column.address(store.slot)
    }

    /// After all values were written: each has the stamp of now.
    @inlinable @inline(never)
    func endWrite() {
        guard let expiry else { return }
        let slot = store.slot
        let stamps = stamps.address(slot)
        let stamp = expiry.newStamp(after: stamps.pointee.max() ?? .min)
        stamps.pointee = Array(repeating: stamp, count: column.address(slot).pointee.count)
        if !stamps.pointee.isEmpty { expiry.note(stamp, at: slot) }
    }

    @inlinable @inline(never)
    func prepareWrite(_ position: Int) -> Int {
        let place = place(of: position)
        let stamps = stamps.address(store.slot)
        if let expiry { stamps.pointee[place] = expiry.newStamp(after: stamps.pointee[place]) }
        return place
    }

    @inlinable @inline(never)
    func insertExpiring(_ value: Value, at position: Int) {
        guard let expiry else { return }
        let (slot, place, stamp) = (store.slot, place(of: position), expiry.newStamp())
        stamps.address(slot).pointee.insert(stamp, at: place)
        column.address(slot).pointee.insert(value, at: place)
        expiry.note(stamp, at: slot)
    }

    @inlinable @inline(never)
    func appendExpiring(_ value: Value) {
        guard let expiry else { return }
        let (slot, stamp) = (store.slot, expiry.newStamp())
        stamps.address(slot).pointee.append(stamp)
        column.address(slot).pointee.append(value)
        expiry.note(stamp, at: slot)
    }

    @inlinable @inline(never)
    func popLastExpiring() -> Value? {
        let count = visibleCount()
        guard count > 0 else { return nil }
        let place = place(of: count - 1)
        stamps.address(store.slot).pointee.remove(at: place)
        let value = column.address(store.slot).pointee.remove(at: place)
        if column.address(store.slot).pointee.isEmpty { store.mayBeEmpty = true }
        return value
    }

    @inlinable @inline(never)
    func clearExpiring() {
        guard let expiry else { return }
        expire(store.slot, now: expiry.now)
        clear(store.slot)
        store.mayBeEmpty = true
    }

    // MARK: Expiring

    /// Removes the values that have expired.
    ///
    /// - Returns: how many.
    @inlinable
    @discardableResult
    func expire(_ slot: Int, now: Int64) -> Int {
        guard let expiry else { return 0 }
        let (values, stamps) = (column.address(slot), stamps.address(slot))
        guard stamps.pointee.contains(where: { expiry.isExpired(stamp: $0, now: now) }) else { return 0 }
        var gone: [(Value, Int64)] = []
        var kept: [Value] = []
        var keptStamps: [Int64] = []
        for (value, stamp) in zip(values.pointee, stamps.pointee) {
            if expiry.isExpired(stamp: stamp, now: now) {
                gone.append((value, stamp))
            } else {
                kept.append(value)
                keptStamps.append(stamp)
            }
        }
        values.pointee = kept
        stamps.pointee = keptStamps
        if kept.isEmpty { store.mayBeEmpty = true }
        if let listener {
            let store = store
            for (value, stamp) in gone { expiry.report(stamp: stamp) { listener.hear(store, slot, value) } }
        }
        return gone.count
    }

    public func sweep(_ slot: Int, now: Int64, emptied: inout [Int32]) -> Int64? {
        guard let expiry, slot < stamps.capacity, let first = stamps.address(slot).pointee.min() else { return nil }
        if first != .min && !expiry.isExpired(stamp: first, now: now) { return first }
        store.select(slot)
        if first == .min {
            stamps.address(slot).pointee = stamps.address(slot).pointee.map { $0 == .min ? now : $0 }
        }
        expiry.time.sweptEntries.add(expire(slot, now: now))
        if stamps.address(slot).pointee.isEmpty { emptied.append(Int32(truncatingIfNeeded: slot)) }
        return stamps.address(slot).pointee.min()
    }
}
