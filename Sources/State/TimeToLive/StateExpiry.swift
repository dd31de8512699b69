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

/// The time to live of one state in one subtask.
///
/// A place stands in the list of one stretch of time, that of its first expiry when it was put there. When the
/// stretch is over the place is looked at: what has expired is removed, and what lives is put into a later list. So a
/// write costs no more than its stamp.
@usableFromInline
final class StateExpiry {
    @usableFromInline
    struct Cell {
        @usableFromInline var stamp = Int64.min
        /// The stretch in whose list the place stands; `Int64.max`: in none.
        var listed = Int64.max
        @usableFromInline init() {}
    }

    @usableFromInline let ttl: StateTTL
    private let life: Int64
    @usableFromInline var time = StateTime()
    // Used by one task alone.
    @exclusivity(unchecked) private var cells = PagedColumn<Cell>(initial: Cell())
    @exclusivity(unchecked) private var buckets: ExpiryBuckets

    @usableFromInline
    init(_ ttl: StateTTL) {
        self.ttl = ttl
        life = max(1, ttl.duration.wholeMilliseconds)
        buckets = ExpiryBuckets(life: life)
    }

    /// Hangs the state on a store that knows what time it is.
    ///
    /// - Throws: `ThalwegError(.job)` for a life shorter than a millisecond.
    func bind(_ name: String, _ column: any ExpiringColumn, to store: AnyKeyedStore) throws(ThalwegError) {
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
        self.time = time
        store.expire(name, column, self)
    }

    /// What a place takes.
    static var cellBytes: Int { MemoryLayout<Cell>.stride }

    func limitExtents(to byteCount: Int) { cells.limitExtents(to: byteCount) }

    // MARK: Reading

    /// Whether readers see only what has not expired.
    @usableFromInline var isHiding: Bool { ttl.visibility == .neverReturnExpired }
    /// Whether a read that meets an expired entry removes it. In event time, records that come later may be of an
    /// earlier time, for which the entry still lives: the watermark removes it.
    @usableFromInline var removesOnRead: Bool { ttl.domain == .processingTime || !isHiding }
    @usableFromInline var isTouchedByReads: Bool { ttl.update == .onReadAndWrite }
    /// What readers compare with.
    @usableFromInline var now: Int64 { time.now(ttl.domain) }

    @usableFromInline
    func isExpired(stamp: Int64, now: Int64) -> Bool {
        // A stamp of `.min` is given once event time is known.
        let (end, isEndless) = stamp.addingReportingOverflow(life)
        return !isEndless && end <= now && stamp != .min
    }

    @usableFromInline
    func isExpired(_ place: Int, now: Int64) -> Bool { isExpired(stamp: stamp(place), now: now) }

    @usableFromInline
    func countReads(_ count: Int) { time.expiredOnRead.add(count) }

    // MARK: Stamps

    @usableFromInline
    func stamp(_ place: Int) -> Int64 { place < cells.capacity ? cells.address(place).pointee.stamp : .min }

    private func writable(_ place: Int) -> UnsafeMutablePointer<Cell> {
        if place >= cells.capacity { cells.reserve(place + 1) }
        if cells.isShared { cells.thaw(page: place >> 10) }
        return cells.address(place)
    }

    /// Up to which stamp entries have expired for everybody.
    func limit(of name: String) -> ExpiryLimit {
        ExpiryLimit(name: name, text: ttl.text, life: life, now: time.passed(ttl.domain))
    }

    /// The stamp of what is written now.
    ///
    /// - Parameter old: the stamp it had: one of an earlier record never shortens its life.
    @usableFromInline
    func newStamp(after old: Int64 = .min) -> Int64 { max(time.stamp(ttl.domain), old) }

    /// Gives an entry the stamp of now.
    @usableFromInline
    func touch(_ place: Int, isNew: Bool) {
        set(newStamp(after: isNew ? .min : stamp(place)), at: place)
    }

    /// Gives an entry a stamp and sees to it that it will be looked at.
    @usableFromInline
    func set(_ stamp: Int64, at place: Int) {
        let cell = writable(place)
        cell.pointee.stamp = stamp
        list(place, stamp, cell)
    }

    /// Sees to it that a place is looked at when an entry of this stamp has expired.
    @usableFromInline
    func note(_ stamp: Int64, at place: Int) { list(place, stamp, writable(place)) }

    private func list(_ place: Int, _ stamp: Int64, _ cell: UnsafeMutablePointer<Cell>) {
        guard let end = end(of: stamp) else { return }
        let number = buckets.number(of: end)
        guard number < cell.pointee.listed else { return }
        cell.pointee.listed = number
        buckets.add(place, to: number)
    }

    /// When an entry of a stamp expires; nil: never.
    private func end(of stamp: Int64) -> Int64? {
        if stamp == .min { return .min / 2 }
        let (end, isEndless) = stamp.addingReportingOverflow(life)
        return isEndless || end > .max / 2 || end < .min / 2 ? nil : end
    }

    /// Runs the hook for an expired entry.
    @usableFromInline
    func report(stamp: Int64, _ body: () -> Void) { time.emit(at: stamp &+ life, body) }

    // MARK: Sweeping

    /// When something is to be looked at; `Int64.max`: never.
    var nextTime: Int64 { buckets.nextTime }

    /// Removes what has expired, at the latest `width` after its moment.
    ///
    /// - Returns: whether there was something to look at: something has expired, or would have without a newer stamp.
    func sweep(_ column: any ExpiringColumn, now: Int64, emptied: inout [Int32]) -> Bool {
        var hasLooked = false
        while let (number, places) = buckets.popDue(now) {
            for place in places where cells.address(Int(place)).pointee.listed == number {
                hasLooked = true
                writable(Int(place)).pointee.listed = .max
                if let stamp = column.sweep(Int(place), now: now, emptied: &emptied) { note(stamp, at: Int(place)) }
            }
        }
        return hasLooked
    }

    // MARK: Snapshots

    func freeze(under lease: PageLease) -> FrozenExpiry {
        FrozenExpiry(life: life, now: time.passed(ttl.domain), cells: cells.freeze(under: lease))
    }

    func unfreeze() { cells.unfreeze() }
}

/// The stamps of a state as they were at a barrier.
struct FrozenExpiry: Sendable {
    let life: Int64
    let now: Int64
    let cells: FrozenColumn<StateExpiry.Cell>

    func stamp(_ place: Int) -> Int64 { place < cells.capacity ? cells.address(place).pointee.stamp : .min }

    func isExpired(stamp: Int64) -> Bool {
        let (end, isEndless) = stamp.addingReportingOverflow(life)
        return !isEndless && end <= now && stamp != .min
    }
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
    /// - Parameter emptied: takes the slots that may hold nothing any more.
    public final func sweep(_ domain: StateTTL.Domain, now: Int64, emptied: inout [Int32]) {
        for (_, column, expiry) in expiring where expiry.ttl.domain == domain {
            if expiry.sweep(column, now: now, emptied: &emptied) { layers?.hasExpired = true }
        }
    }
}
