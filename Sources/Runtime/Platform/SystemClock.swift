// SPDX-License-Identifier: Apache-2.0
//  The real time of day.

import Glibc
import Synchronization
import ThalwegBase

/// The machine's clock, kept from going backwards.
public final class SystemClock: ThalwegClock {
    private let latest = Atomic<Int64>(.min)

    public init() {}

    public var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let milliseconds = Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
        return latest.max(milliseconds, ordering: .acquiringAndReleasing).newValue
    }
}
