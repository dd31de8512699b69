// SPDX-License-Identifier: Apache-2.0
//  A stream beside one that every subtask sees whole.

import ThalwegBase
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators

/// A stream, keyed or not, and a broadcast stream (FLIP-8).
public struct BroadcastConnectedStream<Main, Broadcast: Sendable> {
    public let main: Main
    public let broadcast: DataStream<Broadcast>

    @inlinable
    init(_ main: Main, _ broadcast: DataStream<Broadcast>) {
        self.main = main
        self.broadcast = broadcast
    }

    /// Adds a step with both streams as inputs.
    @inlinable
    func step<Output: Sendable>(
        _ first: StreamEdge, _ environment: StreamEnvironment, name: String, binding: FunctionBinding,
        _ policy: RecordErrorPolicy, details: [String: String] = [:], keyEvolution: KeyEvolution? = nil,
        _ factory: @escaping OperatorFactory
    ) -> DataStream<Output> {
        let edges = [first, broadcast.broadcast().edge(input: 1)]
        let states = ["states": binding.states.map(\.name).joined(separator: ", ")]
        let node = environment.add { id in
            StreamNode(
                id: id, name: name, kind: "process", inputs: edges, outputs: binding.outputs + policy.outputs,
                details: states.merging(details) { $1 }, keyEvolution: keyEvolution, factory: factory)
        }
        return DataStream<Output>(environment: environment, node: node)
    }
}

extension BroadcastConnectedStream {
    /// Runs a function that keeps what the broadcast stream has told in `BroadcastState`.
    ///
    /// - Parameter make: makes the function; evaluated once per subtask, so that subtasks share nothing.
    @inlinable
    public func process<Function: BroadcastProcessFunction>(
        _ make: @autoclosure @escaping @Sendable () -> Function, name: String? = nil,
        onError policy: RecordErrorPolicy = .fail
    ) -> DataStream<Function.Output> where Main == DataStream<Function.Input>, Function.Broadcast == Broadcast {
        step(
            main.edge(), main.environment, name: name ?? String(describing: Function.self),
            binding: FunctionBinding(of: make()), policy
        ) { context in
            OperatorInstance(try BroadcastProcessOperator(make(), onError: policy, in: context), in: context)
        }
    }

    /// Runs a function with state and timers per key that keeps what the broadcast stream has told in
    /// `BroadcastState`.
    ///
    /// - Parameter make: makes the function; evaluated once per subtask, so that subtasks share nothing.
    @inlinable
    public func process<Function: KeyedBroadcastProcessFunction>(
        _ make: @autoclosure @escaping @Sendable () -> Function, name: String? = nil,
        onError policy: RecordErrorPolicy = .fail
    ) -> DataStream<Function.Output>
    where Main == KeyedStream<Function.Key, Function.Input>, Function.Broadcast == Broadcast {
        let key = main.key
        return step(
            main.edge(), main.stream.environment, name: name ?? String(describing: Function.self),
            binding: FunctionBinding(of: make()), policy, details: ["key": String(describing: Function.Key.self)],
            keyEvolution: main.evolution
        ) { context in
            OperatorInstance(
                try KeyedBroadcastProcessOperator(make(), key: key, onError: policy, in: context), in: context)
        }
    }
}

extension DataStream {
    /// Puts a stream beside this one that every subtask of the next step sees whole.
    ///
    ///     visits.connect(broadcast: blockedUsers).process(Blocking())
    @inlinable
    public func connect<Other: Sendable>(
        broadcast: DataStream<Other>
    ) -> BroadcastConnectedStream<DataStream<Element>, Other> { BroadcastConnectedStream(self, broadcast) }
}

extension KeyedStream {
    /// Puts a stream beside this one that every subtask of the next step sees whole.
    ///
    ///     actions.keyed(by: \.user).connect(broadcast: rules).process(Matching())
    @inlinable
    public func connect<Other: Sendable>(
        broadcast: DataStream<Other>
    ) -> BroadcastConnectedStream<KeyedStream<Key, Element>, Other> { BroadcastConnectedStream(self, broadcast) }
}
