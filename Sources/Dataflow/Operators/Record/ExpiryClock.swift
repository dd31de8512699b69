// SPDX-License-Identifier: Apache-2.0
//  Tells expiring state what time it is.

import ThalwegBase
import ThalwegOperator
import ThalwegState

/// The time of the expiring states of one operator, taken from its clocks.
public final class ExpiryClock {
    public let time: StateTime
    private let service: any ProcessingTimeService
    private let mode: Mode

    /// About how many expired entries are removed between two batches: as many as a batch of the usual size can make,
    /// in a fraction of a millisecond.
    static var pieceSize: Int { 1024 }

    /// What the time of the record means just now.
    private final class Mode {
        var isProcessingTimer = false
    }

    init(_ context: OperatorContext) {
        service = context.processingTime
        let (clock, mode) = (context.recordClock, Mode())
        self.mode = mode
        time = StateTime(
            expiredOnRead: context.metrics.ttl.expiredOnRead, sweptEntries: context.metrics.ttl.sweptEntries,
            // The moment of a processing-time timer is no event time.
            recordTime: { mode.isProcessingTimer ? .min : clock.time },
            emitting: { moment, body in
                let own = clock.time
                clock.time = moment
                body()
                clock.time = own
            })
    }

    /// Brings processing time to the clock's.
    @usableFromInline
    func readClock() { time.advanceProcessingTime(to: service.now) }

    /// Timers of a domain are about to fire.
    @usableFromInline
    func begin(_ domain: TimeDomain) {
        readClock()
        mode.isProcessingTimer = domain == .processingTime
    }

    /// The timers up to a moment have fired.
    func end(_ domain: TimeDomain, upTo limit: Int64) {
        mode.isProcessingTimer = false
        if domain == .eventTime { time.advanceEventTime(to: limit) }
    }
}

extension TimeDomain {
    @usableFromInline var ttl: StateTTL.Domain { self == .eventTime ? .eventTime : .processingTime }
}
