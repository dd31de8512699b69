// SPDX-License-Identifier: Apache-2.0
//  The states that a job declares, gathered without running it.

import ThalwegBase
import ThalwegData
import ThalwegGraph
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// What one step of a job wants of a snapshot.
struct StepDeclaration: Sendable {
    let name: String
    let formerNames: [String]
    let kind: String
    /// Whether its name follows from its place.
    let isNumbered: Bool
    let states: [WantedState]
    /// The schema of the keys, when the step is keyed.
    let key: RecordSchema?
    /// The names that the steps it reads have and had, input by input.
    let inputs: [[String]]
}

/// What all steps of a job want of a snapshot, in order.
public struct JobDeclarations: Sendable {
    let steps: [StepDeclaration]
    let graph: JobGraph

    /// Makes the operators of every step once, but for sources and sinks, and asks them.
    ///
    /// - Throws: what a function throws when it is made, or kind `job` for declarations that cannot be.
    public init(_ graph: JobGraph, batchCapacity: Int) throws {
        self.graph = graph
        let nodes = graph.streamGraph.nodes
        steps = try nodes.map { node in
            var declared = StateDeclarations(operatorName: node.name, keyEvolution: node.keyEvolution)
            if let declare = node.declareStates {
                try declare(&declared)
            } else {
                let instance = try node.factory(
                    OperatorContext(
                        name: node.name, subtask: 0, parallelism: graph.parallelism(of: node.id),
                        maxParallelism: graph.maxParallelism, processingTime: StoppedTime(), metrics: OperatorMetrics(),
                        objectReuse: .default, batchCapacity: batchCapacity, outlets: [:], wake: {},
                        commits: CommitLedger()))
                defer { instance.close() }
                try instance.declare?(&declared)
            }
            try Self.addInFlight(of: node, to: &declared)
            return StepDeclaration(
                name: node.name, formerNames: node.formerNames, kind: node.kind,
                isNumbered: node.isNumbered, states: declared.states,
                key: declared.key, inputs: node.inputs.map { [nodes[$0.source].name] + nodes[$0.source].formerNames })
        }
    }

    /// What may lie in channels towards a step.
    private static func addInFlight(of node: StreamNode, to declared: inout StateDeclarations) throws {
        for (index, edge) in node.inputs.enumerated() {
            for (type, isCombined) in [(edge.type, false)] + (edge.combined.map { [($0.type, true)] } ?? []) {
                guard let codec = try type.makePacketCodec?() else { continue }
                var state = WantedState(
                    StateDescriptor(
                        operatorName: node.name, name: InFlightState.name(edge: index, isCombined: isCombined),
                        kind: .inFlight, value: codec.schema))
                state.value = try codec.evolution
                declared.add(state)
            }
        }
    }

    /// The job as snapshots describe it.
    var snapshotPlan: SnapshotPlan {
        SnapshotPlan(
            steps: steps.enumerated().map { index, step in
                SnapshotPlan.Step(
                    name: step.name, kind: step.kind, parallelism: graph.parallelism(of: index),
                    inputs: step.inputs.map { $0[0] }, key: step.key,
                    details: graph.streamGraph.nodes[index].details.filter { !$0.value.isEmpty },
                    states: step.states.map(\.descriptor))
            })
    }
}

/// The clock of operators that never run.
private final class StoppedTime: ProcessingTimeService {
    var now: Int64 { 0 }
    func schedule(at time: Int64, _ action: @escaping () throws -> Void) {}
}
