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
    /// Where late records go in place of `collector`, when they are to be told apart.
    private let route: ((Element, Int64) -> Void)?
    private let flushRoutes: (() throws -> Void)?

    /// - Parameter tag: the side output for records that come too late for every window, if any.
    public init(allowed: Duration, tag: String?, in context: OperatorContext) {
        lateness = min(max(0, allowed.wholeMilliseconds), 1 << 59)
        isDeclared = tag != nil
        metrics = context.metrics
        route = nil
        flushRoutes = nil
        collector = tag.flatMap { context.outlets[$0] as? Inlet<Element> }.map {
            Collector($0, clock: context.recordClock, capacity: context.batchCapacity)
        }
    }

    /// Sends the late records of each side of a join where those of its stream go.
    public init<First, Second>(
        first: LateHandling<First>, second: LateHandling<Second>
    ) where Element == JoinSide<First, Second> {
        lateness = first.lateness
        isDeclared = false
        metrics = first.metrics
        collector = nil
        route = { side, time in
            switch side {
            case .first(let record): first.handle(record, at: time)
            case .second(let record): second.handle(record, at: time)
            }
        }
        flushRoutes = {
            try first.flush()
            try second.flush()
        }
    }

    /// Sends a record, unchanged and with its timestamp, to the late output; counts it when there is none.
    @usableFromInline
    func handle(_ element: Element, at time: Int64) {
        if let route {
            route(element, time)
        } else if let collector {
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

    /// Counts records that fall between windows and so belong to none.
    @usableFromInline
    func countOutside(_ records: Int) { metrics.rejected.add(records) }

    public func flush() throws {
        try collector?.flush()
        try flushRoutes?()
    }

    @usableFromInline
    static var untimed: ThalwegError {
        ThalwegError(
            .job, "an event-time window has records without timestamps",
            hint: "call timestamps(by:watermark:) before window(_:), or use a processing-time window")
    }
}
