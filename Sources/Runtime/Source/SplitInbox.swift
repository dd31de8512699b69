// SPDX-License-Identifier: Apache-2.0
//  Splits on their way from a source's coordinator to its readers.

import Synchronization
import ThalwegBase
import ThalwegOperator

/// What the enumerator has decided for one subtask and its reader has not yet taken.
///
/// A decision that the enumerator took after its snapshot for a checkpoint waits until the barrier of that checkpoint
/// has passed the subtask: otherwise a split would be in both snapshots or in neither. A reader that reads only some
/// splits at a time leaves the others here, where an idle one can take them.
final class SplitInbox: Sendable {
    private struct Contents {
        var splits: [(split: any AnyAssignedSplit, epoch: Int64)] = []
        var noMoreSince: Int64?
        /// Whether the reader has as many splits as it wants, and others may take what waits.
        var isSpare = false
    }

    private let contents = Guarded(Contents())
    private let count = Atomic<Int>(0)
    private let sharing = Atomic<Int>(SplitInbox.undecided)
    private static let (undecided, shared, kept) = (0, 1, 2)
    let wake: @Sendable () -> Void

    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

    /// Whether splits wait here that may go to another reader.
    var isShared: Bool { !isEmpty && sharing.load(ordering: .acquiring) == Self.shared }

    /// The reader leaves splits here while it reads others.
    func share() {
        _ = sharing.compareExchange(expected: Self.undecided, desired: Self.shared, ordering: .acquiringAndReleasing)
    }

    /// Whether nothing is left and nothing will come, as far as decisions up to an epoch go.
    func isComplete(upTo epoch: Int64) -> Bool {
        contents.withLock { contents in
            guard let since = contents.noMoreSince else { return false }
            return since <= epoch && contents.splits.isEmpty
        }
    }

    func add(_ split: any AnyAssignedSplit, epoch: Int64) {
        contents.withLock { contents in
            if contents.splits.isEmpty { contents.isSpare = false }
            contents.splits.append((split, epoch))
        }
        count.add(1, ordering: .releasing)
        wake()
    }

    func setNoMore(epoch: Int64) {
        contents.withLock { $0.noMoreSince = epoch }
        wake()
    }

    /// Takes the first splits that were assigned in an epoch up to this one. `isSpare` says that others have become
    /// free for other readers.
    func take(upTo epoch: Int64, max: Int) -> (splits: [any AnyAssignedSplit], isSpare: Bool) {
        if isEmpty { return ([], false) }
        let (splits, isSpare) = contents.withLock { contents in
            var taken: [any AnyAssignedSplit] = []
            contents.splits.removeAll { entry in
                guard entry.epoch <= epoch, taken.count < max else { return false }
                taken.append(entry.split)
                return true
            }
            let wasSpare = contents.isSpare
            contents.isSpare = taken.count == max && !contents.splits.isEmpty
            return (taken, contents.isSpare && !wasSpare)
        }
        count.subtract(splits.count, ordering: .releasing)
        return (splits, isSpare)
    }

    /// Takes the split that would be read last, for another reader.
    func takeSpare(upTo epoch: Int64) -> (any AnyAssignedSplit)? {
        let split = contents.withLock { contents -> (any AnyAssignedSplit)? in
            guard self.isShared, contents.isSpare, let last = contents.splits.lastIndex(where: { $0.epoch <= epoch })
            else {
                return nil
            }
            return contents.splits.remove(at: last).split
        }
        if split != nil { count.subtract(1, ordering: .releasing) }
        return split
    }

    /// How many splits another reader could take.
    var spareCount: Int { isEmpty ? 0 : contents.withLock { $0.isSpare ? $0.splits.count : 0 } }

    /// What waits here and was assigned in an epoch up to this one.
    func waiting(upTo epoch: Int64) -> [any AnyAssignedSplit] {
        if isEmpty { return [] }
        return contents.withLock { $0.splits.filter { $0.epoch <= epoch }.map(\.split) }
    }

    /// Takes everything, for good: the subtask has come to its end.
    func close() -> [any AnyAssignedSplit] {
        let splits = contents.withLock { contents in
            defer { contents.splits = [] }
            return contents.splits.map(\.split)
        }
        count.subtract(splits.count, ordering: .releasing)
        return splits
    }

    /// Forgets everything: the subtask starts again. What it gets stays with it from now on: the event time of the
    /// others has moved on, and records would be late there.
    func reset() {
        let dropped = contents.withLock { contents in
            defer { contents = Contents() }
            return contents.splits.count
        }
        count.subtract(dropped, ordering: .releasing)
        sharing.store(Self.kept, ordering: .releasing)
    }
}
