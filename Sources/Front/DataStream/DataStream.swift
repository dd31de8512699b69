// SPDX-License-Identifier: Apache-2.0
//  A stream of records of one type.

import ThalwegBase
import ThalwegData
import ThalwegGraph
import ThalwegOperator
import ThalwegOperators

/// A stream of records, as declared in a job. A description: nothing flows until the job runs.
public struct DataStream<Element: Sendable> {
    public let environment: StreamEnvironment
    /// The node it comes from.
    public let node: Int
    /// The side output it comes from; nil for the main output.
    public let tag: String?
    /// How its records find their subtask at the next step.
    public let partitioning: Partitioning

    @inlinable
    public init(
        environment: StreamEnvironment, node: Int, tag: String? = nil, partitioning: Partitioning = .forward
    ) {
        self.environment = environment
        self.node = node
        self.tag = tag
        self.partitioning = partitioning
    }

    /// The edge by which a step takes this stream in.
    @inlinable
    public func edge(input: Int = 0) -> StreamEdge {
        StreamEdge(
            source: node, tag: tag, input: input, partitioning: partitioning, type: EdgeType(of: Element.self))
    }

    /// Adds a step with this stream as its only input.
    @inlinable
    public func step<Output: Sendable>(
        _ kind: String, name: String?, outputs: [OutputDeclaration] = [], details: [String: String] = [:],
        declareStates: StateDeclaring? = nil, _ factory: @escaping OperatorFactory
    ) -> DataStream<Output> {
        let edge = edge()
        let node = environment.add { id in
            StreamNode(
                id: id, name: name ?? kind, kind: kind, inputs: [edge], outputs: outputs, details: details,
                declareStates: declareStates, factory: factory)
        }
        return DataStream<Output>(environment: environment, node: node)
    }

    // MARK: Settings of the step that made this stream

    /// Names the step: its identity in snapshots, plans and metrics.
    ///
    /// - Parameter formerly: a name that it had in snapshots: what they hold under it is taken over (D11).
    public func named(_ name: String, formerly: String? = nil) -> Self {
        environment.update(node) {
            $0.name = name
            $0.isNumbered = false
            if let formerly { $0.formerNames.append(formerly) }
        }
        return self
    }

    /// Sets the number of subtasks of the step.
    public func parallelism(_ parallelism: Int) -> Self {
        environment.update(node) { $0.parallelism = parallelism }
        return self
    }

    /// Runs the step in a task of its own rather than in that of its input.
    public func startNewChain() -> Self {
        environment.update(node) { $0.startsChain = true }
        return self
    }

    // MARK: Partitioning

    private func partitioned(_ partitioning: Partitioning) -> Self {
        DataStream(environment: environment, node: node, tag: tag, partitioning: partitioning)
    }

    /// Deals batches to all subtasks in turn.
    public func rebalance() -> Self { partitioned(.rebalance) }
    /// Deals batches to the nearest subtasks in turn.
    public func rescale() -> Self { partitioned(.rescale) }
    /// Sends every record to every subtask.
    public func broadcast() -> Self { partitioned(.broadcast) }
    /// Sends every record to subtask 0.
    public func global() -> Self { partitioned(.global) }

    // MARK: Side outputs

    /// The stream of records that the step emitted to a side output (FLIP-13).
    ///
    /// - Throws: `ThalwegError(.job)` when the step does not declare the tag, or declares it with another type.
    public func sideOutput<Side: Sendable>(_ tag: OutputTag<Side>) throws(ThalwegError) -> DataStream<Side> {
        let node = environment.graph.nodes[self.node]
        guard let declared = node.outputs.first(where: { $0.id == tag.id }) else {
            throw ThalwegError(
                .job, "a side output is read that its step does not declare",
                detail: "step \"\(node.name)\" has \(node.outputs.map(\.id)), not \"\(tag.id)\"",
                hint: "call sideOutput on the very step that emits to the tag")
        }
        guard declared.type == tag.declaration.type else {
            throw ThalwegError(
                .job, "a side output is read with another type than it is written",
                detail:
                    "step \"\(node.name)\" declares \"\(tag.id)\" of \(declared.type), read as \(tag.declaration.type)",
                hint: "use one OutputTag value on both sides")
        }
        return DataStream<Side>(environment: environment, node: self.node, tag: tag.id)
    }
}
