// SPDX-License-Identifier: Apache-2.0
//  What a job would make of a snapshot (D11, FLIP-43): the verdict that a start obeys and that `plan --against` shows.

import ThalwegBase
import ThalwegGraph
import ThalwegState
import ThalwegStorage

/// What becomes of each step and state of a snapshot when a job starts from it.
///
/// Decided from descriptions alone, but for one thing: whether a migration of keys that a user has written gives two
/// keys the same new one shows when the keys are read.
public struct UpgradePlan: Codable, Sendable, Hashable {
    /// A state and what becomes of it.
    public struct State: Codable, Sendable, Hashable {
        public var name: String
        /// The name in the snapshot when it is another one.
        public var formerName: String?
        public var kind: String
        public var outcome: StateVerdict.Outcome
        /// What happens to it, or why nothing can be done.
        public var notes: [String]
        /// What to do when it would be lost.
        public var fixes: [String]
        /// The entries that the snapshot has of it; nil when they were not counted.
        public var entries: Int?

        /// Whether it belongs to the engine, such as the splits of a source.
        public var isInternal: Bool { name.hasPrefix("$") }
    }

    /// A step and what becomes of its states.
    public struct Step: Codable, Sendable, Hashable {
        public var name: String
        /// The name in the snapshot when it is another one.
        public var formerName: String?
        /// The worst that becomes of one of its states; `new` when the snapshot does not know the step, `dropped` when
        /// the job does not have it.
        public var outcome: StateVerdict.Outcome
        public var states: [State]
    }

    /// The version of the form in which programs hand a plan to one another.
    public static let currentVersion = 1

    public var version = UpgradePlan.currentVersion
    /// The snapshot's directory.
    public var snapshot: String
    /// What keeps the job from starting whatever its states, such as another number of key groups.
    public var obstacles: [String]
    /// What may turn out otherwise after another change, such as state of steps without names of their own.
    public var warnings: [String]
    public var steps: [Step]

    /// Whether a start would lose state, or is not possible.
    public var outcome: StateVerdict.Outcome {
        if !obstacles.isEmpty || steps.contains(where: { $0.outcome == .incompatible }) { return .incompatible }
        let states = steps.flatMap(\.states)
        for outcome in [StateVerdict.Outcome.dropped, .rekeyed, .migrated]
        where states.contains(where: { $0.outcome == outcome }) { return outcome }
        return .kept
    }

    /// What a process ends with that was asked for the plan: 0 when nothing is lost, 2 when state would be dropped,
    /// 3 when the job cannot start from the snapshot.
    public var exitCode: Int32 {
        switch outcome {
        case .incompatible: 3
        case .dropped: 2
        case .kept, .migrated, .rekeyed, .new: 0
        }
    }

    /// Compares a job with a snapshot. Makes the job's functions, and reads the footers of the snapshot's segments.
    public init(_ graph: JobGraph, batchCapacity: Int = 1024, against snapshot: Snapshot) throws {
        try self.init(
            RestoredOperators(snapshot, try JobDeclarations(graph, batchCapacity: batchCapacity)), countsEntries: true)
    }

    /// - Parameter countsEntries: costs reading states whose files lie in layers.
    init(_ operators: RestoredOperators, countsEntries: Bool = false) throws {
        let (declarations, metadata) = (operators.declarations, operators.snapshot.metadata)
        snapshot = operators.snapshot.path
        obstacles = []
        let wanted = declarations.graph.maxParallelism
        if metadata.maxParallelism != wanted {
            obstacles.append(
                "the snapshot has \(metadata.maxParallelism) key groups, the job \(wanted): set "
                    + "max-parallelism=\(metadata.maxParallelism), or deal the keys out anew with thalweg state reshard"
            )
        }
        warnings = declarations.steps.filter { step in
            step.isNumbered && step.states.contains { !$0.descriptor.name.hasPrefix("$") }
        }.map { "step \"\($0.name)\" has state and is known by its place in the job: give it a name" }
        steps = []
        for step in declarations.steps {
            guard let upgrade = try operators.upgrade(of: step.name) else { continue }
            steps.append(try Step(upgrade, countsEntries: countsEntries))
        }
        for name in operators.unclaimed {
            guard let state = try operators.snapshot.restoredState(of: name) else { continue }
            let lost = try state.states.filter {
                try $0.name != WantedState.timeName && state.hasEntries(of: $0.name)
            }
            guard !lost.isEmpty else { continue }
            let heirs = declarations.heirs(of: state).map { "\"\($0)\"" }
            let fix =
                (heirs.isEmpty ? "name a step as it was named then" : "if it is \(heirs.joined(separator: " or ")) now")
                + ", say so: named(…, formerly: \"\(name)\"), or start with --drop-unclaimed-state: "
                + "its state is lost then"
            steps.append(
                Step(
                    name: name, formerName: nil, outcome: .dropped,
                    states: try lost.map {
                        State(
                            .dropped($0, "the job has no such step", fix: fix),
                            entries: countsEntries ? try state.entryCount(of: $0.name) : nil)
                    }))
        }
    }

    /// Refuses to lose anything.
    ///
    /// - Parameter drops: whether what nothing takes over may be lost.
    /// - Throws: kind `job`, with every state that is in question.
    func check(drops: Bool) throws(ThalwegError) {
        if let obstacle = obstacles.first {
            throw ThalwegError(
                .job, "the snapshot has another number of key groups", detail: "\(snapshot): \(obstacle)",
                hint: "see thalweg plan JOB --against SNAPSHOT")
        }
        func list(_ outcome: StateVerdict.Outcome) -> (lines: [String], fixes: [String]) {
            let all = steps.flatMap { step in step.states.filter { $0.outcome == outcome }.map { (step, $0) } }
            var fixes: [String] = []
            for fix in all.flatMap(\.1.fixes) where !fixes.contains(fix) { fixes.append(fix) }
            return (
                all.map { "step \"\($0.name)\", state \"\($1.name)\": \($1.notes.joined(separator: "; "))" }, fixes
            )
        }
        let broken = list(.incompatible)
        guard broken.lines.isEmpty else {
            throw ThalwegError(
                .job, "a state has other types than in the snapshot", detail: broken.lines.joined(separator: "; "),
                hint: broken.fixes.joined(separator: "; "))
        }
        let lost = list(.dropped)
        guard lost.lines.isEmpty || drops else {
            throw ThalwegError(
                .job, "the snapshot holds state that nothing in the job takes over",
                detail: lost.lines.joined(separator: "; "), hint: lost.fixes.joined(separator: "; "))
        }
    }

    /// What people should know of a start: what is converted and what is lost.
    var notices: [String] {
        steps.flatMap { step in
            step.states.compactMap { state in
                let subject = "step \"\(step.name)\", state \"\(state.name)\""
                switch state.outcome {
                case .dropped:
                    return "warning: dropped from the snapshot: \(subject): \(state.notes.joined(separator: "; "))"
                case .migrated, .rekeyed:
                    return "note: \(state.outcome.rawValue): \(subject): \(state.notes.joined(separator: "; "))"
                case .kept, .new, .incompatible: return nil
                }
            }
        }
    }
}

extension UpgradePlan.State {
    init(_ verdict: StateVerdict, entries: Int?) {
        self.init(
            name: verdict.name, formerName: verdict.formerName, kind: verdict.kind.rawValue, outcome: verdict.outcome,
            notes: verdict.notes, fixes: verdict.fixes, entries: entries)
    }
}

extension UpgradePlan.Step {
    init(_ upgrade: StepUpgrade, countsEntries: Bool) throws {
        let former = upgrade.stored?.operatorName
        let states = try upgrade.verdicts.map { verdict in
            let name = countsEntries ? verdict.stored?.name : nil
            return UpgradePlan.State(verdict, entries: try name.map { try upgrade.stored?.entryCount(of: $0) ?? 0 })
        }
        let worst: [StateVerdict.Outcome] = [.incompatible, .dropped, .rekeyed, .migrated]
        self.init(
            name: upgrade.declaration.name, formerName: former == upgrade.declaration.name ? nil : former,
            outcome: former == nil
                ? .new : worst.first { outcome in states.contains { $0.outcome == outcome } } ?? .kept,
            states: states)
    }
}

extension JobDeclarations {
    /// Steps that declare all states of one that is gone: it may be one of them under another name.
    func heirs(of gone: RestoredSnapshotState) -> [String] {
        let own = gone.states.filter { !$0.name.hasPrefix("$") }
        guard !own.isEmpty else { return [] }
        return steps.filter { step in
            own.allSatisfy { old in
                step.states.contains { $0.descriptor.name == old.name && $0.descriptor.kind == old.kind }
            }
        }.map(\.name)
    }
}

extension UpgradePlan {
    /// The plan as text: a line for each step and each state that there is something to say of.
    public var text: String {
        var text = ""
        for obstacle in obstacles { text += "\("incompatible".padded)\(obstacle)\n" }
        for warning in warnings { text += "\("warning".padded)\(warning)\n" }
        for step in steps {
            let former = step.formerName.map { " (was \($0))" } ?? ""
            text += "\(step.outcome.rawValue.padded)\(step.name)\(former)\n"
            for state in step.states where !state.isInternal || state.outcome != .kept && state.outcome != .new {
                let former = state.formerName.map { " (was \($0))" } ?? ""
                let entries = state.entries.map { ", \($0) entries" } ?? ""
                text += "  \(state.outcome.rawValue.padded)\(state.name)\(former): \(state.kind)\(entries)\n"
                for note in state.notes { text += "      \(note)\n" }
                for fix in state.fixes { text += "      fix: \(fix)\n" }
            }
        }
        return text + "\(verdict)\n"
    }

    /// The whole in a sentence.
    public var verdict: String {
        switch outcome {
        case .incompatible: "The job cannot start from \(snapshot)."
        case .dropped: "The job would lose state of \(snapshot): it starts only with --drop-unclaimed-state."
        case .migrated, .rekeyed: "The job can start from \(snapshot): nothing is lost, what has changed is converted."
        case .kept, .new: "The job can start from \(snapshot): nothing is lost."
        }
    }
}

extension String {
    /// In a column of outcomes.
    fileprivate var padded: String { self + String(repeating: " ", count: max(1, 14 - count)) }
}
