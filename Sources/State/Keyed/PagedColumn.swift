// SPDX-License-Identifier: Apache-2.0
//  Columns of values addressed by slot, grown page by page.

/// Memory for values by slot in pages of 1,024, none of them initialised: growth never moves a value.
@frozen
public struct Pages<Value>: ~Copyable {
    @usableFromInline var pages: UnsafeMutablePointer<UnsafeMutablePointer<Value>>
    @usableFromInline var pageCount = 0
    @usableFromInline var pageRoom = 8

    @inlinable public static var pageBits: Int { 10 }
    @inlinable public static var pageSize: Int { 1 << pageBits }

    @inlinable
    public init() { pages = .allocate(capacity: 8) }

    deinit {
        for page in 0..<pageCount { pages[page].deallocate() }
        pages.deallocate()
    }

    /// The number of slots there is memory for.
    @inlinable public var capacity: Int { pageCount << Self.pageBits }

    /// The address of a slot below `capacity`, valid until the pages are destroyed.
    @inlinable @inline(__always)
    public func address(_ slot: Int) -> UnsafeMutablePointer<Value> {
        pages[slot >> Self.pageBits] + (slot & (Self.pageSize &- 1))
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
        let page = UnsafeMutablePointer<Value>.allocate(capacity: Self.pageSize)
        (pages + pageCount).initialize(to: page)
        pageCount &+= 1
        return page
    }
}

/// A column of values by slot: every slot below `capacity` is initialised.
@frozen
public struct PagedColumn<Value>: ~Copyable {
    @usableFromInline var pages = Pages<Value>()
    @usableFromInline let initial: Value

    /// Creates an empty column whose slots start as `initial`.
    @inlinable
    public init(initial: Value) { self.initial = initial }

    deinit {
        for page in 0..<pages.pageCount { pages.pages[page].deinitialize(count: Pages<Value>.pageSize) }
    }

    @inlinable public var capacity: Int { pages.capacity }

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
