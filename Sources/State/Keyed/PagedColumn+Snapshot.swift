// SPDX-License-Identifier: Apache-2.0
//  Columns frozen page by page.

import ThalwegBase

extension PagedColumn {
    /// Whether writing to a page may need ``thaw(page:)`` first.
    @inlinable @inline(__always)
    public var isShared: Bool { sharing.left > 0 }

    /// Shares all pages with a view that stays as the column is now. Until ``unfreeze()``, call ``thaw(page:)`` before
    /// writing to a page.
    public mutating func freeze(under lease: PageLease) -> FrozenColumn<Value> {
        sharing.begin(lease, pages: pages.pageCount)
        return FrozenColumn(
            pages: Array(UnsafeBufferPointer(start: pages.pages, count: pages.pageCount)), heap: pages.heap,
            lease: lease)
    }

    /// Makes a page writable: if it is shared, its values are copied and the snapshot keeps the page.
    ///
    /// - Returns: the lease that keeps the page; nil when it was not shared.
    @discardableResult
    public mutating func thaw(page: Int) -> PageLease? {
        guard let lease = sharing.end(page) else { return nil }
        lease.adopt(replace(page))
        return lease
    }

    /// The lease under which a page is shared; nil when it is not.
    public func lease(ofPage page: Int) -> PageLease? { sharing.has(page) ? sharing.lease : nil }

    /// The number of pages.
    public var pageCount: Int { pages.pageCount }

    /// Puts a copy in the place of a page and returns the page.
    mutating func replace(_ page: Int) -> ReplacedValues<Value> {
        let old = pages.pages[page]
        let new = pages.takePage()
        new.initialize(from: old, count: Pages<Value>.pageSize)
        pages.pages[page] = new
        return ReplacedValues(page: old, heap: pages.heap)
    }

    /// Nothing is shared any more: every view has been given up.
    public mutating func unfreeze() { sharing.end() }

    /// The column goes while a snapshot reads it: what is shared is left to the lease, all else is destroyed.
    @usableFromInline
    func leave(to lease: PageLease) {
        for page in 0..<pages.pageCount {
            let values = ReplacedValues(page: pages.pages[page], heap: pages.heap)
            if sharing.has(page) { lease.adopt(values) } else { values.dispose() }
        }
    }
}

/// The pages of a column as they were when it was frozen.
// Unchecked: nobody writes to the pages while the lease is held.
public struct FrozenColumn<Value>: @unchecked Sendable {
    let pages: [UnsafeMutablePointer<Value>]
    let heap: PageHeap
    let lease: PageLease

    /// The number of slots there were.
    public var capacity: Int { pages.count << Pages<Value>.pageBits }

    /// The value of a slot below `capacity`, valid as long as this view.
    @inline(__always)
    public func address(_ slot: Int) -> UnsafePointer<Value> {
        UnsafePointer(pages[slot >> Pages<Value>.pageBits] + (slot & (Pages<Value>.pageSize &- 1)))
    }
}

/// A page of a column that only a snapshot reads any more.
// Unchecked: the page has one owner at a time.
struct ReplacedValues<Value>: ReplacedPage, @unchecked Sendable {
    let page: UnsafeMutablePointer<Value>
    let heap: PageHeap

    func dispose() {
        page.deinitialize(count: Pages<Value>.pageSize)
        heap.give(PageAddress(raw: UnsafeMutableRawPointer(page)))
    }
}
