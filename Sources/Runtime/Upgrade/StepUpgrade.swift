// SPDX-License-Identifier: Apache-2.0
//  What becomes of the states of one step.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// What a step of a job makes of a snapshot.
struct StepUpgrade: Sendable {
    let declaration: StepDeclaration
    /// What the snapshot holds of it; nil when it does not know the step.
    let stored: RestoredSnapshotState?
    private(set) var verdicts: [StateVerdict] = []
    private let maxParallelism: Int

    /// Compares what a step declares with what a snapshot holds of it.
    ///
    /// - Parameter inputs: the names of the steps it read, input by input; nil when they are not known.
    init(
        _ declaration: StepDeclaration, _ stored: RestoredSnapshotState?, inputs: [String]?, maxParallelism: Int
    ) throws {
        self.declaration = declaration
        self.stored = stored
        self.maxParallelism = maxParallelism
        var left = Dictionary((stored?.states ?? []).map { ($0.name, $0) }) { first, _ in first }
        let names = Set(declaration.states.map(\.descriptor.name))
        for wanted in declaration.states {
            // A former name counts only while no state has it now.
            let found = [wanted.descriptor.name] + wanted.formerNames.filter { !names.contains($0) }
            let state = found.lazy.compactMap { left[$0] }.first
            if let state { left[state.name] = nil }
            let isEmpty = try state.map { try stored?.hasEntries(of: $0.name) != true } ?? true
            verdicts.append(StateVerdict(of: state, isEmpty: isEmpty, as: wanted, maxParallelism: maxParallelism))
        }
        checkInFlight(inputs)
        try checkTimes()
        for state in left.values.sorted(by: { $0.name < $1.name }) where try isOfWeight(state) {
            verdicts.append(Self.unclaimed(state))
        }
    }

    /// A state that nothing takes over.
    private static func unclaimed(_ state: StateDescriptor) -> StateVerdict {
        if InFlightState.isOne(state.name) {
            return .dropped(
                state, "records on their way to an input that the step had",
                fix: "start from a savepoint, which has none, or with --drop-unclaimed-state: they are lost then")
        }
        return .dropped(
            state, "the step no longer declares it",
            fix: "declare it, or where it went: @State(formerly: \"\(state.name)\"), or start with "
                + "--drop-unclaimed-state: what it holds is lost then")
    }

    private func isOfWeight(_ state: StateDescriptor) throws -> Bool {
        try state.name != WantedState.timeName && stored?.hasEntries(of: state.name) == true
    }

    /// Records on their way were sent by what the job was: to the subtask of their key, in the panes of its windows, to
    /// an input by its number.
    private mutating func checkInFlight(_ inputs: [String]?) {
        let isMoved = verdicts.contains { verdict in
            verdict.outcome == .rekeyed
                || verdict.stored.map { stored in
                    let wanted = declaration.states.first { $0.descriptor.name == verdict.name }
                    return stored.properties[StoredWindow.propertyName]
                        != wanted?.descriptor.properties[StoredWindow.propertyName]
                } ?? false
        }
        for index in verdicts.indices where verdicts[index].kind == .inFlight && !verdicts[index].loses {
            guard verdicts[index].outcome != .new, let input = InFlightState.edge(of: verdicts[index].name) else {
                continue
            }
            let isSwapped =
                inputs.map { known in
                    input < known.count && input < declaration.inputs.count
                        && !declaration.inputs[input].contains(known[input])
                } ?? false
            if isMoved || isSwapped {
                verdicts[index].outcome = .incompatible
                verdicts[index].notes = [
                    isSwapped
                        ? "records on their way came from another step"
                        : "records on their way were sent by other keys or windows"
                ]
                verdicts[index].fixes = ["start from a savepoint, which has none"]
            }
        }
    }

    /// Keys that move take the event time of where they come from along: that is possible only where all had come
    /// equally far.
    private mutating func checkTimes() throws {
        guard verdicts.contains(where: { $0.outcome == .rekeyed }), let stored,
            let schema = stored.states.first(where: { $0.name == WantedState.timeName })?.value
        else { return }
        var times: Set<DynamicValue> = []
        try stored.entries(of: WantedState.timeName, keyGroups: nil) { _, value in
            times.insert(try DynamicCodec(schema).decode(value))
        }
        let isEven = times.count <= 1 && times.allSatisfy { $0["keyGroups"] == .array([]) }
        for index in verdicts.indices where verdicts[index].outcome == .rekeyed && !isEven {
            verdicts[index].outcome = .incompatible
            verdicts[index].notes = ["keys would move between key groups in which event time had come differently far"]
            verdicts[index].fixes = ["start from a savepoint, in which it has come equally far"]
        }
    }

    /// What the step is restored from; nil when the snapshot knows nothing of it.
    var restored: UpgradedState? {
        stored.map { UpgradedState($0, verdicts, maxParallelism: maxParallelism) }
    }
}
