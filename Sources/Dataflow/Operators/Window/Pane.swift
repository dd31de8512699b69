// SPDX-License-Identifier: Apache-2.0
//  The aggregates of one pane of time.

import ThalwegBase
import ThalwegState

/// The partial aggregates of one pane: one accumulator per key.
public final class Pane<Key: Hashable, Accumulator> {
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var start: Int64 = 0
    @usableFromInline let table = KeyTable<Key>()
    @exclusivity(unchecked) @usableFromInline var accumulators: PagedColumn<Accumulator>
    /// Whether a snapshot that is not yet released has this pane: its memory is not used for another one.
    @exclusivity(unchecked) @usableFromInline var isFrozen = false
    /// Whether files have a part of it, below what is here.
    @exclusivity(unchecked) @usableFromInline var isAtRest = false
    /// Whether records have come since panes were last sent to rest.
    @exclusivity(unchecked) @usableFromInline var isInUse = false
    /// Whether records have come since it was measured what it refers to.
    @exclusivity(unchecked) @usableFromInline var isUnmeasured = false
    /// About how many bytes its keys and accumulators refer to.
    @exclusivity(unchecked) @usableFromInline var heldBytes = 0

    @inlinable
    init(initial: Accumulator) { accumulators = PagedColumn(initial: initial) }

    /// Forgets everything but keeps the memory for the next pane.
    @inlinable
    func reset() {
        for slot in 0..<table.slotLimit { accumulators.reset(slot) }
        table.removeAll()
        isAtRest = false
        isInUse = false
        isUnmeasured = false
        heldBytes = 0
    }

    /// Notes that records come.
    @inlinable @inline(__always)
    func touch() {
        isInUse = true
        isUnmeasured = true
    }

    /// Makes the accumulators of slots writable; the table sees to its keys itself.
    @usableFromInline @inline(never)
    func thaw(_ slots: UnsafePointer<Int32>, count: Int) {
        for index in 0..<count where accumulators.isShared { accumulators.thaw(page: Int(slots[index]) >> 10) }
    }
}

extension Pane where Key: Codable & Sendable, Accumulator: Codable & Sendable {
    /// Shares the pane with a snapshot.
    func freeze(under lease: PageLease) -> StoredTables<Key, Accumulator>.Frozen {
        isFrozen = true
        return .init(start: start, keys: table.freeze(under: lease), values: accumulators.freeze(under: lease))
    }

    func unfreeze() {
        isFrozen = false
        table.unfreeze()
        accumulators.unfreeze()
    }
}
