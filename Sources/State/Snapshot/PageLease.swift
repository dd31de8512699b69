// SPDX-License-Identifier: Apache-2.0
//  Keeps pages alive that a snapshot still reads.

import Synchronization
import ThalwegBase

/// Owns what an operator has replaced since a barrier and a snapshot still reads; all of it goes with the lease.
///
/// The operator and every frozen view of one barrier hold one lease. A page that several barriers share belongs to the
/// latest of them, so an earlier lease holds the later one.
public final class PageLease: Sendable {
    private struct Held {
        var pages: [any ReplacedPage] = []
        var next: PageLease?
    }

    private let held = Guarded(Held())
    /// Whether what is frozen is read before anything changes: then nothing needs to be shared.
    let isMomentary: Bool

    init(isMomentary: Bool = false) { self.isMomentary = isMomentary }

    deinit {
        held.withLock { held in
            for page in held.pages { page.dispose() }
            held.pages = []
        }
    }

    /// Takes over a page that the operator no longer uses.
    public func adopt(_ page: any ReplacedPage) { held.withLock { $0.pages.append(page) } }

    /// Holds the lease of the next barrier as long as this one is held.
    func hold(_ next: PageLease) { held.withLock { $0.next = next } }
}

/// Memory that only a snapshot reads any more.
public protocol ReplacedPage: Sendable {
    /// Destroys what the page holds and gives its memory back. Called once.
    func dispose()
}

/// Which pages of a column are shared with a snapshot.
@frozen
@usableFromInline
struct PageSharing {
    @usableFromInline var lease: PageLease?
    @usableFromInline var isShared: [Bool] = []
    /// The number of pages that are shared.
    @usableFromInline var left = 0

    @inlinable
    init() {}

    /// Every page there is becomes shared, unless all is read at once.
    mutating func begin(_ lease: PageLease, pages: Int) {
        if lease.isMomentary { return }
        self.lease = lease
        isShared = Array(repeating: true, count: pages)
        left = pages
    }

    func has(_ page: Int) -> Bool { left > 0 && page < isShared.count && isShared[page] }

    /// Ends the sharing of one page; nil when it is not shared.
    mutating func end(_ page: Int) -> PageLease? {
        guard has(page) else { return nil }
        isShared[page] = false
        left -= 1
        return lease
    }

    /// No page is shared any more: the snapshot is done with them.
    mutating func end() { self = PageSharing() }
}

/// Counts the snapshots of one operator that are not yet released.
public final class PageFreezing {
    /// The lease of the latest barrier.
    private var lease: PageLease?
    private var count = 0

    public init() {}

    /// A barrier has come: the lease for all that is frozen at it.
    public func begin() -> PageLease {
        let next = PageLease()
        lease?.hold(next)
        lease = next
        count += 1
        return next
    }

    /// A snapshot is done; true when no other is under way, so that nothing is shared any more.
    public func end() -> Bool {
        count -= 1
        guard count == 0 else { return false }
        lease = nil
        return true
    }
}
