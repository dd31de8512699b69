// SPDX-License-Identifier: Apache-2.0
//  What a step with asynchronous calls counts.

import ThalwegBase

/// The counters of one step with asynchronous calls in one subtask (FLIP-12).
public final class AsyncMetrics: Sendable {
    /// The places taken: elements whose results have not left, and signals between them. Never above the capacity.
    public let inFlight = Counter()
    /// Elements that are in the subtask, but for which there is no place yet.
    public let waiting = Counter()
    /// Calls made, repeated ones included.
    public let calls = Counter()
    /// Milliseconds from start to end, over all calls that were waited for.
    public let callMilliseconds = Counter()
    /// Elements whose time-out passed.
    public let timeouts = Counter()
    /// Requests that were sent once more.
    public let retries = Counter()
    /// Responses that nobody waited for any more.
    public let lateCompletionsIgnored = Counter()
    /// Elements that waited for a call made for another one.
    public let coalesced = Counter()
    /// Look-ups answered by the cache.
    public let cacheHits = Counter()
    /// Look-ups that the cache could not answer.
    public let cacheMisses = Counter()

    public init() {}
}
