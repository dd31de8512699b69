// SPDX-License-Identifier: Apache-2.0
//  Durations on the command line: 500ms, 90s, 30m, 1h, 7d.

import ArgumentParser
import ThalwegBase

extension Duration: @retroactive ExpressibleByArgument {
    /// Reads a whole number with a unit: `ms`, `s`, `m`, `h` or `d`. Nil when it is anything else, or too long.
    public init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        let units: [Substring: Int64] = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
        guard let count = Int64(digits), let unit = units[argument.dropFirst(digits.count)] else { return nil }
        let (milliseconds, overflow) = count.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        self = .milliseconds(milliseconds)
    }

    /// The shortest text that reads back as the same duration, for help texts.
    public var defaultValueDescription: String {
        let milliseconds = wholeMilliseconds
        let units: [(String, Int64)] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
        for (unit, size) in units where milliseconds % size == 0 && milliseconds != 0 {
            return "\(milliseconds / size)\(unit)"
        }
        return "\(milliseconds)ms"
    }
}
