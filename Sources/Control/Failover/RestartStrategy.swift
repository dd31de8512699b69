// SPDX-License-Identifier: Apache-2.0
//  Whether and when a failed job or region starts again (FLIP-1).

import ThalwegBase

/// When a failed region starts again. Times are milliseconds.
public enum RestartStrategy: Hashable, Sendable {
    /// Never: the first failure ends the job.
    case none
    /// At most `attempts` times, each after `delay`.
    case fixedDelay(attempts: Int, delay: Int64)
    /// As long as no more than `max` failures fall into any `interval`; each time after `delay`.
    case failureRate(max: Int, interval: Int64, delay: Int64)
    /// After a delay that grows with each failure.
    case exponentialDelay(ExponentialDelay)

    /// The default of a job with checkpoints.
    public static let standard = RestartStrategy.exponentialDelay(ExponentialDelay())

    /// - Throws: a `ThalwegError(.job)` that names the first number out of range.
    public func validate() throws {
        switch self {
        case .none: break
        case .fixedDelay(let attempts, let delay):
            try Self.check("attempts", Double(attempts), atLeast: 0)
            try Self.check("delay", Double(delay), atLeast: 0)
        case .failureRate(let max, let interval, let delay):
            try Self.check("max", Double(max), atLeast: 0)
            try Self.check("interval", Double(interval), atLeast: 1)
            try Self.check("delay", Double(delay), atLeast: 0)
        case .exponentialDelay(let delay):
            try Self.check("initial", Double(delay.initial), atLeast: 1)
            try Self.check("max", Double(delay.max), atLeast: Double(delay.initial))
            try Self.check("multiplier", delay.multiplier, atLeast: 1)
            try Self.check("reset", Double(delay.resetAfter), atLeast: 1)
            try Self.check("jitter", delay.jitter, atLeast: 0)
            try Self.check("attempts", Double(delay.attemptsMax ?? 0), atLeast: 0)
            guard delay.jitter <= 1 else {
                throw ThalwegError(
                    .job, "restart strategy out of range", detail: "jitter is \(delay.jitter)", hint: "give at most 1")
            }
        }
    }

    private static func check(_ name: String, _ value: Double, atLeast least: Double) throws {
        guard value.isFinite, value >= least else {
            throw ThalwegError(
                .job, "restart strategy out of range", detail: "\(name) is \(value)", hint: "give at least \(least)")
        }
    }
}

/// A delay that grows by a factor with each failure and starts over after a quiet time. Times are milliseconds.
public struct ExponentialDelay: Hashable, Sendable {
    /// The delay after the first failure.
    public var initial: Int64
    /// The longest delay, jitter not counted.
    public var max: Int64
    /// The factor from one delay to the next.
    public var multiplier: Double
    /// A restart that holds for so long makes the next failure count as the first.
    public var resetAfter: Int64
    /// Each delay is longer or shorter by up to this share of itself, by chance.
    public var jitter: Double
    /// How many restarts in a row are tried; nil for no limit.
    public var attemptsMax: Int?

    public init(
        initial: Int64 = 1_000, max: Int64 = 60_000, multiplier: Double = 1.5, resetAfter: Int64 = 3_600_000,
        jitter: Double = 0.1, attemptsMax: Int? = nil
    ) {
        self.initial = initial
        self.max = max
        self.multiplier = multiplier
        self.resetAfter = resetAfter
        self.jitter = jitter
        self.attemptsMax = attemptsMax
    }
}
