// SPDX-License-Identifier: Apache-2.0
//  Whether a checkpoint has every split once.

/// What is wrong with the splits of a checkpoint. Such a checkpoint must not complete: it would lose or repeat records.
public enum SplitViolation: Hashable, Sendable, CustomStringConvertible {
    /// Unfinished, and in no state.
    case nowhere(split: String, owner: SplitLedger.Place)
    /// In two states, or twice in one.
    case twice(split: String, SplitLedger.Place, SplitLedger.Place)
    /// In the state of somebody who does not have it; nil when nobody has.
    case misplaced(split: String, in: SplitLedger.Place, owner: SplitLedger.Place?)
    /// Read to its end, and still in a state.
    case finished(split: String, in: SplitLedger.Place, by: SplitLedger.Place)

    public var description: String {
        switch self {
        case .nowhere(let split, let owner): "split '\(split)' belongs to \(owner), which does not have it in its state"
        case .twice(let split, let first, let second):
            first == second
                ? "split '\(split)' is twice in the state of \(first)"
                : "split '\(split)' is in the states of \(first) and of \(second)"
        case .misplaced(let split, let place, let owner):
            "split '\(split)' is in the state of \(place), but belongs to \(owner.map { "\($0)" } ?? "nobody")"
        case .finished(let split, let place, let owner):
            "split '\(split)' is in the state of \(place), but was read to its end by \(owner)"
        }
    }
}

extension SplitLedger {
    /// The enumerator has been frozen for a checkpoint: this is its side of the cut.
    public mutating func freeze(_ checkpoint: Int64, unassigned: [String]) {
        epoch = max(epoch, checkpoint)
        discover(unassigned)
        cuts[checkpoint] = Cut(expected: unfinished.mapValues(\.place), unassigned: unassigned)
    }

    /// A barrier has passed a reader that has these unfinished splits.
    public mutating func pass(_ checkpoint: Int64, subtask: Int, splits: [String]) {
        cuts[checkpoint]?.readers[subtask] = splits
        passed[subtask] = max(passed[subtask] ?? 0, checkpoint)
    }

    /// A reader has come to its end, or was drained, and leaves these splits.
    public mutating func end(subtask: Int, splits: [String]) { left[subtask] = splits }

    /// Every restart begins with this checkpoint or a later one: splits that had been read to their end before its
    /// barrier never come back.
    ///
    /// - Returns: these splits.
    public mutating func settle(_ checkpoint: Int64) -> [String] {
        let settled = finished.filter { $0.value.finishedAfter < checkpoint && $0.value.epoch < checkpoint }
            .sorted { $0.value.order < $1.value.order }.map(\.key)
        for split in settled {
            finished[split] = nil
            forgotten.add(split)
        }
        return settled
    }

    /// The checkpoint will not complete.
    public mutating func abort(_ checkpoint: Int64) { cuts[checkpoint] = nil }

    /// Whether every split that is known and unfinished at the barrier is in exactly one state. Ask when all snapshots
    /// are there and before the checkpoint completes; a violation must abort it. Asked once: it is forgotten then.
    ///
    /// - Returns: nil when all is well. Of several violations the same one each time.
    public mutating func verify(_ checkpoint: Int64) -> SplitViolation? {
        guard let cut = cuts.removeValue(forKey: checkpoint) else { return nil }
        var found: [String: Place] = [:]
        var twice: [(split: String, first: Place, second: Place)] = []
        func note(_ splits: [String], _ place: Place) {
            for split in splits {
                if let other = found.updateValue(place, forKey: split) { twice.append((split, other, place)) }
            }
        }
        note(cut.unassigned, .enumerator)
        // What was left counts unless the reader took part before its end.
        for (subtask, splits) in left.merging(cut.readers, uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
            note(splits, .reader(subtask))
        }
        if let worst = twice.min(by: { $0.split < $1.split }) {
            return .twice(split: worst.split, worst.first, worst.second)
        }
        if let (split, owner) = cut.expected.filter({ found[$0.key] == nil }).min(by: { $0.key < $1.key }) {
            return .nowhere(split: split, owner: owner)
        }
        guard let (split, place) = found.filter({ cut.expected[$0.key] != $0.value }).min(by: { $0.key < $1.key })
        else { return nil }
        if cut.expected[split] == nil, let owner = finished[split]?.place {
            return .finished(split: split, in: place, by: owner)
        }
        return .misplaced(split: split, in: place, owner: cut.expected[split] ?? unfinished[split]?.place)
    }
}
