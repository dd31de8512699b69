// SPDX-License-Identifier: Apache-2.0
//  What most accesses to state that expires compare a stamp with.

import ThalwegBase

/// Marks that an access reads without counting a reference: most need nothing else. Moved by the clock.
@usableFromInline
final class ExpiryGauge {
    @frozen
    @usableFromInline
    struct Marks {
        /// A read of what has a later stamp finds it alive, and changes nothing. `Int64.max`: every read has more to
        /// do, as it gives a new stamp, or asks the record for its time.
        @usableFromInline var read = Int64.max
        /// What has a later stamp, and none after `now`, is alive, and gets the stamp `now` when it is written.
        /// `Int64.max`: every write has more to do.
        @usableFromInline var write = Int64.max
        @usableFromInline var now = Int64.min
    }

    /// Valid as long as the gauge.
    let marks = UnsafeMutablePointer<Marks>.allocate(capacity: 1)
    private let life: Int64
    private let isTouchedByReads: Bool

    init(_ ttl: StateTTL, life: Int64) {
        marks.initialize(to: Marks())
        self.life = life
        isTouchedByReads = ttl.update == .onReadAndWrite
    }

    deinit { marks.deallocate() }

    /// Processing time, by which the state lives, has come to `now`.
    func move(to now: Int64) {
        let limit = ExpiryPages.limit(now: now, life: life)
        marks.pointee = Marks(read: isTouchedByReads ? .max : limit, write: limit, now: now)
    }
}
