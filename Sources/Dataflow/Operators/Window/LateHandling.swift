// SPDX-License-Identifier: Apache-2.0
//  What happens to records whose windows have closed.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// How long windows wait for late records, and where those go that come too late for every window (FLIP-13).
public final class LateHandling<Element> {
    /// Milliseconds after a window's end during which late records still update it.
    public let lateness: Int64
    @usableFromInline let collector: Collector<Element>?
    @usableFromInline let isDeclared: Bool
    @usableFromInline let metrics: OperatorMetrics

    /// - Parameter tag: the side output for records that come too late for every window, if any.
    public init(allowed: Duration, tag: String?, in context: OperatorContext) {
        lateness = min(max(0, allowed.wholeMilliseconds), 1 << 59)
        isDeclared = tag != nil
        metrics = context.metrics
        collector = tag.flatMap { context.outlets[$0] as? Inlet<Element> }.map {
            Collector($0, clock: context.recordClock, capacity: context.batchCapacity)
        }
    }

    /// Sends a record, unchanged and with its timestamp, to the late output; counts it when there is none.
    @usableFromInline
    func handle(_ element: Element, at time: Int64) {
        if let collector {
            collector.emit(element, at: time)
        } else if isDeclared {
            metrics.droppedNoConsumer.add(1)
        } else {
            metrics.lateDropped.add(1)
        }
    }

    /// Counts records that came too late for every window and of which only an aggregate is left.
    @usableFromInline
    func countDropped(_ records: Int) { metrics.lateDropped.add(records) }

    /// Counts windows that an accepted record came too late for.
    @usableFromInline
    func countPartial(_ windows: Int) { metrics.latePartial.add(windows) }

    public func flush() throws { try collector?.flush() }

    @usableFromInline
    static var untimed: ThalwegError {
        ThalwegError(
            .job, "an event-time window has records without timestamps",
            hint: "call timestamps(by:watermark:) before window(_:), or use a processing-time window")
    }
}
