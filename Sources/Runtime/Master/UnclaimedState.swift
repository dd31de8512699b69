// SPDX-License-Identifier: Apache-2.0
//  State of a snapshot that no step of the job takes over: refused, or dropped with a word (FLIP-8).

import ThalwegBase
import ThalwegGraph
import ThalwegOperator
import ThalwegStorage

/// The operators' states in a snapshot, each put together once for all subtasks.
final class RestoredOperators {
    private let snapshot: Snapshot
    private var states: [String: RestoredSnapshotState?] = [:]

    init(_ snapshot: Snapshot) { self.snapshot = snapshot }

    /// Nil when the snapshot does not know the operator.
    func state(of operatorName: String) throws -> RestoredSnapshotState? {
        if let known = states[operatorName] { return known }
        let state = try snapshot.restoredState(of: operatorName)
        states[operatorName] = .some(state)
        return state
    }
}

extension JobMaster {
    /// How far event time had come: says nothing without the state that it belongs to.
    private static var timeState: String { "$time" }

    /// Refuses a snapshot that holds state of steps, or batches on their way over streams, that the job does not have.
    ///
    /// - Throws: `ThalwegError(.job)` that names them, unless the job may drop them.
    func checkClaims(_ snapshot: Snapshot) throws {
        let restored = RestoredOperators(snapshot)
        let nodes = Dictionary(graph.streamGraph.nodes.map { ($0.name, $0) }) { first, _ in first }
        var unclaimed: [String] = []
        for known in snapshot.metadata.operators {
            guard let state = try restored.state(of: known.name) else { continue }
            let filled = try state.states.map(\.name).filter {
                try $0 != Self.timeState && state.hasEntries(of: $0)
            }
            if let node = nodes[known.name] {
                let taken = Set(node.inputs.indices.flatMap { index in inFlightNames(of: node, index) })
                let lost = filled.filter { InFlightState.isOne($0) && !taken.contains($0) }
                if !lost.isEmpty { unclaimed.append("step \"\(known.name)\": records on their way to an input it had") }
            } else if !filled.isEmpty {
                unclaimed.append("step \"\(known.name)\": \(filled.joined(separator: ", "))")
            }
        }
        guard !unclaimed.isEmpty else { return }
        guard settings.checkpoints?.dropsUnclaimedState == true else {
            throw ThalwegError(
                .job, "the snapshot holds state that nothing in the job takes over",
                detail: unclaimed.joined(separator: "; "),
                hint: "name the steps as they were named then, or start with --drop-unclaimed-state: "
                    + "that state is lost then")
        }
        for text in unclaimed { job.notices.add("warning: dropped from the snapshot: \(text)") }
    }

    private func inFlightNames(of node: StreamNode, _ index: Int) -> [String] {
        let edge = node.inputs[index]
        let plain = edge.type.makePacketCodec == nil ? [] : [InFlightState.name(edge: index, isCombined: false)]
        guard let combined = edge.combined, combined.type.makePacketCodec != nil else { return plain }
        return plain + [InFlightState.name(edge: index, isCombined: true)]
    }

    /// Names the states that steps of the job had and no longer declare: the next checkpoint does not hold them.
    func warnOfUnread(_ restored: RestoredOperators) throws {
        for node in graph.streamGraph.nodes {
            guard let state = try restored.state(of: node.name) else { continue }
            // What a source stores is read by its coordinator, and in flight is what was checked before.
            let own = [Self.timeState, SourceStates.enumerator, SourceStates.splits]
            let names = try state.unreadStates().map(\.name).filter { name in
                !own.contains(name) && !InFlightState.isOne(name)
            }
            guard !names.isEmpty else { continue }
            job.notices.add(
                "warning: step \"\(node.name)\" no longer declares \(names.joined(separator: ", ")): "
                    + "what the snapshot holds of it is dropped")
        }
    }
}
