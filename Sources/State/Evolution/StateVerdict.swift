// SPDX-License-Identifier: Apache-2.0
//  What becomes of a state of a snapshot in a job.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// What becomes of one state when a job starts from a snapshot (D11). A plan and a restore ask the same function.
public struct StateVerdict: Sendable {
    public enum Outcome: String, Codable, Hashable, Sendable, CaseIterable {
        /// It is taken over as it is.
        case kept
        /// It is taken over, its values converted.
        case migrated
        /// It is taken over, its keys converted and dealt out anew.
        case rekeyed = "re-keyed"
        /// Nothing in the job takes it over: it would be lost.
        case dropped
        /// The snapshot has nothing of it.
        case new
        /// The job has a state of this name that cannot take it over.
        case incompatible
    }

    /// The name of the state in the job, or in the snapshot if it is dropped.
    public var name: String
    public var kind: StateKind
    public var outcome: Outcome
    /// The name in the snapshot when it is another one.
    public var formerName: String?
    /// What happens to it, or why nothing can be done.
    public var notes: [String] = []
    /// What to do, when it is dropped or incompatible.
    public var fixes: [String] = []
    /// As the snapshot has it; nil when it is new.
    public var stored: StateDescriptor?
    /// How entries are converted; nil when they are read as they are.
    public var conversion: EntryConversion?

    init(_ name: String, _ kind: StateKind, _ outcome: Outcome) {
        self.name = name
        self.kind = kind
        self.outcome = outcome
    }

    /// Whether what is stored would be lost.
    public var loses: Bool { outcome == .dropped || outcome == .incompatible }

    /// A state that nothing in the job takes over.
    public static func dropped(_ stored: StateDescriptor, _ note: String, fix: String) -> StateVerdict {
        var verdict = StateVerdict(stored.name, stored.kind, .dropped)
        verdict.stored = stored
        verdict.notes = [note]
        verdict.fixes = [fix]
        return verdict
    }

    /// Compares a stored state with what a step wants.
    ///
    /// - Parameters:
    ///   - stored: nil when the snapshot does not have it.
    ///   - isEmpty: whether it has no entries: then nothing can be lost.
    ///   - maxParallelism: the number of key groups of the job.
    public init(of stored: StateDescriptor?, isEmpty: Bool, as wanted: WantedState, maxParallelism: Int) {
        self.init(wanted.descriptor.name, wanted.descriptor.kind, .new)
        guard let stored else { return }
        self.stored = stored
        if stored.name != name { formerName = stored.name }
        outcome = .kept
        compareKinds(stored, wanted.descriptor)
        let key = compareKeys(stored, wanted)
        let userKey = compare("user key", stored.userKey, wanted.descriptor.userKey, wanted.userKey)
        let hasElements = stored.key == nil && stored.kind != .broadcast
        let value = compare(
            hasElements ? "element" : "value", stored.value, wanted.descriptor.value, wanted.value)
        compareWindows(stored, wanted.descriptor)
        if outcome == .incompatible {
            guard isEmpty else { return }
            self = StateVerdict(name, kind, .new)
            self.stored = stored
            notes = ["the snapshot has no entries of it"]
            return
        }
        compareLives(stored, wanted.descriptor)
        guard
            formerName != nil || stored.userKey != wanted.descriptor.userKey || stored.key != wanted.descriptor.key
                || stored.value != wanted.descriptor.value
        else { return }
        var converted = stored
        converted.name = name
        converted.key = wanted.descriptor.key
        converted.userKey = wanted.descriptor.userKey
        converted.value = wanted.descriptor.value
        conversion = EntryConversion(
            stored: stored, converted: converted, key: key, userKey: userKey, value: value,
            maxParallelism: maxParallelism)
    }

    // MARK: Parts

    private mutating func refuse(_ note: String, fix: String) {
        if outcome != .incompatible { (notes, fixes) = ([], []) }
        outcome = .incompatible
        notes.append(note)
        if !fixes.contains(fix) { fixes.append(fix) }
    }

    private mutating func note(_ note: String, _ change: Outcome? = nil) {
        guard outcome != .incompatible else { return }
        notes.append(note)
        guard let change, outcome != .rekeyed else { return }
        outcome = change
    }

    /// Lists of subtasks may be divided otherwise than before; nothing else can take over another kind.
    private mutating func compareKinds(_ stored: StateDescriptor, _ wanted: StateDescriptor) {
        guard stored.kind != wanted.kind else { return }
        let lists: Set<StateKind> = [.split, .union, .keyedList]
        if lists.contains(stored.kind) && lists.contains(wanted.kind) {
            return note("was divided as \(stored.kind.rawValue), is as \(wanted.kind.rawValue)")
        }
        refuse(
            "was a state of kind \(stored.kind.rawValue), is of kind \(wanted.kind.rawValue)",
            fix:
                "give the new state another name, and keep the old one declared until what it holds has been taken over"
        )
    }

    /// - Returns: how keys are converted; nil if they stay as they are.
    private mutating func compareKeys(_ stored: StateDescriptor, _ wanted: WantedState) -> SchemaConversion? {
        guard stored.key != wanted.descriptor.key else { return nil }
        guard let old = stored.key, let new = wanted.descriptor.key else {
            refuse(
                stored.key == nil ? "was not keyed, is keyed now" : "was keyed, is not any more",
                fix: "give the step another name")
            return nil
        }
        switch SchemaVerdict(from: old, to: new, declared: wanted.key) {
        case .same: return nil
        case .migrated(let conversion) where conversion.keepsBytes:
            for step in conversion.steps { note("key \(step)", .migrated) }
            return nil
        case .migrated(let conversion) where !wanted.key.isEmpty:
            for step in conversion.steps { note("key \(step)") }
            if outcome != .incompatible { outcome = .rekeyed }
            return conversion
        case .migrated, .incompatible:
            refuse(
                "the key was \(old), is \(new)",
                fix: "key by what it was, or declare how old keys become new ones: "
                    + "keyed(by: …, evolution: Evolution().migrated(from: …) { … })")
            return nil
        }
    }

    /// - Returns: how a part of entries is converted; nil if it stays as it is.
    private mutating func compare(
        _ part: String, _ old: RecordSchema?, _ new: RecordSchema?, _ declared: DeclaredEvolution
    ) -> SchemaConversion? {
        guard old != new else { return nil }
        guard let before = old, let after = new else {
            refuse(old == nil ? "had no \(part)" : "has no \(part) any more", fix: "give the new state another name")
            return nil
        }
        let verdict = SchemaVerdict(from: before, to: after, declared: declared)
        for step in verdict.steps { note(step.path.isEmpty ? "\(part) \(step)" : "\(step)", .migrated) }
        for obstacle in verdict.obstacles {
            refuse(obstacle.path.isEmpty ? "the \(part) \(obstacle)" : "\(obstacle)", fix: obstacle.fix)
        }
        guard case .migrated(let conversion) = verdict, !conversion.keepsBytes else { return nil }
        return conversion
    }

    private mutating func compareLives(_ stored: StateDescriptor, _ wanted: StateDescriptor) {
        let old = stored.properties[StateTTL.propertyName].flatMap { StateTTL(text: $0) }
        let new = wanted.properties[StateTTL.propertyName].flatMap { StateTTL(text: $0) }
        switch (old, new) {
        case (nil, nil): break
        case (nil, .some): note("entries had no time to live: they begin to live at the restore")
        case (.some, nil): note("entries had a time to live: they stay for ever now")
        case (let old?, let new?):
            if old.domain != new.domain {
                note("the time to live goes by another clock: entries begin to live at the restore")
            } else if old.duration != new.duration {
                note("the time to live was \(old.duration), is \(new.duration), counted from when they were written")
            }
        }
    }

    private mutating func compareWindows(_ stored: StateDescriptor, _ wanted: StateDescriptor) {
        guard let before = stored.properties[StoredWindow.propertyName],
            let after = wanted.properties[StoredWindow.propertyName], before != after
        else { return }
        guard let old = StoredWindow(text: before), let new = StoredWindow(text: after) else {
            return refuse("its windows are of an unknown form", fix: "restore it with the version that wrote it")
        }
        switch new.takesOver(old) {
        case .note(let text): note(text, .migrated)
        case .refusal(let text):
            refuse(
                text,
                fix:
                    "keep the windows as they are, or let them all fire before the change (stop with --drain), or give "
                    + "the step another name and start with --drop-unclaimed-state")
        }
    }
}
