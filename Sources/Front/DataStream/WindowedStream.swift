// SPDX-License-Identifier: Apache-2.0
//  A keyed stream cut into windows.

import ThalwegBase
import ThalwegData
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators

/// A keyed stream cut into windows: say what becomes of each.
///
///     bids.keyed(by: \.auction)
///         .window(.sliding(size: .seconds(10), slide: .seconds(2)))
///         .aggregate(Count()) { auction, bids, window in Hot(auction, bids, window.end) }
public struct WindowedStream<Key: Hashable & Codable & Sendable, Element: Sendable> {
    public let keyed: KeyedStream<Key, Element>
    public let assigner: WindowAssigner
    @usableFromInline var lateness = Duration.zero
    @usableFromInline var lateTag: OutputTag<Element>?

    @inlinable
    init(_ keyed: KeyedStream<Key, Element>, _ assigner: WindowAssigner) {
        self.keyed = keyed
        self.assigner = assigner
    }

    /// Keeps windows for so long after their end; late records in that time fire an updated result.
    public func allowedLateness(_ lateness: Duration) -> Self {
        var stream = self
        stream.lateness = lateness
        return stream
    }

    /// Sends records that come too late for every window to a side output instead of dropping and counting them.
    public func lateRecords(to tag: OutputTag<Element>) -> Self {
        var stream = self
        stream.lateTag = tag
        return stream
    }

    /// Aggregates each window of each key as records come; only accumulators are kept.
    ///
    /// - Parameter result: makes the output of a window when it fires. Its timestamp is the window's last millisecond.
    @inlinable
    public func aggregate<Aggregate: AggregateFunction, Output: Sendable>(
        _ aggregate: Aggregate, name: String? = nil,
        _ result: @escaping @Sendable (Key, Aggregate.Output, TimeWindow) throws -> Output
    ) throws(ThalwegError) -> DataStream<Output> where Aggregate.Input == Element {
        try fold(aggregate, name: name) { key, value, window, out in out.emit(try result(key, value, window)) }
    }

    @inlinable
    func fold<Aggregate: AggregateFunction, Output: Sendable>(
        _ aggregate: Aggregate, name: String?,
        _ emit: @escaping @Sendable (Key, Aggregate.Output, TimeWindow, Collector<Output>) throws -> Void
    ) throws(ThalwegError) -> DataStream<Output> where Aggregate.Input == Element {
        let (key, lateness, tag) = (keyed.key, self.lateness, lateTag)
        let isProcessingTime = assigner.domain == .processingTime
        let details = ["window": "\(assigner)", "lateness": "\(lateness)"]
        let outputs = tag.map { [$0.declaration] } ?? []
        if let grid = try assigner.grid() {
            // Late records, and those between windows, cannot be told apart in a partial aggregate.
            let combines =
                !isProcessingTime && lateness == .zero && tag == nil && grid.slide <= grid.size
                && Aggregate.combinesBeforeExchange
            return keyed.step(
                "window", name: name, outputs: outputs, details: details,
                combined: combines ? combinedEdge(grid, aggregate) : nil
            ) { context in
                OperatorInstance(
                    panes: try PaneWindowOperator(
                        grid, isProcessingTime: isProcessingTime, aggregate: aggregate, key: key,
                        late: LateHandling(allowed: lateness, tag: tag?.id, in: context), in: context, emit: emit),
                    in: context)
            }
        }
        let gap = try assigner.checkedGap()
        return keyed.step("window", name: name, outputs: outputs, details: details) { context in
            OperatorInstance(
                try SessionWindowOperator(
                    gap: gap, isProcessingTime: isProcessingTime, aggregate: aggregate, key: key,
                    late: LateHandling(allowed: lateness, tag: tag?.id, in: context), in: context, emit: emit),
                in: context)
        }
    }

    /// The edge that carries partial aggregates instead of records when it leaves its task (FLIP-44).
    @inlinable
    func combinedEdge<Aggregate: AggregateFunction>(
        _ grid: WindowGrid, _ aggregate: Aggregate
    ) -> CombinedEdge where Aggregate.Input == Element {
        typealias Partial = PartialAggregate<Key, Aggregate.Accumulator>
        let (key, hasher) = (keyed.key, keyed.hasher)
        return CombinedEdge(
            input: 1,
            type: EdgeType(
                of: Partial.self,
                hash: { batch, hashes in
                    let (rows, count) = (batch.rows, batch.count)
                    for index in 0..<count { hashes[index] = hasher.hash(rows[index].key) }
                }),
            combine: { outlet, capacity in
                PaneCombiner(
                    grid, aggregate: aggregate, key: key, hasher: hasher,
                    into: connected(outlet, to: Inlet<Partial>.self), capacity: capacity
                ).inlet
            })
    }

    /// Folds the records of each window pairwise.
    @inlinable
    public func reduce(
        name: String? = nil, _ combine: @escaping @Sendable (Element, Element) -> Element
    ) throws(ThalwegError) -> DataStream<Element> where Element: Codable {
        try fold(Reduce(combine), name: name) { _, value, _, out in if let value { out.emit(value) } }
    }

    /// Calls a function with all records of each window, in order of arrival, when it fires.
    @inlinable
    public func process<Output: Sendable>(
        _ type: Output.Type = Output.self, name: String? = nil,
        _ body: @escaping @Sendable (Key, TimeWindow, [Element], Collector<Output>) throws -> Void
    ) throws(ThalwegError) -> DataStream<Output> where Element: Codable {
        try fold(Elements(), name: name) { key, elements, window, out in try body(key, window, elements, out) }
    }
}
