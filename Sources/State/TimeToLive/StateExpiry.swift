// SPDX-License-Identifier: Apache-2.0
//  The stamps of one state's entries, and when to look for those that have expired.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// A state whose entries expire, seen without its type.
public protocol ExpiringColumn: AnyObject {
    /// Whether somebody wants to be called with what has expired.
    var isHeard: Bool { get }
    /// Removes what has expired at a place (a slot, a map entry).
    ///
    /// - Parameter emptied: takes the slot when nothing is left in it.
    /// - Returns: the earliest stamp that is left; nil when there is none.
    func sweep(_ place: Int, now: Int64, emptied: inout [Int32]) -> Int64?
}

/// Removes what has expired in a page of places of a state that has the stamps in its own column.
///
/// - Parameter emptied: takes the slots in which nothing is left.
/// - Returns: the earliest stamp that is left; `Int64.max` when there is none.
@usableFromInline
typealias PageSweep = (_ page: Int, _ now: Int64, _ emptied: inout [Int32]) -> Int64

/// The time to live of one state in one subtask.
///
/// A write costs no more than its stamp: where to look for what has expired is known by the page (``ExpiryPages``).
@usableFromInline
final class StateExpiry {
    @usableFromInline let ttl: StateTTL
    @usableFromInline let life: Int64
    // What the settings say, ready for every access.
    /// Whether readers see only what has not expired.
    @usableFromInline let isHiding: Bool
    @usableFromInline let isTouchedByReads: Bool
    @usableFromInline let isEventTime: Bool
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline unowned(unsafe) var time: StateTime
    /// Keeps `time` valid.
    private var owner: StateTime
    @exclusivity(unchecked) @usableFromInline var pages: ExpiryPages
    /// The stamps of places, or the earliest of each; `Int64.max` where there is none. Unused by a state that has them
    /// beside its values.
    @exclusivity(unchecked) private var stamps = PagedColumn<Int64>(initial: .max)
    private var pageSweep: PageSweep?
    private let gauge: ExpiryGauge
    /// Valid as long as this.
    @usableFromInline var marks: UnsafeMutablePointer<ExpiryGauge.Marks> { gauge.marks }

    @usableFromInline
    init(_ ttl: StateTTL) {
        self.ttl = ttl
        life = max(1, ttl.duration.wholeMilliseconds)
        isHiding = ttl.visibility == .neverReturnExpired
        isTouchedByReads = ttl.update == .onReadAndWrite
        isEventTime = ttl.domain == .eventTime
        gauge = ExpiryGauge(ttl, life: life)
        let unbound = StateTime()
        owner = unbound
        time = unbound
        pages = ExpiryPages(life: life)
    }

    /// Hangs the state on a store that knows what time it is.
    ///
    /// - Parameter pageSweep: of a state that has the stamps in its own column.
    /// - Throws: `ThalwegError(.job)` for a life shorter than a millisecond.
    func bind(
        _ name: String, _ column: any ExpiringColumn, to store: AnyKeyedStore, pageSweep: PageSweep? = nil
    ) throws(ThalwegError) {
        guard ttl.duration >= .milliseconds(1) else {
            throw ThalwegError(
                .job, "a time to live is shorter than a millisecond", detail: "state \"\(name)\": \(ttl.duration)",
                hint: "give it a longer one, or none")
        }
        guard let time = store.time else {
            throw ThalwegError(
                .job, "a state has a time to live where no time is known", detail: "state \"\(name)\"",
                hint: "use it in a keyed process function")
        }
        owner = time
        self.time = time
        self.pageSweep = pageSweep
        if !isEventTime { time.show(on: gauge) }
        store.expire(name, column, self)
    }

    func limitExtents(to byteCount: Int) { stamps.limitExtents(to: byteCount) }

    // MARK: Reading

    /// Whether a read that meets an expired entry removes it. In event time, records that come later may be of an
    /// earlier time, for which the entry still lives: the watermark removes it.
    @usableFromInline var removesOnRead: Bool { !isEventTime || !isHiding }
    /// What readers compare with.
    @inlinable var now: Int64 {
        @inline(__always) get { isEventTime ? time.eventNow() : time.processingTime }
    }

    @inlinable @inline(__always)
    func isExpired(stamp: Int64, now: Int64) -> Bool {
        // A stamp of `.min` is given once event time is known.
        stamp <= ExpiryPages.limit(now: now, life: life) && stamp != .min
    }

    @usableFromInline
    func isExpired(_ place: Int, now: Int64) -> Bool { isExpired(stamp: stamp(place), now: now) }

    @usableFromInline
    func countReads(_ count: Int) { time.expiredOnRead.add(count) }

    // MARK: Stamps

    @usableFromInline
    func stamp(_ place: Int) -> Int64 { place < stamps.capacity ? stamps.address(place).pointee : .max }

    private func writable(_ place: Int) -> UnsafeMutablePointer<Int64> {
        if place >= stamps.capacity { stamps.reserve(place + 1) }
        if stamps.isShared { stamps.thaw(page: place >> 10) }
        return stamps.address(place)
    }

    /// Up to which stamp entries have expired for everybody.
    var limit: ExpiryLimit { ExpiryLimit(life: life, now: time.passed(ttl.domain)) }

    /// The stamp of what is written now.
    ///
    /// - Parameter old: the stamp it had: one of an earlier record never shortens its life.
    @inlinable @inline(__always)
    func newStamp(after old: Int64 = .min) -> Int64 {
        max(isEventTime ? time.eventStamp() : time.processingTime, old)
    }

    /// Gives an entry the stamp of now.
    @usableFromInline
    func touch(_ place: Int, isNew: Bool) {
        set(newStamp(after: isNew ? .min : stamp(place)), at: place)
    }

    /// Gives an entry a stamp and sees to it that it will be looked at.
    @usableFromInline
    func set(_ stamp: Int64, at place: Int) {
        writable(place).pointee = stamp
        pages.note(stamp, at: place)
    }

    /// Sees to it that a place is looked at when an entry of this stamp has expired.
    @usableFromInline
    func note(_ stamp: Int64, at place: Int) {
        if stamp < self.stamp(place) { set(stamp, at: place) }
    }

    /// Runs the hook for an expired entry.
    @usableFromInline
    func report(stamp: Int64, _ body: () -> Void) { time.emit(at: stamp &+ life, body) }

    // MARK: Sweeping

    /// When something is to be looked at; `Int64.max`: never. Not after now while there is more to be looked at.
    var nextTime: Int64 { pages.nextTime }

    /// What looking at a page costs beside what is removed, in entries.
    private static let pageCost = 16
    /// The least lag in milliseconds for which more is removed at a time.
    private static let lagMin: Int64 = 50

    /// Removes what has expired, at the latest `width` after its moment.
    ///
    /// - Parameter entriesMax: about how many are removed before the rest waits for the next call: one page more at
    ///   most. It doubles with each stretch by which removal lags, so that it keeps up.
    /// - Returns: whether there was something to look at: something has expired, or would have without a newer stamp.
    func sweep(_ column: any ExpiringColumn, now: Int64, entriesMax: Int, emptied: inout [Int32]) -> Bool {
        guard nextTime <= now else { return false }
        let (lag, isEndless) = now.subtractingReportingOverflow(nextTime)
        let doublings = isEndless ? Int64.max : lag / max(pages.width, Self.lagMin)
        let most = doublings > 30 || entriesMax > .max >> 30 ? .max : entriesMax << doublings
        var (work, hasLooked) = (0, false)
        while work < most, let page = pages.popDue(now) {
            hasLooked = true
            let before = time.sweptEntries.value
            let first = pageSweep?(page, now, &emptied) ?? sweep(page: page, column, now: now, emptied: &emptied)
            pages.note(first, at: page << 10)
            work += Self.pageCost + time.sweptEntries.value - before
        }
        return hasLooked
    }

    /// Looks at a page of places whose stamps are here.
    private func sweep(page: Int, _ column: any ExpiringColumn, now: Int64, emptied: inout [Int32]) -> Int64 {
        let limit = ExpiryPages.limit(now: now, life: life)
        var first = Int64.max
        for place in page << 10..<min((page + 1) << 10, stamps.capacity) {
            let stamp = stamps.address(place).pointee
            guard stamp <= limit else {
                first = min(first, stamp)
                continue
            }
            if let left = column.sweep(place, now: now, emptied: &emptied) {
                writable(place).pointee = left
                first = min(first, left)
            } else if self.stamp(place) == stamp {
                // Else the hook has written here.
                writable(place).pointee = .max
            }
        }
        return first
    }

    // MARK: Snapshots

    func freeze(under lease: PageLease) -> FrozenExpiry {
        FrozenExpiry(limit: limit, stamps: stamps.freeze(under: lease))
    }

    func unfreeze() { stamps.unfreeze() }
}

/// The stamps of a state as they were at a barrier.
struct FrozenExpiry: Sendable {
    let limit: ExpiryLimit
    let stamps: FrozenColumn<Int64>

    func stamp(_ place: Int) -> Int64 { place < stamps.capacity ? stamps.address(place).pointee : .max }

    func isExpired(stamp: Int64) -> Bool { limit.isExpired(stamp) }
}

/// With what time to live a restored state was stored, and what its stamps mean now.
struct StoredStamps {
    /// Whether values were stored with stamps.
    let areStored: Bool
    private let areKept: Bool

    /// Stamps are kept when the clock is the same; entries stored without one, or by another clock, count as written
    /// now.
    init(_ found: StateDescriptor, wanted: StateTTL?) throws(ThalwegError) {
        let text = found.properties[StateTTL.propertyName]
        let stored = text.flatMap(StateTTL.init(text:))
        if let text, stored == nil {
            throw ThalwegError(
                .corrupt, "a state is stored with a time to live that is not understood",
                detail: "state \"\(found.name)\": \"\(text)\"", hint: "restore it with the version that wrote it")
        }
        areStored = stored != nil
        areKept = stored != nil && stored?.domain == wanted?.domain
    }

    /// The stamp of an entry that was stored with `stamp`.
    func restored(_ stamp: Int64, _ expiry: StateExpiry) -> Int64 { areKept ? stamp : expiry.newStamp() }

    /// Takes the stamp off a value.
    func read(_ bytes: inout ByteReader) throws(ThalwegError) -> Int64 {
        areStored ? try bytes.read(Int64.self) : .min
    }

    /// What follows the stamp of a single value.
    func split(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) -> (Int64, UnsafeRawBufferPointer) {
        guard areStored else { return (.min, bytes) }
        var reader = ByteReader(bytes)
        let stamp = try reader.read(Int64.self)
        return (stamp, UnsafeRawBufferPointer(rebasing: bytes.dropFirst(8)))
    }
}

extension StateDescriptor {
    /// This description with a time to live.
    func with(_ ttl: StateTTL?) -> StateDescriptor {
        var descriptor = self
        descriptor.properties[StateTTL.propertyName] = ttl?.text
        return descriptor
    }
}

extension AnyKeyedStore {
    /// The earliest moment at which state in a domain may have expired; `Int64.max`: none.
    public final func nextExpiry(_ domain: StateTTL.Domain) -> Int64 {
        var next = Int64.max
        for (_, _, expiry) in expiring where expiry.ttl.domain == domain { next = min(next, expiry.nextTime) }
        return next
    }

    /// Removes what has expired in a domain, now that its time has come to `now`. Not within a batch.
    ///
    /// - Parameters:
    ///   - entriesMax: about how many entries of each state are removed; while there are more, ``nextExpiry(_:)`` is
    ///     not after `now`. More are when removal falls behind.
    ///   - emptied: takes the slots that may hold nothing any more.
    public final func sweep(
        _ domain: StateTTL.Domain, now: Int64, entriesMax: Int = .max, emptied: inout [Int32]
    ) {
        for (_, column, expiry) in expiring where expiry.ttl.domain == domain {
            if expiry.sweep(column, now: now, entriesMax: entriesMax, emptied: &emptied) { layers?.hasExpired = true }
        }
    }
}
