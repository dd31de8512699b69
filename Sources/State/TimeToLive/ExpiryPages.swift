// SPDX-License-Identifier: Apache-2.0
//  Where to look for what has expired, and when: the earliest stamp of each page of places.

import ThalwegBase

/// For each page of 1,024 places (slots, map entries) a stamp that none there is below.
///
/// A newer stamp leaves it as it is, so a write costs a comparison. When its time has passed the page is looked at and
/// gets the stamp that is the earliest then: a page whose places are written again and again is looked at once in each
/// stretch of time, an eighth of a life.
@frozen
@usableFromInline
struct ExpiryPages: ~Copyable {
    @usableFromInline let life: Int64
    /// The length of a stretch in milliseconds.
    @usableFromInline let width: Int64
    /// `Int64.max`: nothing there will expire.
    @usableFromInline var firsts: UnsafeMutablePointer<Int64>
    @usableFromInline var count = 0
    @usableFromInline var room = 8
    /// When to look next: the end of the stretch in which something expires; `Int64.max` when nothing does.
    @usableFromInline var nextTime = Int64.max
    /// The page from which to go on.
    @usableFromInline var cursor = 0

    /// - Parameter life: how long entries live, in milliseconds.
    init(life: Int64) {
        self.life = life
        width = max(1, life / 8)
        firsts = .allocate(capacity: room)
    }

    @inlinable deinit { firsts.deallocate() }

    /// A place has an entry of a stamp.
    @inlinable @inline(__always)
    mutating func note(_ stamp: Int64, at place: Int) {
        let page = place >> 10
        if page >= count || stamp < firsts[page] { lower(page, stamp) }
    }

    @usableFromInline @inline(never)
    mutating func lower(_ page: Int, _ stamp: Int64) {
        while page >= count { addPage() }
        firsts[page] = min(firsts[page], stamp)
        nextTime = min(nextTime, time(of: stamp))
    }

    private mutating func addPage() {
        if count == room {
            let wider = UnsafeMutablePointer<Int64>.allocate(capacity: room * 2)
            wider.moveInitialize(from: firsts, count: count)
            firsts.deallocate()
            firsts = wider
            room *= 2
        }
        (firsts + count).initialize(to: .max)
        count += 1
    }

    /// When an entry of a stamp is looked at; `Int64.max`: never.
    private func time(of stamp: Int64) -> Int64 {
        // Given once event time is known.
        if stamp == .min { return .min / 2 }
        let (end, isEndless) = stamp.addingReportingOverflow(life)
        if isEndless || end > .max / 2 { return .max }
        return (max(end, .min / 2).flooredDivision(by: width).quotient + 1) * width - 1
    }

    /// Up to which stamp entries are looked at.
    @inlinable @inline(__always)
    static func limit(now: Int64, life: Int64) -> Int64 {
        let (limit, isEndless) = now.subtractingReportingOverflow(life)
        return isEndless ? .min : limit
    }

    /// Takes the next page in which something may have expired; what is noted from then on counts anew.
    ///
    /// - Returns: nil when all pages have been looked at.
    mutating func popDue(_ now: Int64) -> Int? {
        let limit = Self.limit(now: now, life: life)
        // At the end of time nothing is left that does not live for ever.
        while nextTime <= now && nextTime < .max {
            while cursor < count {
                cursor += 1
                guard firsts[cursor - 1] <= limit else { continue }
                firsts[cursor - 1] = .max
                return cursor - 1
            }
            cursor = 0
            var first = Int64.max
            for page in 0..<count { first = min(first, firsts[page]) }
            nextTime = time(of: first)
        }
        return nil
    }
}
