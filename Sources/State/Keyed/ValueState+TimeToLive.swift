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

    // MARK: Access

    // What most accesses need is inlined and calls nothing. What calls is given a reference that is not counted, which
    // is valid as the function that has the state holds it: else it would be counted for every access.

    @inlinable @inline(__always)
    func readExpiring() -> Value? {
        let cell = cells.address(store.slot)
        guard cell.pointee.stamp > marks.unsafelyUnwrapped.pointee.read else {
            return Self.readAndChange(.passUnretained(self))
        }
        return cell.pointee.value
    }

    @inlinable @inline(never)
    static func readAndChange(_ state: Unmanaged<ValueState>) -> Value? { state.takeUnretainedValue().readAndChange() }

    /// A read that may change the stamp, or meet what has expired.
    @inlinable
    func readAndChange() -> Value? {
        let slot = store.slot
        let cell = cells.address(slot)
        guard let expiry, let value = cell.pointee.value else { return nil }
        guard expiry.isExpired(stamp: cell.pointee.stamp, now: expiry.now) else {
            if expiry.isTouchedByReads { stamp(cell, slot, expiry.newStamp(after: cell.pointee.stamp)) }
            return value
        }
        expiry.countReads(1)
        if expiry.removesOnRead { expire(slot) }
        return expiry.isHiding ? nil : value
    }

    /// Gives what lives the stamp of now.
    ///
    /// - Returns: false, and does nothing, where more is to be done.
    @inlinable @inline(__always)
    func stampLiving(_ cell: UnsafeMutablePointer<StampedValue<Value>>) -> Bool {
        let (old, marks) = (cell.pointee.stamp, marks.unsafelyUnwrapped)
        // The page is looked at in time for the old stamp, and so for the new one.
        guard old > marks.pointee.write, old <= marks.pointee.now else { return false }
        cell.pointee.stamp = marks.pointee.now
        return true
    }

    /// Before a write: what has expired is gone, and what is written has the stamp of now.
    @inlinable @inline(__always)
    func prepareWrite() -> UnsafeMutablePointer<Value?> {
        let cell = cells.address(store.slot)
        return stampLiving(cell) ? StampedValue.value(at: cell) : prepareWrite(replacing: false)
    }

    /// - Parameter replacing: whether the value so far does not matter to what is written.
    @inlinable @inline(never)
    func prepareWrite(replacing: Bool) -> UnsafeMutablePointer<Value?> {
        let slot = store.slot
        let cell = cells.address(slot)
        guard let expiry else { return StampedValue.value(at: cell) }
        var old = Int64.min
        if cell.pointee.value != nil {
            old = cell.pointee.stamp
            if expiry.isExpired(stamp: old, now: expiry.now), replacing || expiry.isHiding {
                expire(slot)
                old = .min
            }
        }
        stamp(cell, slot, expiry.newStamp(after: old))
        return StampedValue.value(at: cell)
    }

    @inlinable @inline(__always)
    func stamp(_ cell: UnsafeMutablePointer<StampedValue<Value>>, _ slot: Int, _ stamp: Int64) {
        cell.pointee.stamp = stamp
        expiry.unsafelyUnwrapped.pages.note(stamp, at: slot)
    }

    @inlinable @inline(__always)
    func replaceExpiring(_ value: Value?) {
        let cell = cells.address(store.slot)
        guard value != nil, stampLiving(cell) else { return Self.replaceAndChange(.passUnretained(self), value) }
        cell.pointee.value = value
    }

    @inlinable @inline(never)
    static func replaceAndChange(_ state: Unmanaged<ValueState>, _ value: Value?) {
        state.takeUnretainedValue().replaceAndChange(value)
    }

    @inlinable
    func replaceAndChange(_ value: Value?) {
        prepareWrite(replacing: true).pointee = value
        if value == nil { store.mayBeEmpty = true }
    }

    // MARK: Expiring

    /// Removes an expired value.
    @inlinable @inline(never)
    func expire(_ slot: Int) {
        let cell = cells.address(slot)
        guard let expiry, let value = cell.pointee.value else { return }
        let stamp = cell.pointee.stamp
        cells.reset(slot)
        store.mayBeEmpty = true
        guard let listener else { return }
        let store = store
        expiry.report(stamp: stamp) { listener.hear(store, slot, value) }
    }

    /// Looks at every slot of a page.
    @inlinable
    func sweep(page: Int, now: Int64, emptied: inout [Int32]) -> Int64 {
        guard let expiry else { return .max }
        let limit = ExpiryPages.limit(now: now, life: expiry.life)
        let before = emptied.count
        var first = Int64.max
        for slot in page << 10..<(page + 1) << 10 {
            let stamp = cells.address(slot).pointee.stamp
            if stamp > limit {
                first = min(first, stamp)
            } else if let left = sweep(slot, now: now, emptied: &emptied) {
                first = min(first, left)
            }
        }
        expiry.time.sweptEntries.add(emptied.count - before)
        return first
    }

    @inlinable
    public func sweep(_ slot: Int, now: Int64, emptied: inout [Int32]) -> Int64? {
        let cell = cells.address(slot)
        if cell.pointee.value == nil {
            store.open(slot)
            cells.reset(slot)
            return nil
        }
        store.select(slot)
        if cells.address(slot).pointee.stamp == .min {
            cells.address(slot).pointee.stamp = now
            return now
        }
        expire(slot)
        emptied.append(Int32(truncatingIfNeeded: slot))
        return nil
    }
}
