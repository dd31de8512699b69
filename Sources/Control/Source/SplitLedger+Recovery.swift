// SPDX-License-Identifier: Apache-2.0
//  What becomes of splits when readers fail, and whether a checkpoint has each of them once.

/// One checkpoint, as far as splits are concerned.
struct SplitRecord: Sendable {
    /// Every split that was known and unfinished when the enumerator was snapshot, and where it was.
    var universe: [String: SplitLedger.Place]
    var unassigned: Set<String>
    var unassignedTwice: String?
    var readers: [Int: [String]] = [:]
    /// Finished by readers between the enumerator's snapshot and their own.
    var finished: Set<String> = []

    /// The smallest value that is there more than once.
    static func repeated(_ splits: [String]) -> String? {
        var seen: Set<String> = []
        return splits.filter { !seen.insert($0).inserted }.min()
    }
}

/// What is wrong with the splits of a checkpoint. Such a checkpoint must not complete: it would lose or repeat records.
public enum SplitViolation: Hashable, Sendable, CustomStringConvertible {
    /// Unfinished, and in no state.
    case nowhere(split: String)
    /// In two states, or twice in one.
    case twice(split: String)
    /// In the state of somebody who does not have it.
    case misplaced(split: String)
    /// There is no such checkpoint under way.
    case unknownCheckpoint(Int64)

    public var description: String {
        switch self {
        case .nowhere(let split): "split '\(split)' is in no state: its records would be lost"
        case .twice(let split): "split '\(split)' is in two states: its records would be read twice"
        case .misplaced(let split): "split '\(split)' is in the state of somebody who does not have it"
        case .unknownCheckpoint(let checkpoint): "the splits of checkpoint \(checkpoint) are not known"
        }
    }
}

/// What to do with the splits of a reader that starts again.
public struct SplitReset: Hashable, Sendable {
    /// The attempt of the reader that begins.
    public var attempt: Int
    /// The splits that the reader keeps of those in its restored state; it drops all others, which have moved on.
    public var handBack: [String]
    /// The splits that the enumerator takes back, in the order in which they were assigned.
    public var giveBack: [String]

    public init(attempt: Int, handBack: [String], giveBack: [String]) {
        self.attempt = attempt
        self.handBack = handBack
        self.giveBack = giveBack
    }
}

extension SplitLedger {
    /// A reader starts again from the newest completed checkpoint. The attempt before it is over: nothing may be
    /// assigned to it, and what it still reports is ignored.
    ///
    /// - Throws: a `ThalwegError(.bug)` when `checkpoint` is not the newest completed one.
    public mutating func resetSubtask(_ subtask: Int, to checkpoint: Int64) throws -> SplitReset {
        guard checkpoint == completed, let record = records[checkpoint] else {
            throw Self.broken("reader \(subtask) starts from checkpoint \(checkpoint), the newest is \(completed)")
        }
        attempts[subtask, default: 0] += 1
        // A checkpoint under way cannot complete without this reader.
        records = records.filter { $0.key <= completed }
        let lost = assignments.filter { $0.subtask == subtask }.map(\.split)
        assignments.removeAll { $0.subtask == subtask }
        let taken = Set(lost)
        let kept = (record.readers[subtask] ?? []).filter { split in
            !taken.contains(split) && (places[split] == .reader(subtask) || places[split] == .finished(subtask))
        }
        for split in lost { places[split] = .unassigned }
        for split in kept { places[split] = .reader(subtask) }
        return SplitReset(attempt: attempt(of: subtask), handBack: kept, giveBack: lost)
    }

    /// The whole job starts again from the newest completed checkpoint: enumerator and readers take their states.
    public mutating func resetAll(to checkpoint: Int64) throws {
        guard checkpoint == completed, let record = records[checkpoint] else {
            throw Self.broken("the job starts from checkpoint \(checkpoint), the newest is \(completed)")
        }
        let known = Set(attempts.keys).union(record.readers.keys).union(assignments.map(\.subtask))
        for subtask in known { attempts[subtask, default: 0] += 1 }
        records = [checkpoint: record]
        assignments = []
        places = [:]
        for split in record.unassigned { places[split] = .unassigned }
        for (subtask, splits) in record.readers {
            for split in splits { places[split] = .reader(subtask) }
        }
    }

    /// Whether every split that is known and unfinished at the barrier is in exactly one state. Ask when all snapshots
    /// are there and before the checkpoint completes; a violation must abort it.
    public func verify(_ checkpoint: Int64) -> SplitViolation? {
        guard let record = records[checkpoint] else { return .unknownCheckpoint(checkpoint) }
        if let split = record.unassignedTwice { return .twice(split: split) }
        var found: [String: Place] = [:]
        for split in record.unassigned { found[split] = .unassigned }
        for (subtask, splits) in record.readers.sorted(by: { $0.key < $1.key }) {
            for split in splits {
                guard found.updateValue(.reader(subtask), forKey: split) == nil else { return .twice(split: split) }
            }
        }
        // The smallest one is named, so that the same fault gives the same text.
        let missing = record.universe.keys.filter { found[$0] == nil && !record.finished.contains($0) }
        if let split = missing.min() { return .nowhere(split: split) }
        let strange = found.filter { record.universe[$0.key] != $0.value || record.finished.contains($0.key) }
        return strange.keys.min().map { .misplaced(split: $0) }
    }
}
