// SPDX-License-Identifier: Apache-2.0
//  Keys frozen page by page.

import ThalwegBase

extension KeyTable {
    /// Shares the keys with a view that stays as the table is now. The table itself copies what it changes.
    public func freeze(under lease: PageLease) -> FrozenTable<Key> {
        let count = keys.pageCount
        sharing.begin(lease, pages: count)
        return FrozenTable(
            keys: Array(UnsafeBufferPointer(start: keys.pages, count: count)),
            hashes: Array(UnsafeBufferPointer(start: hashes.pages.pages, count: count)), slotLimit: slotLimit,
            count: self.count, heaps: (keys.heap, hashes.pages.heap), lease: lease)
    }

    /// Nothing is shared any more: every view has been given up.
    public func unfreeze() { sharing.end() }

    /// Makes the page of a slot writable.
    @usableFromInline @inline(never)
    func thaw(_ slot: Int) {
        let page = slot >> Pages<Key>.pageBits
        guard let lease = sharing.end(page) else { return }
        lease.adopt(replaced(page))
        let (oldKeys, oldHashes) = (keys.pages[page], hashes.pages.pages[page])
        let (newKeys, newHashes) = (keys.takePage(), hashes.pages.takePage())
        newHashes.initialize(from: oldHashes, count: Pages<Key>.pageSize)
        for index in 0..<Pages<Key>.pageSize where oldHashes[index] != .max {
            (newKeys + index).initialize(to: oldKeys[index])
        }
        keys.pages[page] = newKeys
        hashes.pages.pages[page] = newHashes
    }

    @usableFromInline
    func thawAll() {
        for page in 0..<keys.pageCount { thaw(page << Pages<Key>.pageBits) }
    }

    private func replaced(_ page: Int) -> ReplacedKeys<Key> {
        ReplacedKeys(
            keys: keys.pages[page], hashes: hashes.pages.pages[page], heaps: (keys.heap, hashes.pages.heap))
    }

    /// The table goes while a snapshot reads it: shared pages are left to the lease, and the table forgets their keys.
    @usableFromInline
    func leaveSharedPages() {
        for page in 0..<keys.pageCount {
            guard let lease = sharing.end(page) else { continue }
            lease.adopt(replaced(page))
            let vacant = hashes.pages.takePage()
            vacant.initialize(repeating: .max, count: Pages<Key>.pageSize)
            hashes.pages.pages[page] = vacant
        }
    }
}

/// The keys of a table as they were when it was frozen.
// Unchecked: nobody writes to the pages while the lease is held.
public struct FrozenTable<Key: Hashable>: @unchecked Sendable {
    let keys: [UnsafeMutablePointer<Key>]
    let hashes: [UnsafeMutablePointer<UInt64>]
    /// One past the highest slot in use.
    public let slotLimit: Int
    /// The number of keys.
    public let count: Int
    let heaps: (PageHeap, PageHeap)
    let lease: PageLease

    /// The hash of a slot's key; `UInt64.max` when the slot was free.
    @inline(__always)
    public func hash(at slot: Int) -> UInt64 {
        hashes[slot >> Pages<Key>.pageBits][slot & (Pages<Key>.pageSize &- 1)]
    }

    /// The key of a slot that was in use.
    @inline(__always)
    public func key(at slot: Int) -> Key { address(slot).pointee }

    @inline(__always)
    func address(_ slot: Int) -> UnsafePointer<Key> {
        UnsafePointer(keys[slot >> Pages<Key>.pageBits] + (slot & (Pages<Key>.pageSize &- 1)))
    }
}

/// A page of keys that only a snapshot reads any more.
// Unchecked: the page has one owner at a time.
private struct ReplacedKeys<Key>: ReplacedPage, @unchecked Sendable {
    let keys: UnsafeMutablePointer<Key>
    let hashes: UnsafeMutablePointer<UInt64>
    let heaps: (PageHeap, PageHeap)

    func dispose() {
        for index in 0..<Pages<Key>.pageSize where hashes[index] != .max { (keys + index).deinitialize(count: 1) }
        heaps.0.give(PageAddress(raw: UnsafeMutableRawPointer(keys)))
        heaps.1.give(PageAddress(raw: UnsafeMutableRawPointer(hashes)))
    }
}
