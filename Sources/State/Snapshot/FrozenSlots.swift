// SPDX-License-Identifier: Apache-2.0
//  Where the slots of a frozen column or table lie, without their type.

/// The memory of slots as they were at a barrier.
// Unchecked: nobody writes to the pages while the lease is held, which those do who keep this.
private struct FrozenSlots: @unchecked Sendable {
    private let pages: [UnsafeRawPointer]
    private let stride: Int

    init<Value>(_ pages: [UnsafeMutablePointer<Value>]) {
        self.pages = pages.map { UnsafeRawPointer($0) }
        stride = MemoryLayout<Value>.stride
    }

    @inline(__always)
    func address(_ slot: Int) -> UnsafeRawPointer {
        pages[slot >> Pages<UInt8>.pageBits] + (slot & (Pages<UInt8>.pageSize &- 1)) &* stride
    }
}

/// The values of a frozen column, without their type.
struct FrozenValues: Sendable {
    private let slots: FrozenSlots
    private let heap: PageHeap
    private let lease: PageLease

    init<Value>(_ column: FrozenColumn<Value>) {
        slots = FrozenSlots(column.pages)
        heap = column.heap
        lease = column.lease
    }

    /// Where the value of a slot lies, valid as long as this view.
    @inline(__always)
    func address(_ slot: Int) -> UnsafeRawPointer { slots.address(slot) }
}

/// The keys of a frozen table with their hashes, without their type.
// Unchecked: nobody writes to the pages while the lease is held, and this holds it.
struct FrozenHashes: @unchecked Sendable {
    private let keys: FrozenSlots
    let slotLimit: Int
    private let hashes: [UnsafeMutablePointer<UInt64>]
    private let heaps: (PageHeap, PageHeap)
    private let lease: PageLease

    init<Key>(_ table: FrozenTable<Key>) {
        keys = FrozenSlots(table.keys)
        slotLimit = table.slotLimit
        hashes = table.hashes
        heaps = table.heaps
        lease = table.lease
    }

    /// The hash of a slot's key; `UInt64.max` when the slot was free.
    @inline(__always)
    func hash(_ slot: Int) -> UInt64 { hashes[slot >> Pages<UInt8>.pageBits][slot & (Pages<UInt8>.pageSize &- 1)] }

    /// Where the key of a slot in use lies, valid as long as this view.
    @inline(__always)
    func address(_ slot: Int) -> UnsafeRawPointer { keys.address(slot) }

    /// Calls `body` for each slot in use.
    @inline(__always)
    func forEach(_ body: (Int) -> Void) {
        for slot in 0..<slotLimit where hash(slot) != .max { body(slot) }
    }
}
