// SPDX-License-Identifier: Apache-2.0
//  Values that expire.

import ThalwegBase

extension ValueState: ExpiringColumn {
    public var isHeard: Bool { listener != nil }

    /// Calls `body` with each value that has expired and its key, once, when it is removed: by a read, by a write, or
    /// because its time has passed. What `body` emits carries the moment of expiry.
    ///
    ///     init() {
    ///         let lost = lost  // @Side var lost = SideOutput(Changes.lost)
    ///         last.onExpired { (key: Int64, bid: Bid) in lost.emit(bid) }
    ///     }
    @inlinable
    public func onExpired<Key: Hashable & Codable & Sendable>(_ body: @escaping (Key, Value) -> Void) {
        listener = ExpiryListener(body)
    }

    @inlinable @inline(never)
    func readExpiring() -> Value? {
        let slot = store.slot
        guard let expiry, let value = column.address(slot).pointee else { return nil }
        guard expiry.isExpired(slot, now: expiry.now) else {
            if expiry.isTouchedByReads { expiry.touch(slot, isNew: false) }
            return value
        }
        expiry.countReads(1)
        if expiry.removesOnRead { expire(slot) }
        return expiry.isHiding ? nil : value
    }

    /// Before a write: what has expired is gone, and what is written has the stamp of now.
    ///
    /// - Parameter replacing: whether the value so far does not matter to what is written.
    @inlinable @inline(never)
    func prepareWrite(replacing: Bool) -> UnsafeMutablePointer<Value?> {
        let slot = store.slot
        guard let expiry else { return column.address(slot) }
        if column.address(slot).pointee != nil, replacing || expiry.isHiding,
            expiry.isExpired(slot, now: expiry.now)
        {
            expire(slot)
        }
        expiry.touch(slot, isNew: column.address(slot).pointee == nil)
        return column.address(slot)
    }

    @inlinable @inline(never)
    func replaceExpiring(_ value: Value?) {
        prepareWrite(replacing: true).pointee = value
        if value == nil { store.mayBeEmpty = true }
    }

    /// Removes an expired value.
    @inlinable
    func expire(_ slot: Int) {
        guard let expiry, let value = column.address(slot).pointee else { return }
        column.address(slot).pointee = nil
        store.mayBeEmpty = true
        guard let listener else { return }
        let store = store
        expiry.report(stamp: expiry.stamp(slot)) { listener.hear(store, slot, value) }
    }

    public func sweep(_ slot: Int, now: Int64, emptied: inout [Int32]) -> Int64? {
        guard let expiry, slot < column.capacity, column.address(slot).pointee != nil else { return nil }
        if expiry.stamp(slot) == .min { expiry.set(now, at: slot) }
        guard expiry.isExpired(slot, now: now) else { return expiry.stamp(slot) }
        store.select(slot)
        expire(slot)
        expiry.time.sweptEntries.add(1)
        emptied.append(Int32(truncatingIfNeeded: slot))
        return nil
    }
}
