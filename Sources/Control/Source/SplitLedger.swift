// SPDX-License-Identifier: Apache-2.0
//  Where every split of a source is, now and in each checkpoint (FLIP-27 b18 to b20, d2).

import ThalwegBase
import ThalwegStorage

/// The engine's own book of the splits of one source.
///
/// It assumes, and `verify` checks, the order that makes assignment exact: what was assigned before the enumerator's
/// snapshot reaches the reader before the barrier, what was assigned after it does not; a reader's reports arrive in
/// the order in which they were made.
///
/// Checkpoint ids rise. The place before the first checkpoint is 0, or the checkpoint that the job started from.
public struct SplitLedger: Sendable {
    /// Where a split is now.
    enum Place: Hashable, Sendable {
        case unassigned
        case reader(Int)
        case finished(Int)
    }

    /// One assignment that no completed checkpoint covers yet.
    struct Assignment: Hashable, Sendable {
        let split: String
        let subtask: Int
        /// The first checkpoint that has it in a reader's state; nil while there is none.
        var checkpoint: Int64?
    }

    var places: [String: Place] = [:]
    /// In the order in which they were made.
    var assignments: [Assignment] = []
    var records: [Int64: SplitRecord] = [:]
    var attempts: [Int: Int] = [:]
    /// The newest completed checkpoint.
    public private(set) var completed: Int64

    /// - Parameters:
    ///   - checkpoint: the one that the job starts from; 0 for none.
    ///   - readers: the splits that each reader takes from its state.
    ///   - unassigned: the splits that the enumerator takes from its state.
    public init(checkpoint: Int64 = 0, readers: [Int: [String]] = [:], unassigned: [String] = []) {
        completed = checkpoint
        for split in unassigned { places[split] = .unassigned }
        for (subtask, splits) in readers {
            for split in splits { places[split] = .reader(subtask) }
        }
        records[checkpoint] = SplitRecord(universe: places, unassigned: Set(unassigned), readers: readers)
    }

    /// The attempt of a reader that assignments go to: it rises with each reset.
    public func attempt(of subtask: Int) -> Int { attempts[subtask] ?? 0 }

    /// How many splits are neither finished nor assigned.
    public var unassignedCount: Int { places.values.count { $0 == .unassigned } }

    // MARK: What happens to a split

    /// The enumerator has found splits.
    ///
    /// - Throws: a `ThalwegError(.bug)` for a split that is known already.
    public mutating func discovered(_ splits: [String]) throws {
        for split in splits {
            if let place = places[split] { throw Self.broken("split '\(split)' was found again, it is \(place.text)") }
            places[split] = .unassigned
        }
    }

    /// The enumerator gives a split to a reader.
    ///
    /// - Returns: false when that attempt of the reader is gone: the split stays unassigned and must not be sent.
    /// - Throws: a `ThalwegError(.bug)` for a split that is unknown or not the enumerator's to give.
    public mutating func assigned(_ split: String, to subtask: Int, attempt: Int) throws -> Bool {
        guard places[split] == .unassigned else {
            throw Self.broken("split '\(split)' was assigned to \(subtask), it is \(places[split]?.text ?? "unknown")")
        }
        guard attempt == self.attempt(of: subtask) else { return false }
        places[split] = .reader(subtask)
        assignments.append(Assignment(split: split, subtask: subtask))
        return true
    }

    /// A reader has read a split to its end. Reports of attempts that are gone are ignored.
    public mutating func finished(_ split: String, subtask: Int, attempt: Int) throws {
        guard attempt == self.attempt(of: subtask) else { return }
        guard places[split] == .reader(subtask) else {
            throw Self.broken("reader \(subtask) finished '\(split)', it is \(places[split]?.text ?? "unknown")")
        }
        places[split] = .finished(subtask)
        for checkpoint in records.keys where checkpoint > completed {
            // Before the reader's own snapshot means before its barrier.
            if records[checkpoint]?.readers[subtask] == nil { records[checkpoint]?.finished.insert(split) }
        }
    }

    /// A reader gives back a split of which it has read nothing, so that another reader can take it.
    public mutating func returned(_ split: String, subtask: Int, attempt: Int) throws {
        guard attempt == self.attempt(of: subtask) else { return }
        guard places[split] == .reader(subtask) else {
            throw Self.broken("reader \(subtask) gave back '\(split)', it is \(places[split]?.text ?? "unknown")")
        }
        let isPending = records.contains { $0.key > completed && $0.value.readers[subtask] == nil }
        guard !isPending else {
            // Between the enumerator's snapshot and the reader's, the split would be in neither.
            throw Self.broken("reader \(subtask) gave back '\(split)' between two snapshots of one checkpoint")
        }
        places[split] = .unassigned
        assignments.removeAll { $0.split == split && $0.subtask == subtask }
    }

    // MARK: What happens to a checkpoint

    /// The enumerator has been snapshot for a checkpoint: this is its side of the cut.
    public mutating func snapshotEnumerator(_ checkpoint: Int64, unassigned: [String]) {
        let universe = places.filter { if case .finished = $0.value { false } else { true } }
        records[checkpoint] = SplitRecord(
            universe: universe, unassigned: Set(unassigned), unassignedTwice: SplitRecord.repeated(unassigned))
        for index in assignments.indices where assignments[index].checkpoint == nil {
            assignments[index].checkpoint = checkpoint
        }
    }

    /// A reader has been snapshot for a checkpoint with these unfinished splits.
    public mutating func snapshotReader(_ checkpoint: Int64, subtask: Int, splits: [String]) {
        records[checkpoint]?.readers[subtask] = splits
    }

    /// The checkpoint is durable: what it covers is forgotten.
    ///
    /// - Returns: false when it is not known (any more): nothing has changed.
    public mutating func completed(_ checkpoint: Int64) -> Bool {
        guard checkpoint > completed, let record = records[checkpoint] else { return false }
        completed = checkpoint
        records = records.filter { $0.key >= checkpoint }
        assignments.removeAll { ($0.checkpoint ?? .max) <= checkpoint }
        var needed = Set(assignments.lazy.map(\.split))
        for splits in record.readers.values { needed.formUnion(splits) }
        places = places.filter { split, place in
            if case .finished = place { needed.contains(split) } else { true }
        }
        return true
    }

    /// The checkpoint will not complete. Its assignments wait for the next one.
    public mutating func aborted(_ checkpoint: Int64) {
        if checkpoint > completed { records[checkpoint] = nil }
    }

    static func broken(_ detail: String) -> ThalwegError {
        ThalwegError(
            .bug, "the books of the splits do not agree", detail: detail,
            hint: "report this; restarting the job from its last checkpoint is safe")
    }
}

extension SplitLedger.Place {
    var text: String {
        switch self {
        case .unassigned: "not assigned"
        case .reader(let subtask): "with reader \(subtask)"
        case .finished(let subtask): "finished by reader \(subtask)"
        }
    }
}
