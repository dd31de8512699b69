// SPDX-License-Identifier: Apache-2.0
//  What time it is for state that expires.

import ThalwegBase

/// The clocks of the expiring states of one operator, and what they count. Moved by whoever runs the operator.
public final class StateTime {
    // Used by one task alone; behind an inlined accessor so that the attribute holds in other modules.
    @exclusivity(unchecked) @usableFromInline var storedProcessingTime = Int64.min
    /// Milliseconds of processing time: stands still within a batch and never goes back.
    @inlinable public var processingTime: Int64 {
        @inline(__always) get { storedProcessingTime }
    }
    private var gauges: [ExpiryGauge] = []
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

    public func advanceProcessingTime(to time: Int64) {
        guard time > storedProcessingTime else { return }
        storedProcessingTime = time
        for gauge in gauges { gauge.move(to: time) }
    }

    public func advanceEventTime(to time: Int64) { eventTime = max(eventTime, time) }

    /// Keeps a gauge moving with processing time.
    func show(on gauge: ExpiryGauge) {
        gauge.move(to: processingTime)
        gauges.append(gauge)
    }

    /// When an entry that lives by event time has expired for the record being processed.
    @usableFromInline
    func eventNow() -> Int64 { max(recordTime(), eventTime) }

    /// The event-time stamp of what is written now; `Int64.min` when event time is not known yet.
    @usableFromInline
    func eventStamp() -> Int64 {
        let time = recordTime()
        return time == .min ? eventTime : time
    }

    /// When entries have expired for everybody.
    func passed(_ domain: StateTTL.Domain) -> Int64 { domain == .processingTime ? processingTime : eventTime }

    func emit(at moment: Int64, _ body: () -> Void) { emitting(moment, body) }
}
