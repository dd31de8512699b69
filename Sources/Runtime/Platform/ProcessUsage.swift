// SPDX-License-Identifier: Apache-2.0
//  What this process has cost so far.

import Glibc

/// What this process has used.
public struct ProcessUsage: Sendable {
    public let cpuSeconds: Double
    public let peakMemoryBytes: Int

    public init() {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        cpuSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        peakMemoryBytes = usage.ru_maxrss * 1024
    }
}
