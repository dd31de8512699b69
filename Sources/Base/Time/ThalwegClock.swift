// SPDX-License-Identifier: Apache-2.0
//  Where the time of day comes from.

import Synchronization

/// The only source of processing time. The real one lives in the runtime; tests and simulations move theirs by hand.
public protocol ThalwegClock: Sendable {
    /// Milliseconds since 1970 UTC, never decreasing.
    var now: Int64 { get }
}

/// A clock that stands still until it is moved.
public final class ManualClock: ThalwegClock {
    private let time: Atomic<Int64>

    public init(startingAt milliseconds: Int64 = 0) { time = Atomic(milliseconds) }

    public var now: Int64 { time.load(ordering: .acquiring) }

    /// Moves forward by whole milliseconds.
    public func advance(by duration: Duration) {
        time.add(max(0, duration.wholeMilliseconds), ordering: .acquiringAndReleasing)
    }

    /// Moves forward to a moment; an earlier one changes nothing.
    public func advance(to milliseconds: Int64) {
        time.max(milliseconds, ordering: .acquiringAndReleasing)
    }
}
