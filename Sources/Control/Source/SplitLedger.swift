// SPDX-License-Identifier: Apache-2.0
//  Where every split of a source is, now and in each checkpoint under way (FLIP-27 b18 to b20, d2).

import ThalwegBase

/// The engine's own book of the splits of one source.
///
/// It assumes, and ``verify(_:)`` checks, the order that makes assignment exact: what was assigned before the
/// enumerator's snapshot reaches the reader before the barrier, what was assigned after it does not. Its calls never
/// overlap. Ids of checkpoints rise.
///
/// Splits that were read to their end are remembered until no restart can begin before that; then the newest of them by
/// hashes only, so that its size does not grow with the number of splits.
///
/// Not known here: splits that the enumerator has found and never named, and how far a split has been read.
public struct SplitLedger: Sendable {
    /// Who has a split that is not read to its end.
    public enum Place: Hashable, Sendable {
        /// Nobody was given it.
        case enumerator
        case reader(Int)
    }

    struct Entry: Sendable {
        var place: Place
        /// The checkpoint after whose enumerator snapshot the split was assigned.
        var epoch: Int64 = 0
        /// The place in the order of assignments.
        var order = 0
        /// Of a finished split: the newest barrier that had passed its reader by then.
        var finishedAfter: Int64 = 0
    }

    /// A checkpoint under way.
    struct Cut: Sendable {
        /// The splits that have to be somewhere, and who has them.
        var expected: [String: Place]
        let unassigned: [String]
        /// What readers named at their barriers.
        var readers: [Int: [String]] = [:]
    }

    var unfinished: [String: Entry] = [:]
    var finished: [String: Entry] = [:]
    var forgotten = ForgottenSplits()
    /// The newest barrier that has passed each reader.
    var passed: [Int: Int64] = [:]
    var cuts: [Int64: Cut] = [:]
    /// What readers that have come to their end left: it counts for every later checkpoint.
    var left: [Int: [String]] = [:]
    /// The newest checkpoint that the enumerator was frozen for, or the one that the job starts from.
    public internal(set) var epoch: Int64
    private var assignments = 0

    /// - Parameter checkpoint: the one that the job starts from; 0 for none.
    public init(checkpoint: Int64 = 0) { epoch = checkpoint }

    // MARK: What happens to a split

    /// The enumerator has named these: from now on every checkpoint must have them.
    public mutating func discover(_ splits: [String]) {
        for split in splits where unfinished[split] == nil && finished[split] == nil && !forgotten.contains(split) {
            unfinished[split] = Entry(place: .enumerator)
        }
    }

    /// A split is given to a reader.
    ///
    /// - Throws: a `ThalwegError(.bug)` when a reader has it, or has read it to its end.
    public mutating func assign(_ split: String, to subtask: Int) throws {
        if let entry = finished[split] { throw Self.twice(split, "was read to its end by \(entry.place)", subtask) }
        if forgotten.contains(split) { throw Self.twice(split, "was read to its end long ago", subtask) }
        if let entry = unfinished[split], entry.place != .enumerator {
            throw Self.twice(split, "is with \(entry.place)", subtask)
        }
        unfinished[split] = Entry(place: .reader(subtask), epoch: epoch, order: assignments)
        assignments += 1
    }

    private static func twice(_ split: String, _ place: String, _ subtask: Int) -> ThalwegError {
        ThalwegError(
            .bug, "a split was given out twice", detail: "split '\(split)' \(place) and was given to reader \(subtask)",
            hint: "the source's enumerator has to assign a split once, until it is given back")
    }

    /// A reader has read a split to its end.
    ///
    /// - Throws: a `ThalwegError(.bug)` when the reader does not have it.
    public mutating func finish(_ split: String, by subtask: Int) throws {
        guard var entry = unfinished[split], entry.place == .reader(subtask) else {
            let place = unfinished[split].map { "is with \($0.place)" } ?? "is with nobody"
            throw ThalwegError(
                .bug, "a reader has finished a split that it does not have",
                detail: "reader \(subtask), split '\(split)', which \(place)")
        }
        unfinished[split] = nil
        entry.finishedAfter = passed[subtask] ?? 0
        finished[split] = entry
        // Before the reader's own snapshot means before its barrier.
        for checkpoint in cuts.keys where cuts[checkpoint]?.readers[subtask] == nil {
            cuts[checkpoint]?.expected[split] = nil
        }
    }

    /// Whether a split may go from one reader to another now: not while a barrier has passed one of them only, as the
    /// split would be in both snapshots or in neither.
    public func mayMove(from: Int, to: Int) -> Bool {
        cuts.values.allSatisfy { ($0.readers[from] == nil) == ($0.readers[to] == nil) }
    }

    /// A reader has handed over to another one a split of which it has read nothing. Ask ``mayMove(from:to:)`` first.
    public mutating func move(_ split: String, to subtask: Int) {
        guard let old = unfinished[split]?.place else { return }
        unfinished[split]?.place = .reader(subtask)
        for checkpoint in cuts.keys where cuts[checkpoint]?.readers[subtask] == nil {
            if cuts[checkpoint]?.expected[split] == old { cuts[checkpoint]?.expected[split] = .reader(subtask) }
        }
    }

    /// Nobody will take up what was assigned: the split waits to be assigned anew.
    public mutating func takeBack(_ split: String) { unfinished[split]?.place = .enumerator }

    // MARK: What happens to a reader

    /// A split of a reader that starts again.
    public struct Returned: Hashable, Sendable {
        public let split: String
        public let subtask: Int
        /// Whether it goes on where it was at the checkpoint; otherwise the enumerator gets it back as it was assigned.
        public let isInCheckpoint: Bool

        public init(split: String, subtask: Int, isInCheckpoint: Bool) {
            self.split = split
            self.subtask = subtask
            self.isInCheckpoint = isInCheckpoint
        }
    }

    /// Readers start again from a checkpoint (b19): their splits are nobody's now, but for those that were read to
    /// their end before it. Splits that have gone to other readers since then stay with these.
    ///
    /// - Parameter held: what is in the checkpoint's states of readers.
    /// - Returns: the splits that somebody has to be given again, in the order in which they were assigned.
    public mutating func reset(_ subtasks: Set<Int>, to checkpoint: Int64, held: Set<String>) -> [Returned] {
        // No checkpoint under way can complete without these readers.
        cuts = [:]
        for subtask in subtasks { left[subtask] = nil }
        let lost = unfinished.merging(finished) { entry, _ in entry }.filter { split, entry in
            guard case .reader(let subtask) = entry.place, subtasks.contains(subtask) else { return false }
            return unfinished[split] != nil || held.contains(split) || entry.epoch >= checkpoint
        }
        return lost.sorted { $0.value.order < $1.value.order }.compactMap { split, entry in
            guard case .reader(let subtask) = entry.place else { return nil }
            finished[split] = nil
            unfinished[split] = Entry(place: .enumerator)
            return Returned(split: split, subtask: subtask, isInCheckpoint: held.contains(split))
        }
    }
}

extension SplitLedger.Place: CustomStringConvertible {
    public var description: String {
        switch self {
        case .enumerator: "the enumerator"
        case .reader(let subtask): "reader \(subtask)"
        }
    }
}
