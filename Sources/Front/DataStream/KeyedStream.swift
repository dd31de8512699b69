// SPDX-License-Identifier: Apache-2.0
//  A stream whose records belong to keys.

import ThalwegBase
import ThalwegData
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators
import ThalwegState

/// A stream seen by key: all records of a key meet in one subtask, with the key's state and timers.
public struct KeyedStream<Key: Hashable & Codable & Sendable, Element: Sendable> {
    public let stream: DataStream<Element>
    public let key: @Sendable (Element) -> Key
    public let hasher: KeyHasher<Key>
    /// What is declared of earlier forms of the key; nil leaves it to the key's type.
    public let evolution: KeyEvolution?

    @inlinable
    init(
        _ stream: DataStream<Element>, _ key: @escaping @Sendable (Element) -> Key, _ hasher: KeyHasher<Key>,
        _ evolution: KeyEvolution?
    ) {
        self.evolution = evolution
        self.stream = stream
        self.key = key
        self.hasher = hasher
    }

    /// The edge by which a keyed step takes this stream in.
    @inlinable
    public func edge(input: Int = 0) -> StreamEdge {
        let (key, hasher) = (self.key, self.hasher)
        return StreamEdge(
            source: stream.node, tag: stream.tag, input: input, partitioning: .hash,
            type: EdgeType(
                of: Element.self,
                hash: { batch, hashes in
                    let (rows, count) = (batch.rows, batch.count)
                    for index in 0..<count { hashes[index] = hasher.hash((rows + index).lend(key)) }
                }))
    }

    /// Adds a step with this stream as its only input.
    @inlinable
    public func step<Output: Sendable>(
        _ kind: String, name: String?, outputs: [OutputDeclaration] = [], details: [String: String] = [:],
        combined: CombinedEdge? = nil, _ factory: @escaping OperatorFactory
    ) -> DataStream<Output> {
        var edge = edge()
        edge.combined = combined
        let taken = edge
        let keyed = details.merging(["key": String(describing: Key.self)]) { first, _ in first }
        let node = stream.environment.add { id in
            StreamNode(
                id: id, name: name ?? kind, kind: kind, inputs: [taken], outputs: outputs, details: keyed,
                keyEvolution: evolution, factory: factory)
        }
        return DataStream<Output>(environment: stream.environment, node: node)
    }

    /// Runs a function with state and timers per key.
    ///
    /// - Parameter make: makes the function; evaluated once per subtask, so that subtasks share nothing.
    @inlinable
    public func process<Function: KeyedProcessFunction>(
        _ make: @autoclosure @escaping @Sendable () -> Function, name: String? = nil,
        onError policy: RecordErrorPolicy = .fail
    ) -> DataStream<Function.Output> where Function.Input == Element, Function.Key == Key {
        let key = self.key
        let binding = FunctionBinding(of: make())
        return step(
            "process", name: name ?? String(describing: Function.self), outputs: binding.outputs + policy.outputs,
            details: ["states": binding.states.map(\.name).joined(separator: ", ")]
        ) { context in
            OperatorInstance(try KeyedProcessOperator(make(), key: key, onError: policy, in: context), in: context)
        }
    }

    /// Folds each key's records pairwise and emits the fold so far for each record.
    ///
    /// - Parameter ttl: how long a key's fold lives after its last record; nil: for ever.
    @inlinable
    public func reduce(
        name: String? = nil, ttl: StateTTL? = nil, _ combine: @escaping @Sendable (Element, Element) -> Element
    ) -> DataStream<Element> where Element: Codable {
        aggregate(Reduce(combine), name: name ?? "reduce", ttl: ttl) { _, value in value }.compactMap { $0 }
    }

    /// Aggregates each key's records and emits a result made from the aggregate so far for each record.
    ///
    /// - Parameter ttl: how long a key's aggregate lives after its last record; nil: for ever.
    @inlinable
    public func aggregate<Aggregate: AggregateFunction, Output: Sendable>(
        _ aggregate: Aggregate, name: String? = nil, ttl: StateTTL? = nil,
        _ result: @escaping @Sendable (Key, Aggregate.Output) throws -> Output
    ) -> DataStream<Output> where Aggregate.Input == Element {
        let key = self.key
        return step("aggregate", name: name) { context in
            let function = RollingAggregate<Key, Aggregate, Output>(aggregate, ttl: ttl, result)
            return OperatorInstance(
                try KeyedProcessOperator(function, key: key, onError: .fail, in: context), in: context)
        }
    }

    /// Cuts the stream into windows.
    @inlinable
    public func window(_ assigner: WindowAssigner) -> WindowedStream<Key, Element> {
        WindowedStream(self, assigner)
    }

    /// Pairs this stream with another one keyed by the same type.
    @inlinable
    public func connect<Other: Sendable>(_ other: KeyedStream<Key, Other>) -> ConnectedStreams<Key, Element, Other> {
        ConnectedStreams(first: self, second: other)
    }
}

extension DataStream {
    /// Groups the stream by key.
    ///
    ///     bids.keyed(by: \.auction)
    ///
    /// - Parameter evolution: how keys of an earlier type become keys (D11): state of snapshots with such keys is dealt
    ///   out anew. It takes the place of what the key's type says of itself (`EvolvingRecord`). Without either, state
    ///   with keys of another type is refused.
    /// - Throws: `ThalwegError(.job)` when the key's type cannot be a key.
    @inlinable
    public func keyed<Key: Hashable & Codable & Sendable>(
        by key: @escaping @Sendable (Element) -> Key, evolution: Evolution<Key>? = nil
    ) throws(ThalwegError) -> KeyedStream<Key, Element> {
        KeyedStream(
            self, key, try KeyHasher(),
            evolution == nil ? nil : try RecordType<Key>.learn().evolution.replacingRoot(with: evolution ?? Evolution())
        )
    }

    /// Runs a function that emits to its main output and to side outputs.
    @inlinable
    public func process<Function: ProcessFunction>(
        _ make: @autoclosure @escaping @Sendable () -> Function, name: String? = nil,
        onError policy: RecordErrorPolicy = .fail
    ) -> DataStream<Function.Output> where Function.Input == Element {
        let binding = FunctionBinding(of: make())
        return step(
            "process", name: name ?? String(describing: Function.self), outputs: binding.outputs + policy.outputs,
            details: binding.states.isEmpty ? [:] : ["states": binding.states.map(\.name).joined(separator: ", ")]
        ) { context in
            OperatorInstance(try ProcessOperator(make(), onError: policy, in: context), in: context)
        }
    }

    /// Merges streams of the same type into one.
    @inlinable
    public func union(_ others: DataStream<Element>..., name: String? = nil) -> DataStream<Element> {
        let edges = ([self] + others).map { $0.edge() }
        let node = environment.add { id in
            StreamNode(id: id, name: name ?? "union", kind: "union", inputs: edges) { context in
                OperatorInstance(UnionOperator<Element>(in: context), in: context)
            }
        }
        return DataStream(environment: environment, node: node)
    }
}

/// Two keyed streams whose records meet by key.
public struct ConnectedStreams<Key: Hashable & Codable & Sendable, First: Sendable, Second: Sendable> {
    public let first: KeyedStream<Key, First>
    public let second: KeyedStream<Key, Second>

    @inlinable
    init(first: KeyedStream<Key, First>, second: KeyedStream<Key, Second>) {
        self.first = first
        self.second = second
    }

    /// Adds a step with both streams as inputs.
    @inlinable
    public func step<Output: Sendable>(
        _ kind: String, name: String?, outputs: [OutputDeclaration] = [], details: [String: String] = [:],
        _ factory: @escaping OperatorFactory
    ) -> DataStream<Output> {
        let edges = [first.edge(input: 0), second.edge(input: 1)]
        let keyed = details.merging(["key": String(describing: Key.self)]) { first, _ in first }
        let node = first.stream.environment.add { id in
            StreamNode(
                id: id, name: name ?? kind, kind: kind, inputs: edges, outputs: outputs, details: keyed,
                keyEvolution: first.evolution ?? second.evolution, factory: factory)
        }
        return DataStream<Output>(environment: first.stream.environment, node: node)
    }

    /// Runs a function over both streams with shared state and timers per key.
    @inlinable
    public func process<Function: KeyedCoProcessFunction>(
        _ make: @autoclosure @escaping @Sendable () -> Function, name: String? = nil,
        onError policy: RecordErrorPolicy = .fail
    ) -> DataStream<Function.Output>
    where Function.First == First, Function.Second == Second, Function.Key == Key {
        let (firstKey, secondKey) = (first.key, second.key)
        let binding = FunctionBinding(of: make())
        return step(
            "process", name: name ?? String(describing: Function.self), outputs: binding.outputs + policy.outputs,
            details: ["states": binding.states.map(\.name).joined(separator: ", ")]
        ) { context in
            OperatorInstance(
                try KeyedCoProcessOperator(
                    make(), firstKey: firstKey, secondKey: secondKey, onError: policy, in: context), in: context)
        }
    }
}
