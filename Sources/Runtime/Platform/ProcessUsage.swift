// SPDX-License-Identifier: Apache-2.0
//  What this process has cost so far.

import Glibc

/// What this process has used.
public struct ProcessUsage: Sendable {
    public let cpuSeconds: Double
    public let peakMemoryBytes: Int

    /// What this process occupies now, in bytes; 0 when the system does not say.
    public static func residentBytes() -> Int {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var text = [UInt8](repeating: 0, count: 128)
        let count = read(file, &text, text.count)
        // The second number counts resident pages.
        let words = text.prefix(max(count, 0)).split(separator: UInt8(ascii: " "))
        guard words.count > 1, let pages = Int(String(decoding: words[1], as: UTF8.self)) else { return 0 }
        return pages * sysconf(CInt(_SC_PAGESIZE))
    }

    public init() {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        cpuSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        peakMemoryBytes = usage.ru_maxrss * 1024
    }
}
