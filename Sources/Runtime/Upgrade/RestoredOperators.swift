// SPDX-License-Identifier: Apache-2.0
//  The steps of a job and what each gets of a snapshot.

import ThalwegBase
import ThalwegGraph
import ThalwegState
import ThalwegStorage

/// The operators' states in a snapshot, each put together once for all subtasks, seen as the job declares them now.
final class RestoredOperators {
    let snapshot: Snapshot
    let declarations: JobDeclarations
    private let known: Set<String>
    private let plan: SnapshotPlan?
    private var upgrades: [String: StepUpgrade] = [:]
    private var states: [String: UpgradedState?] = [:]

    init(_ snapshot: Snapshot, _ declarations: JobDeclarations) {
        self.snapshot = snapshot
        self.declarations = declarations
        known = Set(snapshot.metadata.operators.map(\.name))
        plan = snapshot.metadata.plan
    }

    /// What a step gets; nil when the snapshot does not know it.
    func state(of operatorName: String) throws -> UpgradedState? {
        if let state = states[operatorName] { return state }
        let state = try upgrade(of: operatorName)?.restored
        states[operatorName] = .some(state)
        return state
    }

    /// What becomes of the states of a step; nil for one that the job does not have.
    func upgrade(of operatorName: String) throws -> StepUpgrade? {
        if let upgrade = upgrades[operatorName] { return upgrade }
        guard let step = declarations.steps.first(where: { $0.name == operatorName }) else { return nil }
        let stored = storedName(of: step)
        let upgrade = try StepUpgrade(
            step, try stored.flatMap { try snapshot.restoredState(of: $0) },
            inputs: plan?.steps.first { $0.name == stored }?.inputs, maxParallelism: snapshot.metadata.maxParallelism)
        upgrades[operatorName] = upgrade
        return upgrade
    }

    /// The name under which the snapshot has a step: its own, or a former one that no step has now.
    private func storedName(of step: StepDeclaration) -> String? {
        if known.contains(step.name) { return step.name }
        let names = Set(declarations.steps.map(\.name))
        return step.formerNames.first { known.contains($0) && !names.contains($0) }
    }

    /// The steps of the snapshot that no step of the job takes over, in order.
    var unclaimed: [String] {
        let claimed = Set(declarations.steps.compactMap(storedName))
        return snapshot.metadata.operators.map(\.name).filter { !claimed.contains($0) }
    }
}
