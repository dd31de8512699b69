// SPDX-License-Identifier: Apache-2.0
//  Splits on their way from a source's coordinator to its readers.

import Synchronization
import ThalwegBase
import ThalwegGraph
import ThalwegOperator

/// What the enumerator has decided for one subtask and its reader has not yet taken.
///
/// A decision that the enumerator took after its snapshot for a checkpoint waits until the barrier of that checkpoint
/// has passed the subtask: otherwise a split would be in both snapshots or in neither.
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

    /// Takes the first splits that were assigned in an epoch up to this one.
    func take(upTo epoch: Int64, max: Int) -> [any AnyAssignedSplit] {
        if isEmpty { return [] }
        let splits = contents.withLock { contents in
            var taken: [any AnyAssignedSplit] = []
            contents.splits.removeAll { entry in
                guard entry.epoch <= epoch, taken.count < max else { return false }
                taken.append(entry.split)
                return true
            }
            contents.isSpare = taken.count == max
            return taken
        }
        count.subtract(splits.count, ordering: .releasing)
        return splits
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
    var spareCount: Int { contents.withLock { $0.isSpare ? $0.splits.count : 0 } }

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

/// What the subtasks of one source share in this process; outlives their attempts.
final class SourceDesk: Sendable {
    let node: Int
    let coordinator: any SourceCoordinating
    let inboxes: [SplitInbox]
    private let discoveryTime = Atomic<Int64>(.max)

    init(node: Int, coordinator: any SourceCoordinating, inboxes: [SplitInbox]) {
        self.node = node
        self.coordinator = coordinator
        self.inboxes = inboxes
    }

    /// When the enumerator wants to look for splits again; nil when it does not.
    var nextDiscovery: Int64? {
        let time = discoveryTime.load(ordering: .acquiring)
        return time == .max ? nil : time
    }

    func discover(at time: Int64) { discoveryTime.store(time, ordering: .releasing) }

    /// Whether the caller is the one to have splits looked for now.
    func claimDiscovery(now: Int64) -> Bool {
        let time = discoveryTime.load(ordering: .acquiring)
        guard time <= now else { return false }
        return discoveryTime.compareExchange(expected: time, desired: .max, ordering: .acquiringAndReleasing).exchanged
    }

    /// Takes up a decision made outside of any subtask.
    func carryOut(_ action: CoordinatorAction, now: Int64) {
        switch action {
        case .assign(let split, let subtask, let epoch): inboxes[subtask].add(split, epoch: epoch)
        case .noMoreSplits(let subtask, let epoch): inboxes[subtask].setNoMore(epoch: epoch)
        case .forget(let subtask): inboxes[subtask].reset()
        case .callAgain(let delay):
            discover(at: now + max(1, delay.wholeMilliseconds))
            for inbox in inboxes { inbox.wake() }
        }
    }
}
