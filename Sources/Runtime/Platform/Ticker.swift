// SPDX-License-Identifier: Apache-2.0
//  Real time for people: durations of runs, things done every so often.

import Glibc
import Synchronization
import ThalwegBase

/// A moment on the machine's monotonic clock.
public struct MonotonicTime: Sendable {
    let nanoseconds: UInt64

    /// Now.
    public static var now: MonotonicTime {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// Seconds from this moment to now.
    public var secondsSince: Double { Double(Self.now.nanoseconds - nanoseconds) / 1e9 }
}

/// Calls a closure every so often from a thread of its own.
public final class Ticker: Sendable {
    private let parking = Parking()
    private let isStopped = Atomic<Bool>(false)

    public init() {}

    public func start(every interval: Duration, _ body: @escaping @Sendable () -> Void) {
        let milliseconds = max(1, interval.wholeMilliseconds)
        WorkerThread.start { [self] in
            let epoch = parking.epoch
            while !isStopped.load(ordering: .acquiring) {
                parking.sleep(since: epoch, atMost: milliseconds)
                if !isStopped.load(ordering: .acquiring) { body() }
            }
        }
    }

    public func stop() {
        isStopped.store(true, ordering: .releasing)
        parking.wake()
    }
}
