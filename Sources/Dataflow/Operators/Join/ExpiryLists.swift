// SPDX-License-Identifier: Apache-2.0
//  Which slots to look at again, and when.

import ThalwegBase
import ThalwegState

/// Slots in lists by the stretch of time in which they expire: cheaper than a timer per key.
///
/// A slot is in one list at most. Lists are chained through a column, so that nothing is allocated per slot.
public final class ExpiryLists {
    /// The length of a stretch in milliseconds: how much too late a slot may be looked at.
    private let stride: Int64
    private let table = KeyTable<Int64>()
    private let queue = TimerQueue()
    // Used by one task alone.
    @exclusivity(unchecked) private var heads = PagedColumn<Int32>(initial: -1)
    @exclusivity(unchecked) private var links = PagedColumn<Int32>(initial: -1)
    @exclusivity(unchecked) private var lastBucket = Int64.min
    @exclusivity(unchecked) private var lastEntry = 0

    /// - Parameter span: how long, in milliseconds, records usually wait; slots are found within an eighth of it.
    public init(span: Int64) { stride = max(1, span / 8) }

    /// Whether something may be due.
    public func isDue(_ time: Int64) -> Bool { queue.nextTime <= time }

    /// Notes that a slot is to be looked at once time has passed `expiry`.
    public func add(_ slot: Int, expiry: Int64) {
        let bucket = expiry.flooredDivision(by: stride).quotient &+ 1
        if bucket != lastBucket || table.count == 0 { open(bucket) }
        if slot >= links.capacity { links.reserve(slot + 1) }
        links.address(slot).pointee = heads.address(lastEntry).pointee
        heads.address(lastEntry).pointee = Int32(truncatingIfNeeded: slot)
    }

    private func open(_ bucket: Int64) {
        let (entry, isNew) = table.findOrInsert(bucket, hash: StableHash.mix(UInt64(bitPattern: bucket)))
        if entry >= heads.capacity { heads.reserve(entry + 1) }
        if isNew {
            heads.address(entry).pointee = -1
            queue.register(time: bucket &* stride, slot: entry)
        }
        (lastBucket, lastEntry) = (bucket, entry)
    }

    /// Takes the slots of one stretch that lies before `time`; false when there is none.
    public func popDue(_ time: Int64, into slots: inout [Int32]) -> Bool {
        slots.removeAll(keepingCapacity: true)
        guard let due = queue.popDue(time) else { return false }
        var slot = heads.address(Int(due.slot)).pointee
        table.remove(slot: Int(due.slot))
        lastBucket = .min
        while slot >= 0 {
            slots.append(slot)
            slot = links.address(Int(slot)).pointee
        }
        return true
    }
}
