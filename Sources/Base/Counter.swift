// SPDX-License-Identifier: Apache-2.0
//  Counters that one task writes and anyone reads.

import Synchronization

/// A count kept by one task, readable from any thread (progress lines, metrics).
public final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    public init() {}

    /// The count so far.
    public var value: Int { count.load(ordering: .relaxed) }

    /// Adds `amount`. Only the owning task calls this, so a plain load and store suffice.
    public func add(_ amount: Int) { count.store(count.load(ordering: .relaxed) &+ amount, ordering: .relaxed) }

    /// Replaces the count (for gauges such as the current watermark). Only the owning task calls this.
    public func set(_ amount: Int) { count.store(amount, ordering: .relaxed) }
}

/// A count that several tasks keep together.
public final class SharedCounter: Sendable {
    private let count = Atomic<Int>(0)

    public init() {}

    /// The count so far.
    public var value: Int { count.load(ordering: .relaxed) }

    /// Adds `amount`; from any thread.
    public func add(_ amount: Int) { count.wrappingAdd(amount, ordering: .relaxed) }
}
