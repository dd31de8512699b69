// SPDX-License-Identifier: Apache-2.0
//  What a function may do with a record of a broadcast stream.

import ThalwegBase
import ThalwegOperator
import ThalwegState

/// What `processBroadcast` may ask, and its right to write broadcast state.
///
///     context.update(rules) { $0[key] = value }
///
/// It knows no subtask: what it does must be the same in all of them.
public final class BroadcastContext: BroadcastAccess {
    private let clock: RecordClock

    @usableFromInline
    init(_ context: OperatorContext) {
        clock = context.recordClock
        super.init()
    }

    /// The event time of the record; nil when the stream has no timestamps.
    public var timestamp: EventTime? { clock.time == .min ? nil : EventTime(milliseconds: clock.time) }
}
