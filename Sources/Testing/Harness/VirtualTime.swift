// SPDX-License-Identifier: Apache-2.0
//  Processing time that a test moves by hand.

import Thalweg

/// A processing-time service on a clock that stands still until the test moves it.
public final class VirtualTime: ProcessingTimeService {
    public let clock: ManualClock
    private var queue: [(time: Int64, action: () throws -> Void)] = []

    public init(startingAt milliseconds: Int64 = 0) { clock = ManualClock(startingAt: milliseconds) }

    public var now: Int64 { clock.now }

    /// The number of callbacks that wait.
    public var pendingCount: Int { queue.count }
    /// When the next callback is due; nil when none waits.
    public var nextTime: Int64? { queue.first?.time }

    public func schedule(at time: Int64, _ action: @escaping () throws -> Void) {
        let index = queue.firstIndex { $0.time > time } ?? queue.count
        queue.insert((time, action), at: index)
    }

    /// Moves time forward, stopping at each callback on the way.
    public func advance(to milliseconds: Int64) throws {
        while let first = queue.first, first.time <= milliseconds {
            clock.advance(to: first.time)
            queue.removeFirst()
            try first.action()
        }
        clock.advance(to: milliseconds)
    }
}
