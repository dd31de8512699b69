// SPDX-License-Identifier: Apache-2.0
//  Record by record: map, filter, flatMap; timestamps; sinks.

import ThalwegBase
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators

extension DataStream {
    /// Returns a stream of the results of a function.
    ///
    ///     numbers.map { $0 * 2 }
    ///
    /// Order, timestamps and split are kept.
    @inlinable
    public func map<Output: Sendable>(
        name: String? = nil, onError policy: RecordErrorPolicy = .fail,
        _ transform: @escaping @Sendable (Element) throws -> Output
    ) -> DataStream<Output> {
        step("map", name: name, outputs: policy.outputs) { context in
            OperatorInstance(MapOperator(transform, onError: policy, in: context), in: context)
        }
    }

    /// Returns a stream of the records for which `isIncluded` returns true.
    @inlinable
    public func filter(
        name: String? = nil, onError policy: RecordErrorPolicy = .fail,
        _ isIncluded: @escaping @Sendable (Element) throws -> Bool
    ) -> DataStream<Element> {
        step("filter", name: name, outputs: policy.outputs) { context in
            OperatorInstance(FilterOperator(isIncluded, onError: policy, in: context), in: context)
        }
    }

    /// Returns a stream of the results that are not nil.
    @inlinable
    public func compactMap<Output: Sendable>(
        name: String? = nil, onError policy: RecordErrorPolicy = .fail,
        _ transform: @escaping @Sendable (Element) throws -> Output?
    ) -> DataStream<Output> {
        step("compactMap", name: name, outputs: policy.outputs) { context in
            OperatorInstance(CompactMapOperator(transform, onError: policy, in: context), in: context)
        }
    }

    /// Returns a stream of whatever a function emits for each record.
    ///
    ///     lines.flatMap { line, out in for word in line.split(separator: " ") { out.emit(String(word)) } }
    @inlinable
    public func flatMap<Output: Sendable>(
        _ type: Output.Type = Output.self, name: String? = nil, onError policy: RecordErrorPolicy = .fail,
        _ transform: @escaping @Sendable (Element, Collector<Output>) throws -> Void
    ) -> DataStream<Output> {
        step("flatMap", name: name, outputs: policy.outputs) { context in
            OperatorInstance(FlatMapOperator(transform, onError: policy, in: context), in: context)
        }
    }

    /// Lends each batch of records to a function, which reads them in place and emits what it likes.
    ///
    ///     readings.processBatches(Int.self) { records, out in out.emit(records.count) }
    ///
    /// The fastest way to look at many records: none is copied, and a span cannot be kept beyond the call, as the
    /// compiler will tell. How many records make a batch is not defined; emitted records carry the latest timestamp of
    /// the batch.
    @inlinable
    public func processBatches<Output: Sendable>(
        _ type: Output.Type = Output.self, name: String? = nil,
        _ body: @escaping @Sendable (Span<Element>, Collector<Output>) throws -> Void
    ) -> DataStream<Output> {
        step("processBatches", name: name) { context in
            OperatorInstance(BatchProcessOperator(body, in: context), in: context)
        }
    }

    /// Gives each record its event time and the stream its watermarks, per split of the source.
    ///
    ///     bids.timestamps(by: \.dateTime, watermark: .boundedOutOfOrderness(.seconds(4)))
    ///
    /// Call it as close to the source as possible: behind an exchange the splits are no longer known apart.
    @inlinable
    public func timestamps(
        by timestamp: @escaping @Sendable (Element) throws -> EventTime, watermark strategy: WatermarkStrategy,
        name: String? = nil, onError policy: RecordErrorPolicy = .fail
    ) -> DataStream<Element> {
        step("timestamps", name: name, outputs: policy.outputs, details: strategy.details) { context in
            OperatorInstance(
                timestamps: TimestampsOperator(timestamp, strategy, onError: policy, in: context), in: context)
        }
    }

    /// Writes the stream to a sink.
    @inlinable
    @discardableResult
    public func write<S: Sink>(
        to sink: S, name: String? = nil
    ) -> StreamEnd where S.Element == Element {
        var details = ["connector": sink.kind]
        if let location = (sink as? any LocatedSink)?.location { details["writes to"] = location }
        let end: DataStream<Never> = step(
            "sink", name: name ?? sink.kind, details: details,
            declareStates: { states in try SinkOperator<S>.declare(&states) }
        ) { context in
            OperatorInstance(sink: try SinkOperator(sink, in: context), in: context)
        }
        environment.update(end.node) { $0.parallelismMax = sink.parallelismMax }
        return StreamEnd(environment: end.environment, node: end.node)
    }
}

extension WatermarkStrategy {
    /// What a plan says of the strategy.
    public var details: [String: String] {
        var details = ["watermark": delay.map { "max - \($0)" } ?? "none"]
        if let idleness { details["idleness"] = "\(idleness)" }
        if let alignment { details["alignment"] = "\(alignment.group), drift \(alignment.maxDrift)" }
        return details
    }
}

/// The end of a stream: a sink.
public struct StreamEnd {
    let environment: StreamEnvironment
    let node: Int

    @inlinable
    init(environment: StreamEnvironment, node: Int, _: Void = ()) { self.init(environment, node) }

    @usableFromInline
    init(_ environment: StreamEnvironment, _ node: Int) {
        self.environment = environment
        self.node = node
    }

    /// Names the sink: its identity in snapshots, plans and metrics.
    ///
    /// - Parameter formerly: a name that it had in snapshots: what they hold under it is taken over (D11).
    @discardableResult
    public func named(_ name: String, formerly: String? = nil) -> Self {
        environment.update(node) {
            $0.name = name
            $0.isNumbered = false
            if let formerly { $0.formerNames.append(formerly) }
        }
        return self
    }

    /// Sets the number of subtasks of the sink.
    @discardableResult
    public func parallelism(_ parallelism: Int) -> Self {
        environment.update(node) { $0.parallelism = parallelism }
        return self
    }
}
