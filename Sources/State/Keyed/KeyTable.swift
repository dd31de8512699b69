// SPDX-License-Identifier: Apache-2.0
//  From key to slot: open addressing, resolved a batch at a time.

import CThalweg
import ThalwegBase

/// A hash table that gives every key a dense slot number; values live elsewhere, in columns addressed by slot.
///
/// An entry is 8 bytes: the high half of the key's hash as a tag, and the slot. A batch is resolved in two passes
/// (prefetch entries; match tags and compare keys), so that many cache misses are in flight at once. Freed slots are
/// used again.
public final class KeyTable<Key: Hashable> {
    // One task alone uses a table: dynamic exclusivity checks would only cost time.
    @exclusivity(unchecked) @usableFromInline var entries: UnsafeMutablePointer<UInt64>
    @exclusivity(unchecked) @usableFromInline var mask: Int
    /// The most keys for so many entries.
    @exclusivity(unchecked) @usableFromInline var keysMax: Int
    @usableFromInline var isDense = false
    @exclusivity(unchecked) @usableFromInline var keys = Pages<Key>()
    @exclusivity(unchecked) @usableFromInline var hashes = PagedColumn<UInt64>(initial: .max)
    @exclusivity(unchecked) @usableFromInline var sharing = PageSharing()
    @exclusivity(unchecked) @usableFromInline var freeSlots: [Int32] = []
    @exclusivity(unchecked) @usableFromInline var storedSlotLimit = 0
    @exclusivity(unchecked) @usableFromInline var storedCount = 0
    @exclusivity(unchecked) @usableFromInline var storedVersion: UInt64 = 0
    /// The order of the keys in the latest snapshot that had them all.
    let arrangement = KeyArrangement()

    /// One past the highest slot ever used: columns must be this long.
    @inlinable public var slotLimit: Int {
        get { storedSlotLimit }
        set { storedSlotLimit = newValue }
    }
    /// The number of keys present.
    @inlinable public var count: Int {
        get { storedCount }
        set {
            storedCount = newValue
            storedVersion &+= 1
        }
    }
    /// Another one whenever a key comes or goes.
    var version: UInt64 { storedVersion }

    @inlinable static var vacant: UInt64 { .max }

    @inlinable
    public init(minimumCapacity: Int = 16) {
        var capacity = 32
        while capacity < minimumCapacity * 2 { capacity *= 2 }
        entries = Self.makeEntries(capacity)
        mask = capacity - 1
        keysMax = Self.keysMax(capacity: capacity, isDense: false)
    }

    /// A table is at most half full; one whose memory is counted at most three quarters, which takes more steps to find
    /// a key.
    @usableFromInline
    static func keysMax(capacity: Int, isDense: Bool) -> Int { isDense ? capacity / 4 * 3 : capacity / 2 - 1 }

    @inlinable
    static func makeEntries(_ capacity: Int) -> UnsafeMutablePointer<UInt64> {
        let entries = PageMemory.allocate(byteCount: capacity * 8).bindMemory(to: UInt64.self, capacity: capacity)
        entries.initialize(repeating: vacant, count: capacity)
        return entries
    }

    deinit {
        leaveSharedPages()
        for slot in 0..<slotLimit where hashes.address(slot).pointee != .max {
            keys.address(slot).deinitialize(count: 1)
        }
        PageMemory.free(entries, byteCount: (mask + 1) * 8)
    }

    /// The key of a slot in use.
    @inlinable @inline(__always)
    public func key(at slot: Int) -> Key { keys.address(slot).pointee }

    /// The hash of a slot's key; `UInt64.max` when the slot is free.
    @inlinable @inline(__always)
    public func hash(at slot: Int) -> UInt64 { hashes.address(slot).pointee }

    @inlinable
    public func isUsed(_ slot: Int) -> Bool { slot < slotLimit && hashes.address(slot).pointee != .max }

    /// The hash as stored: `UInt64.max` marks a free slot, so it is never a key's hash.
    @inlinable @inline(__always)
    static func stored(_ hash: UInt64) -> UInt64 { hash == .max ? .max &- 1 : hash }

    /// The bytes of the table, without what keys refer to.
    public var byteCount: Int {
        (mask + 1) * 8 + keys.capacity * MemoryLayout<Key>.stride + hashes.byteCount
    }

    /// Later memory of keys comes in extents of no more than so many bytes. The table is filled further if these are
    /// small. Before the first key.
    func limitExtents(to byteCount: Int) {
        keys.limitExtents(to: byteCount)
        hashes.limitExtents(to: byteCount)
        isDense = byteCount < PageMemory.hugeBytes
        keysMax = Self.keysMax(capacity: mask + 1, isDense: isDense)
    }

    // MARK: One key

    /// The slot of a key, or nil.
    @inlinable
    public func find(_ key: Key, hash: UInt64) -> Int? {
        let hash = Self.stored(hash)
        var position = Int(truncatingIfNeeded: hash) & mask
        while true {
            let entry = entries[position]
            if entry == Self.vacant { return nil }
            if entry >> 32 == hash >> 32 {
                let slot = Int(truncatingIfNeeded: entry & 0xFFFF_FFFF)
                if keys.address(slot).pointee == key { return slot }
            }
            position = (position &+ 1) & mask
        }
    }

    /// The slot of a key, inserted when it is new.
    @inlinable @inline(__always)
    public func findOrInsert(_ key: Key, hash: UInt64) -> (slot: Int, isNew: Bool) {
        reserve(1)
        return probe(key, Self.stored(hash))
    }

    /// Finds or inserts; there is room for one more key.
    @inlinable @inline(__always)
    func probe(_ key: Key, _ hash: UInt64) -> (slot: Int, isNew: Bool) {
        let entries = self.entries
        let mask = self.mask
        var position = Int(truncatingIfNeeded: hash) & mask
        while true {
            let entry = entries[position]
            if entry == Self.vacant { break }
            if entry >> 32 == hash >> 32 {
                let slot = Int(truncatingIfNeeded: entry & 0xFFFF_FFFF)
                if keys.address(slot).pointee == key { return (slot, false) }
            }
            position = (position &+ 1) & mask
        }
        let slot = takeSlot()
        if sharing.left > 0 { thaw(slot) }
        keys.address(slot).initialize(to: key)
        hashes.address(slot).pointee = hash
        entries[position] = hash & 0xFFFF_FFFF_0000_0000 | UInt64(truncatingIfNeeded: slot)
        count &+= 1
        return (slot, true)
    }

    // MARK: A batch

    /// Resolves keys to slots, inserting new ones. `onInsert` is called with the slot of each new key.
    @inlinable @inline(__always)
    public func resolve(
        _ keys: UnsafePointer<Key>, hashes: UnsafePointer<UInt64>, count: Int, into slots: UnsafeMutablePointer<Int32>,
        onInsert: (Int) -> Void
    ) {
        reserve(count)
        let entries = self.entries
        let mask = self.mask
        // A table that fits the cache gains nothing from prefetching.
        if mask > 8191 {
            for index in 0..<count {
                thalweg_prefetch_read(entries + (Int(truncatingIfNeeded: hashes[index]) & mask))
            }
            // Second wave: by now the entries arrive; fetch the key that the first candidate names.
            for index in 0..<count {
                let entry = entries[Int(truncatingIfNeeded: hashes[index]) & mask]
                if entry != Self.vacant {
                    thalweg_prefetch_read(self.keys.address(Int(truncatingIfNeeded: entry & 0xFFFF_FFFF)))
                }
            }
        }
        for index in 0..<count {
            let (slot, isNew) = probe(keys[index], Self.stored(hashes[index]))
            slots[index] = Int32(truncatingIfNeeded: slot)
            if isNew { onInsert(slot) }
        }
    }

    // MARK: Removal

    /// Asks the cache for what removing a slot that is in use needs.
    @inlinable
    func prefetch(slot: Int) {
        thalweg_prefetch_write(entries + (Int(truncatingIfNeeded: hashes.address(slot).pointee) & mask))
    }

    /// Asks the cache for what closing the gap needs that removing a slot leaves, once its entry is there.
    @inlinable
    func prefetchNext(slot: Int) {
        let next = entries[(Int(truncatingIfNeeded: hashes.address(slot).pointee) &+ 1) & mask]
        if next != Self.vacant { thalweg_prefetch_read(hashes.address(Int(truncatingIfNeeded: next & 0xFFFF_FFFF))) }
    }

    /// Removes a slot's key; the slot may be given to another key.
    @inlinable
    public func remove(slot: Int) {
        let hash = hashes.address(slot).pointee
        precondition(hash != .max, "the slot is already free")
        if sharing.left > 0 { thaw(slot) }
        var position = Int(truncatingIfNeeded: hash) & mask
        while entries[position] & 0xFFFF_FFFF != UInt64(truncatingIfNeeded: slot) || entries[position] == Self.vacant {
            position = (position &+ 1) & mask
        }
        closeGap(at: position)
        keys.address(slot).deinitialize(count: 1)
        hashes.address(slot).pointee = .max
        freeSlots.append(Int32(truncatingIfNeeded: slot))
        count &-= 1
    }

    /// Moves later entries of the probe run back over a removed one, so that no tombstones are needed.
    @inlinable
    func closeGap(at start: Int) {
        var gap = start
        var position = start
        while true {
            position = (position &+ 1) & mask
            let entry = entries[position]
            if entry == Self.vacant { break }
            let home =
                Int(truncatingIfNeeded: hashes.address(Int(truncatingIfNeeded: entry & 0xFFFF_FFFF)).pointee) & mask
            // The entry may move only if its home is not in the cyclic range (gap, position].
            let distanceFromHome = (position &- home) & mask
            let distanceFromGap = (position &- gap) & mask
            if distanceFromHome >= distanceFromGap {
                entries[gap] = entry
                gap = position
            }
        }
        entries[gap] = Self.vacant
    }

    /// Removes every key but keeps the memory.
    @inlinable
    public func removeAll() {
        if count > 0 {
            if sharing.left > 0 { thawAll() }
            for slot in 0..<slotLimit where hashes.address(slot).pointee != .max {
                keys.address(slot).deinitialize(count: 1)
                hashes.address(slot).pointee = .max
            }
            entries.update(repeating: Self.vacant, count: mask &+ 1)
        }
        freeSlots.removeAll(keepingCapacity: true)
        slotLimit = 0
        count = 0
    }

    // MARK: Growth

    @inlinable @inline(__always)
    func takeSlot() -> Int {
        if !freeSlots.isEmpty { return Int(freeSlots.removeLast()) }
        let slot = slotLimit
        slotLimit = slot &+ 1
        return slot
    }

    /// Makes room for `additional` keys: entries that are not too full, memory for every slot.
    @inlinable @inline(__always)
    func reserve(_ additional: Int) {
        if count &+ additional > keysMax || slotLimit &+ additional > keys.capacity { grow(additional) }
    }

    @inlinable @inline(never)
    func grow(_ additional: Int) {
        let needed = slotLimit + additional
        precondition(needed <= Int(Int32.max), "more than 2 billion keys in one subtask: raise the parallelism")
        while keys.capacity < needed { _ = keys.addPage() }
        hashes.reserve(needed)
        guard count + additional > keysMax else { return }
        var capacity = mask + 1
        while count + additional > keysMax {
            capacity *= 2
            keysMax = Self.keysMax(capacity: capacity, isDense: isDense)
        }
        PageMemory.free(entries, byteCount: (mask + 1) * 8)
        entries = Self.makeEntries(capacity)
        mask = capacity - 1
        for slot in 0..<slotLimit {
            let hash = hashes.address(slot).pointee
            if hash == .max { continue }
            var position = Int(truncatingIfNeeded: hash) & mask
            while entries[position] != Self.vacant { position = (position &+ 1) & mask }
            entries[position] = hash & 0xFFFF_FFFF_0000_0000 | UInt64(truncatingIfNeeded: slot)
        }
    }
}
