// SPDX-License-Identifier: Apache-2.0
//  The memory that the pages of one column are cut from.

import Synchronization
import ThalwegBase

/// Gives out pages of one size and takes them back, from any thread. Later pages are cut from extents, of 2 MiB
/// where nothing else is said.
///
/// Whoever reads pages holds their heap: the memory goes when the last one lets go.
public final class PageHeap: Sendable {
    private struct Memory {
        var extents: [(start: PageAddress, byteCount: Int)] = []
        var free: [PageAddress] = []
        var cut = 0
        var pagesLeft = 0
        var extentBytes = PageMemory.hugeBytes
    }

    /// The number of pages from which on memory comes in extents.
    static let smallPagesMax = 32

    private let pageBytes: Int
    private let memory = Guarded(Memory())

    @usableFromInline
    init(pageBytes: Int) { self.pageBytes = pageBytes }

    deinit {
        memory.withLock { memory in
            for extent in memory.extents { PageMemory.free(extent.start.raw, byteCount: extent.byteCount) }
        }
    }

    /// Later extents have no more than so many bytes: where memory is counted, little is to be taken before it is used.
    func limitExtents(to byteCount: Int) { memory.withLock { $0.extentBytes = byteCount } }

    /// What it has taken.
    var byteCount: Int { memory.withLock { $0.extents.reduce(0) { $0 + $1.byteCount } } }

    /// A page whose content is undefined.
    @usableFromInline
    func take() -> PageAddress {
        memory.withLock { memory in
            if let page = memory.free.popLast() { return page }
            if memory.pagesLeft == 0 {
                let isSmall = memory.cut < Self.smallPagesMax
                memory.pagesLeft = isSmall ? 1 : max(1, memory.extentBytes / max(pageBytes, 1))
                let byteCount = memory.pagesLeft * pageBytes
                let extent = PageMemory.allocate(byteCount: byteCount)
                memory.extents.append((PageAddress(raw: extent), byteCount))
            }
            memory.cut += 1
            memory.pagesLeft -= 1
            return PageAddress(raw: memory.extents[memory.extents.count - 1].start.raw + memory.pagesLeft * pageBytes)
        }
    }

    /// Takes a page back in which nothing is initialised any more.
    func give(_ page: PageAddress) { memory.withLock { $0.free.append(page) } }
}

/// Where a page lies.
// Unchecked: an address alone; who may use what lies there is decided by those who pass it on.
@usableFromInline
struct PageAddress: @unchecked Sendable {
    @usableFromInline let raw: UnsafeMutableRawPointer
}
