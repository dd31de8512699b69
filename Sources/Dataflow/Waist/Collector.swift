// SPDX-License-Identifier: Apache-2.0
//  How user functions emit records.

import ThalwegBase
import ThalwegData

/// The timestamp of the record being processed, shared by the collectors of one operator.
public final class RecordClock {
    // Used by one task alone; behind inlined accessors so that the attribute holds in other modules (see `Batch`).
    @exclusivity(unchecked) @usableFromInline var storedTime = Int64.min
    @exclusivity(unchecked) @usableFromInline var storedWatermark = Int64.min

    /// Milliseconds of event time; `Int64.min` when the record has none.
    @inlinable public var time: Int64 {
        get { storedTime }
        set { storedTime = newValue }
    }
    /// The event time of the operator: its last watermark.
    @inlinable public var watermark: Int64 {
        get { storedWatermark }
        set { storedWatermark = newValue }
    }

    public init() {}
}

/// Gathers emitted records into batches for the next operator.
public final class Collector<Element> {
    @usableFromInline let outlet: Inlet<Element>
    @usableFromInline let batch: Batch<Element>
    @usableFromInline let clock: RecordClock
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var failure: (any Error)?
    /// The split that emitted records come from; -1 when they come from several or from none.
    @exclusivity(unchecked) public var split: Int32 = -1

    @inlinable
    public init(_ outlet: Inlet<Element>, clock: RecordClock, capacity: Int) {
        self.outlet = outlet
        self.clock = clock
        batch = Batch(capacity: capacity)
    }

    /// Emits a record with the timestamp of the record (or timer) being processed.
    @inlinable @inline(__always)
    public func emit(_ element: consuming Element) { emit(element, at: clock.time) }

    /// Emits a record with a timestamp in milliseconds of event time.
    @inlinable @inline(__always)
    public func emit(_ element: consuming Element, at time: Int64) {
        batch.append(element, time: time)
        if batch.isFull { handOn() }
    }

    /// Hands on what was gathered; a failure downstream is kept for ``flush()``.
    @inlinable @inline(never)
    func handOn() {
        // A stream has timestamps or has none: the first record speaks for all.
        batch.isTimed = batch.count > 0 && batch.times[0] != .min
        batch.split = split
        if failure == nil {
            do { try outlet.push(batch) } catch { failure = error }
        }
        batch.removeAll()
    }

    /// Hands on what was gathered.
    ///
    /// - Throws: what the operators downstream threw since the last flush.
    @inlinable
    public func flush() throws {
        if batch.count > 0 { handOn() }
        if let failure { throw failure }
    }
}
