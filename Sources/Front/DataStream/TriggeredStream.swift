// SPDX-License-Identifier: Apache-2.0
//  Windows that fire as a trigger decides.

import ThalwegBase
import ThalwegData
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators

/// A keyed stream cut into windows that fire as a trigger decides.
public struct TriggeredStream<Key: Hashable & Codable & Sendable, Trigger: WindowTrigger>
where Trigger.Element: Sendable {
    public let windowed: WindowedStream<Key, Trigger.Element>
    public let trigger: Trigger

    @inlinable
    init(_ windowed: WindowedStream<Key, Trigger.Element>, _ trigger: Trigger) {
        self.windowed = windowed
        self.trigger = trigger
    }

    /// Aggregates each window of each key as records come; only accumulators are kept.
    ///
    /// - Parameter result: makes the output of a window whenever it fires.
    /// - Throws: `ThalwegError(.job)` for windows that the trigger cannot serve.
    @inlinable
    public func aggregate<Aggregate: AggregateFunction, Output: Sendable>(
        _ aggregate: Aggregate, name: String? = nil,
        _ result: @escaping @Sendable (Key, Aggregate.Output, TimeWindow) throws -> Output
    ) throws(ThalwegError) -> DataStream<Output> where Aggregate.Input == Trigger.Element {
        try fold(aggregate, name: name) { key, value, window, out in out.emit(try result(key, value, window)) }
    }

    /// Folds the records of each window pairwise.
    @inlinable
    public func reduce(
        name: String? = nil, _ combine: @escaping @Sendable (Trigger.Element, Trigger.Element) -> Trigger.Element
    ) throws(ThalwegError) -> DataStream<Trigger.Element> where Trigger.Element: Codable {
        try fold(Reduce(combine), name: name) { _, value, _, out in if let value { out.emit(value) } }
    }

    /// Calls a function with all records of each window, in order of arrival, whenever it fires.
    @inlinable
    public func process<Output: Sendable>(
        _ type: Output.Type = Output.self, name: String? = nil,
        _ body: @escaping @Sendable (Key, TimeWindow, [Trigger.Element], Collector<Output>) throws -> Void
    ) throws(ThalwegError) -> DataStream<Output> where Trigger.Element: Codable {
        try fold(Elements(), name: name) { key, elements, window, out in try body(key, window, elements, out) }
    }

    @inlinable
    func fold<Aggregate: AggregateFunction, Output: Sendable>(
        _ aggregate: Aggregate, name: String?,
        _ emit: @escaping @Sendable (Key, Aggregate.Output, TimeWindow, Collector<Output>) throws -> Void
    ) throws(ThalwegError) -> DataStream<Output> where Aggregate.Input == Trigger.Element {
        let (key, assigner, lateness) = (windowed.keyed.key, windowed.assigner, windowed.lateness)
        let (tag, trigger) = (windowed.lateTag, self.trigger)
        let shape = try assigner.shape()
        if case .session = shape, !trigger.canMerge {
            throw ThalwegError(
                .job, "the trigger cannot serve session windows", detail: "\(Trigger.self) does not merge",
                hint: "implement canMerge, merge and onMerge, or use windows that do not merge")
        }
        let isProcessingTime = assigner.domain == .processingTime
        return windowed.keyed.step(
            "window", name: name, outputs: tag.map { [$0.declaration] } ?? [],
            details: ["window": "\(assigner)", "lateness": "\(lateness)", "trigger": "\(Trigger.self)"]
        ) { context in
            OperatorInstance(
                try TriggeredWindowOperator(
                    shape, isProcessingTime: isProcessingTime, aggregate: aggregate, trigger: trigger, key: key,
                    late: LateHandling(allowed: lateness, tag: tag?.id, in: context), in: context, emit: emit),
                in: context)
        }
    }
}

extension WindowedStream {
    /// Has a trigger decide when windows fire, in place of the end of their time.
    ///
    ///     bids.keyed(by: \.auction).window(.global).trigger(PurgingTrigger(of: CountTrigger(100)))
    ///         .aggregate(Max(\.price)) { auction, price, _ in Top(auction, price) }
    @inlinable
    public func trigger<Trigger: WindowTrigger>(
        _ trigger: Trigger
    ) -> TriggeredStream<Key, Trigger> where Trigger.Element == Element { TriggeredStream(self, trigger) }
}

extension WindowAssigner {
    /// The windows in milliseconds.
    ///
    /// - Throws: `ThalwegError(.job)` for sizes out of range.
    @inlinable
    public func shape() throws(ThalwegError) -> WindowShape {
        if self == .global { return .global }
        if let grid = try grid() { return .grid(grid) }
        return .session(gap: try checkedGap())
    }
}
