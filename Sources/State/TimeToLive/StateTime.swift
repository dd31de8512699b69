// SPDX-License-Identifier: Apache-2.0
//  What time it is for state that expires.

import ThalwegBase

/// The clocks of the expiring states of one operator, and what they count. Moved by whoever runs the operator.
public final class StateTime {
    /// Milliseconds of processing time: stands still within a batch and never goes back.
    public private(set) var processingTime = Int64.min
    /// Milliseconds of event time up to which everything has been done.
    public private(set) var eventTime = Int64.min
    /// Expired entries met by a read.
    public let expiredOnRead: Counter
    /// Entries removed because their time had passed, without a read.
    public let sweptEntries: Counter
    /// The event time of the record being processed; `Int64.min` when there is none.
    private let recordTime: () -> Int64
    /// Runs a body with another moment as the time of what it emits.
    private let emitting: (Int64, () -> Void) -> Void

    public init(
        expiredOnRead: Counter = Counter(), sweptEntries: Counter = Counter(),
        recordTime: @escaping () -> Int64 = { .min },
        emitting: @escaping (Int64, () -> Void) -> Void = { _, body in body() }
    ) {
        self.expiredOnRead = expiredOnRead
        self.sweptEntries = sweptEntries
        self.recordTime = recordTime
        self.emitting = emitting
    }

    public func advanceProcessingTime(to time: Int64) { processingTime = max(processingTime, time) }
    public func advanceEventTime(to time: Int64) { eventTime = max(eventTime, time) }

    /// When an entry has expired for the record being processed.
    func now(_ domain: StateTTL.Domain) -> Int64 {
        domain == .processingTime ? processingTime : max(recordTime(), eventTime)
    }

    /// The stamp of what is written now; `Int64.min` when event time is not known yet.
    func stamp(_ domain: StateTTL.Domain) -> Int64 {
        if domain == .processingTime { return processingTime }
        let time = recordTime()
        return time == .min ? eventTime : time
    }

    /// When entries have expired for everybody.
    func passed(_ domain: StateTTL.Domain) -> Int64 { domain == .processingTime ? processingTime : eventTime }

    func emit(at moment: Int64, _ body: () -> Void) { emitting(moment, body) }
}
