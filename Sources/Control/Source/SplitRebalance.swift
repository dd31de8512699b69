// SPDX-License-Identifier: Apache-2.0
//  Deals restored splits out evenly when the number of readers changes (FLIP-27 d5).

/// A split of a snapshot.
public struct RestoredSplit: Hashable, Sendable {
    public var id: String
    /// The reader that had it.
    public var owner: Int
    /// Whether records of it have been read.
    public var isStarted: Bool

    public init(id: String, owner: Int, isStarted: Bool) {
        self.id = id
        self.owner = owner
        self.isStarted = isStarted
    }
}

/// Deals splits out: a function of the set of splits and the parallelism, never of the order in which they come.
public enum SplitRebalance {
    /// The splits of each new reader, in the order of their ids. Readers differ by one split at most; a split stays
    /// with its reader where that allows it, started ones first.
    public static func assign(_ splits: [RestoredSplit], parallelism: Int) -> [[String]] {
        precondition(parallelism > 0, "a reader must take the splits")
        let ordered = splits.sorted { left, right in
            left.isStarted != right.isStarted ? left.isStarted : left.id < right.id
        }
        let (share, larger) = splits.count.quotientAndRemainder(dividingBy: parallelism)
        var room = (0..<parallelism).map { $0 < larger ? share + 1 : share }
        var readers = [[String]](repeating: [], count: parallelism)
        var moving: [String] = []
        for split in ordered {
            guard (0..<parallelism).contains(split.owner), room[split.owner] > 0 else {
                moving.append(split.id)
                continue
            }
            room[split.owner] -= 1
            readers[split.owner].append(split.id)
        }
        var reader = 0
        for id in moving.sorted() {
            while room[reader] == 0 { reader += 1 }
            room[reader] -= 1
            readers[reader].append(id)
        }
        return readers.map { $0.sorted() }
    }
}
