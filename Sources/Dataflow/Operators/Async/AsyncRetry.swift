// SPDX-License-Identifier: Apache-2.0
//  When a call that failed or found nothing is made again.

import ThalwegBase

/// How often and when an asynchronous call is repeated. The time-out of an element covers all attempts together, so a
/// long delay is worth nothing behind a short time-out.
public struct AsyncRetry: Sendable {
    /// The most calls for an element, the first one included.
    public let attempts: Int
    let firstDelay: Int64
    let delayMax: Int64
    let factor: Double
    @usableFromInline let isWorthIt: @Sendable (any Error) -> Bool

    private init(
        attempts: Int, firstDelay: Duration, delayMax: Duration, factor: Double,
        isWorthIt: @escaping @Sendable (any Error) -> Bool
    ) {
        self.attempts = attempts
        self.firstDelay = max(0, firstDelay.wholeMilliseconds)
        self.delayMax = max(0, delayMax.wholeMilliseconds)
        self.factor = factor
        self.isWorthIt = isWorthIt
    }

    /// One call, whatever comes of it.
    public static let none = AsyncRetry(
        attempts: 1, firstDelay: .zero, delayMax: .zero, factor: 1, isWorthIt: { _ in false })

    /// Up to `attempts` calls, with the same delay between the end of one and the start of the next.
    ///
    /// - Parameter isWorthIt: whether an error may pass; others count at once.
    public static func fixed(
        attempts: Int, delay: Duration, when isWorthIt: @escaping @Sendable (any Error) -> Bool = { _ in true }
    ) -> AsyncRetry {
        AsyncRetry(attempts: attempts, firstDelay: delay, delayMax: delay, factor: 1, isWorthIt: isWorthIt)
    }

    /// Up to `attempts` calls, with a delay that grows by `factor` from one to the next, up to `delayMax`.
    ///
    /// - Parameter isWorthIt: whether an error may pass; others count at once.
    public static func exponential(
        attempts: Int, firstDelay: Duration, delayMax: Duration, factor: Double = 2,
        when isWorthIt: @escaping @Sendable (any Error) -> Bool = { _ in true }
    ) -> AsyncRetry {
        AsyncRetry(
            attempts: attempts, firstDelay: firstDelay, delayMax: delayMax, factor: factor, isWorthIt: isWorthIt)
    }

    /// Whether an error may pass by itself: those of kind `.retry`, such as a server that cannot be reached. For
    /// `when:`, so that a query that cannot work fails at once.
    public static func mayPass(_ error: any Error) -> Bool { (error as? ThalwegError)?.kind == .retry }

    /// Milliseconds between the attempt of this number, from 1, and the next.
    @usableFromInline
    func delay(after attempt: Int) -> Int64 {
        var delay = Double(firstDelay)
        for _ in 1..<max(1, attempt) where delay < Double(delayMax) { delay *= factor }
        return delay < Double(delayMax) ? Int64(delay) : delayMax
    }

    func check() throws(ThalwegError) {
        guard attempts >= 1, factor >= 1 else {
            throw ThalwegError(
                .job, "a retry policy makes no sense", detail: "attempts \(attempts), factor \(factor)",
                hint: "attempts counts the first call too; factor is at least 1")
        }
    }
}

/// How several elements share one call: up to `countMax` of them, or those that came within `delayMax`.
public struct CallBatching: Sendable, Hashable {
    public let countMax: Int
    /// The longest that an element waits for others, in milliseconds.
    public let delayMaxMilliseconds: Int64

    public init(countMax: Int, delayMax: Duration) {
        self.countMax = countMax
        delayMaxMilliseconds = max(0, delayMax.wholeMilliseconds)
    }

    /// Every call is for one element.
    static let single = CallBatching(countMax: 1, delayMax: .zero)
}
