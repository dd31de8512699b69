// SPDX-License-Identifier: Apache-2.0
//  Restart strategies as text: `none`, `fixed-delay:3:10s`, `failure-rate:3:5min:10s`, `exponential-delay:1s:1min`.

import ThalwegBase

extension RestartStrategy {
    /// Reads a strategy as it is given on a command line:
    ///
    ///     none
    ///     fixed-delay:ATTEMPTS:DELAY
    ///     failure-rate:MAX:INTERVAL:DELAY
    ///     exponential-delay[:INITIAL:MAX[:MULTIPLIER[:RESET[:JITTER[:ATTEMPTS]]]]]
    ///
    /// Durations are whole numbers with a unit: ms, s, min, h, d.
    ///
    /// - Throws: a `ThalwegError(.job)` that names the part that cannot be read.
    public init(text: String) throws {
        var parts = StrategyParts(text: text)
        switch parts.name {
        case "none": self = .none
        case "fixed-delay":
            self = .fixedDelay(attempts: try parts.count("attempts"), delay: try parts.duration("delay"))
        case "failure-rate":
            self = .failureRate(
                max: try parts.count("max"), interval: try parts.duration("interval"),
                delay: try parts.duration("delay"))
        case "exponential-delay":
            var delay = ExponentialDelay()
            if parts.hasMore {
                delay.initial = try parts.duration("initial")
                delay.max = try parts.duration("max")
            }
            if parts.hasMore { delay.multiplier = try parts.number("multiplier") }
            if parts.hasMore { delay.resetAfter = try parts.duration("reset") }
            if parts.hasMore { delay.jitter = try parts.number("jitter") }
            if parts.hasMore { delay.attemptsMax = try parts.count("attempts") }
            self = .exponentialDelay(delay)
        default: throw parts.error("'\(parts.name)' is no strategy")
        }
        try parts.expectEnd()
        do { try validate() } catch { throw parts.error("a number is out of range", cause: error) }
    }

    /// The text that `init(text:)` reads.
    public var text: String {
        switch self {
        case .none: return "none"
        case .fixedDelay(let attempts, let delay): return "fixed-delay:\(attempts):\(Self.duration(delay))"
        case .failureRate(let max, let interval, let delay):
            return "failure-rate:\(max):\(Self.duration(interval)):\(Self.duration(delay))"
        case .exponentialDelay(let delay):
            let times = "\(Self.duration(delay.initial)):\(Self.duration(delay.max)):\(delay.multiplier)"
            let rest = "\(Self.duration(delay.resetAfter)):\(delay.jitter)"
            return "exponential-delay:\(times):\(rest)" + (delay.attemptsMax.map { ":\($0)" } ?? "")
        }
    }

    private static func duration(_ milliseconds: Int64) -> String {
        let unit = StrategyParts.units.last { milliseconds != 0 && milliseconds % $0.milliseconds == 0 }
        return unit.map { "\(milliseconds / $0.milliseconds)\($0.name)" } ?? "\(milliseconds)ms"
    }
}

/// The parts of a strategy's text, read from left to right.
private struct StrategyParts {
    static let units: [(name: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    let text: String
    let name: String
    private var rest: ArraySlice<String>

    init(text: String) {
        self.text = text
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        name = parts.first ?? ""
        rest = parts.dropFirst()
    }

    var hasMore: Bool { !rest.isEmpty }

    mutating func count(_ meaning: String) throws -> Int {
        let part = try next(meaning)
        guard let value = Int(part), value >= 0 else { throw error("\(meaning) '\(part)' is no count") }
        return value
    }

    mutating func number(_ meaning: String) throws -> Double {
        let part = try next(meaning)
        guard let value = Double(part), value.isFinite else { throw error("\(meaning) '\(part)' is no number") }
        return value
    }

    mutating func duration(_ meaning: String) throws -> Int64 {
        let part = try next(meaning)
        let digits = part.prefix { $0.isASCII && $0.isNumber }
        guard let count = Int64(digits), let unit = Self.units.first(where: { $0.name == part.dropFirst(digits.count) })
        else { throw error("\(meaning) '\(part)' is no duration") }
        let (value, overflows) = count.multipliedReportingOverflow(by: unit.milliseconds)
        guard !overflows else { throw error("\(meaning) '\(part)' is too long") }
        return value
    }

    func expectEnd() throws {
        if let extra = rest.first { throw error("'\(extra)' is one part too many") }
    }

    private mutating func next(_ meaning: String) throws -> String {
        guard let part = rest.popFirst() else { throw error("\(meaning) is missing") }
        return part
    }

    func error(_ problem: String, cause: (any Error)? = nil) -> ThalwegError {
        // A name alone is the whole text: said once.
        ThalwegError(
            .job, "restart strategy cannot be read",
            detail: problem.hasPrefix("'\(text)'") ? problem : "'\(text)': \(problem)",
            hint: "write none, fixed-delay:3:10s, failure-rate:3:5min:10s or exponential-delay:1s:1min", cause: cause)
    }
}
