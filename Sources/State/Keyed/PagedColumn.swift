// SPDX-License-Identifier: Apache-2.0
//  Columns of values addressed by slot, grown page by page.

import CThalweg
import ThalwegBase

/// Memory for values by slot in pages of 1,024, none of them initialised: growth never moves a value.
@frozen
public struct Pages<Value>: ~Copyable {
    @usableFromInline var pages: UnsafeMutablePointer<UnsafeMutablePointer<Value>>
    @usableFromInline var pageCount = 0
    @usableFromInline var pageRoom = 8
    @usableFromInline let heap: PageHeap

    @inlinable public static var pageBits: Int { 10 }
    @inlinable public static var pageSize: Int { 1 << pageBits }

    @inlinable
    public init() {
        pages = .allocate(capacity: 8)
        heap = PageHeap(pageBytes: Self.pageSize * MemoryLayout<Value>.stride)
    }

    deinit { pages.deallocate() }

    /// See ``PageHeap``: for memory that is counted.
    func limitExtents(to byteCount: Int) { heap.limitExtents(to: byteCount) }

    /// The number of slots there is memory for.
    @inlinable public var capacity: Int { pageCount << Self.pageBits }

    /// The address of a slot below `capacity`, valid until the pages are destroyed.
    @inlinable @inline(__always)
    public func address(_ slot: Int) -> UnsafeMutablePointer<Value> {
        pages[slot >> Self.pageBits] + (slot & (Self.pageSize &- 1))
    }

    /// Where slots lie, without their type.
    @inlinable public var memory: SlotMemory {
        SlotMemory(
            pages: UnsafeRawPointer(pages).assumingMemoryBound(to: UnsafeRawPointer.self),
            stride: MemoryLayout<Value>.stride)
    }

    /// Adds a page and returns it.
    @inlinable
    public mutating func addPage() -> UnsafeMutablePointer<Value> {
        if pageCount == pageRoom {
            let wider = UnsafeMutablePointer<UnsafeMutablePointer<Value>>.allocate(capacity: pageRoom * 2)
            wider.moveInitialize(from: pages, count: pageCount)
            pages.deallocate()
            pages = wider
            pageRoom *= 2
        }
        let page = takePage()
        (pages + pageCount).initialize(to: page)
        pageCount &+= 1
        return page
    }

    /// Memory for a page that is not yet in use.
    @inlinable
    func takePage() -> UnsafeMutablePointer<Value> {
        heap.take().raw.bindMemory(to: Value.self, capacity: Self.pageSize)
    }
}

/// Where the slots of a column lie: for prefetching without knowing their type.
@frozen
public struct SlotMemory {
    @usableFromInline let pages: UnsafePointer<UnsafeRawPointer>
    @usableFromInline let stride: Int

    @inlinable
    init(pages: UnsafePointer<UnsafeRawPointer>, stride: Int) {
        self.pages = pages
        self.stride = stride
    }

    /// Asks the cache for the memory of slots.
    @inlinable @inline(__always)
    public func prefetch(_ slots: UnsafePointer<Int32>, count: Int) {
        let (pages, stride) = (self.pages, self.stride)
        // Slots of some sizes may lie across two lines of the cache, which have 64 bytes.
        let isSplit = stride < 64 && stride & (stride &- 1) != 0
        for index in 0..<count {
            let slot = Int(slots[index])
            let address = pages[slot >> 10] + (slot & 1023) &* stride
            thalweg_prefetch_write(address)
            if isSplit { thalweg_prefetch_write(address + (stride &- 1)) }
        }
    }
}

/// A column of values by slot: every slot below `capacity` is initialised.
@frozen
public struct PagedColumn<Value>: ~Copyable {
    @usableFromInline var pages = Pages<Value>()
    @usableFromInline let initial: Value
    @usableFromInline var sharing = PageSharing()

    /// Creates an empty column whose slots start as `initial`.
    @inlinable
    public init(initial: Value) { self.initial = initial }

    deinit {
        if let lease = sharing.lease, sharing.left > 0 { return leave(to: lease) }
        for page in 0..<pages.pageCount { pages.pages[page].deinitialize(count: Pages<Value>.pageSize) }
    }

    @inlinable public var capacity: Int { pages.capacity }

    /// The bytes of the slots, without what values refer to.
    public var byteCount: Int { capacity * MemoryLayout<Value>.stride }

    /// Where slots lie, without their type.
    @inlinable public var memory: SlotMemory { pages.memory }

    /// Later memory comes in extents of no more than so many bytes.
    public func limitExtents(to byteCount: Int) { pages.limitExtents(to: byteCount) }

    /// Makes slots `0..<count` exist.
    @inlinable
    public mutating func reserve(_ count: Int) {
        while pages.capacity < count {
            pages.addPage().initialize(repeating: initial, count: Pages<Value>.pageSize)
        }
    }

    /// The address of a slot below `capacity`.
    @inlinable @inline(__always)
    public func address(_ slot: Int) -> UnsafeMutablePointer<Value> { pages.address(slot) }

    /// Puts a slot back to its initial value.
    @inlinable
    public func reset(_ slot: Int) { address(slot).pointee = initial }
}
