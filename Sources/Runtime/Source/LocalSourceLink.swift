// SPDX-License-Identifier: Apache-2.0
//  Ties one source subtask to the coordinator in the same process.

import Synchronization
import ThalwegBase
import ThalwegGraph
import ThalwegOperator

/// What the enumerator has decided for one subtask and its reader has not yet taken.
final class SplitInbox: Sendable {
    private struct Contents {
        var splits: [any Sendable] = []
        var noMore = false
    }

    private let contents = Guarded(Contents())
    private let count = Atomic<Int>(0)
    let wake: @Sendable () -> Void

    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }
    var noMore: Bool { contents.withLock { $0.noMore } }

    func add(_ split: any Sendable) {
        contents.withLock { $0.splits.append(split) }
        count.add(1, ordering: .releasing)
        wake()
    }

    func setNoMore() {
        contents.withLock { $0.noMore = true }
        wake()
    }

    func takeAll() -> [any Sendable] {
        if isEmpty { return [] }
        let splits = contents.withLock { contents in
            defer { contents.splits = [] }
            return contents.splits
        }
        count.subtract(splits.count, ordering: .releasing)
        return splits
    }
}

/// The link of one source subtask. Used from the task's thread; the inboxes it shares are locked.
final class LocalSourceLink: SourceLink {
    private let node: Int
    private let subtask: Int
    private let coordinator: any SourceCoordinating
    private let inboxes: [SplitInbox]
    private let timers: TaskTimers
    private let groups: AlignmentGroups
    private let heldUp: ExecutionTask.HeldUp
    private var group: String?
    private var watermarks: [Int32: Int64] = [:]
    private var allowed = Int64.max
    private var sawNoMore = false
    private var isStarted = false
    private(set) var hasBeenAssigned = false
    /// The splits of this subtask that its alignment group may wait for.
    private var taken: [Int32] = []
    private var isBlind = false
    let wake: @Sendable () -> Void

    init(
        node: Int, subtask: Int, coordinator: any SourceCoordinating, inboxes: [SplitInbox], timers: TaskTimers,
        groups: AlignmentGroups, heldUp: ExecutionTask.HeldUp
    ) {
        self.node = node
        self.subtask = subtask
        self.coordinator = coordinator
        self.inboxes = inboxes
        self.timers = timers
        self.groups = groups
        self.heldUp = heldUp
        wake = inboxes[subtask].wake
    }

    func requestSplit() throws { try coordinator.requestSplit(from: subtask, carryOut) }

    func takeAssigned() throws -> [Any] {
        // Whoever comes first runs the enumerator's start and from then on its periodic discovery.
        if !isStarted {
            isStarted = true
            try coordinator.start(carryOut)
            // Those without a split no longer hold back event time.
            for inbox in inboxes { inbox.wake() }
        }
        let splits = inboxes[subtask].takeAll()
        if !splits.isEmpty { hasBeenAssigned = true }
        if group != nil { taken += splits.compactMap { ($0 as? any AnyAssignedSplit)?.number } }
        if isBlind { leaveUnheard() }
        return splits
    }

    /// Puts a decision of the enumerator into effect; called under the coordinator's lock.
    private func carryOut(_ action: CoordinatorAction) {
        switch action {
        case .assign(let split, let subtask):
            if let group, let split = split as? any AnyAssignedSplit {
                // The group waits for the split from now on, not only once its reader has taken it up.
                let member = AlignmentGroups.Member(node: node, subtask: subtask, split: split.number)
                _ = groups.report(.none, of: member, in: group)
            }
            inboxes[subtask].add(split)
        case .noMoreSplits(let subtask): inboxes[subtask].setNoMore()
        case .callAgain(let delay):
            timers.schedule(at: timers.now + max(1, delay.wholeMilliseconds)) { [weak self] in
                guard let self else { return }
                try self.coordinator.discover(self.carryOut)
            }
        }
    }

    var noMoreSplits: Bool {
        if !sawNoMore { sawNoMore = inboxes[subtask].noMore && inboxes[subtask].isEmpty }
        return sawNoMore
    }

    var holdsBackEventTime: Bool {
        if sawNoMore { return false }
        return !inboxes[subtask].isEmpty || coordinator.holdsBackEventTime
    }

    // MARK: Alignment

    private func member(_ split: Int32) -> AlignmentGroups.Member {
        AlignmentGroups.Member(node: node, subtask: subtask, split: split)
    }

    func align(group: String, drift: Duration) {
        self.group = group
        groups.join(group, drift: drift, wake: wake)
    }

    func report(watermark: Watermark, of split: Int32) {
        guard let group else { return }
        if split < 0 && !isBlind {
            // The records' splits are not known here: they will never speak for themselves.
            isBlind = true
            leaveUnheard()
        }
        watermarks[split] = watermark.time.milliseconds
        allowed = groups.report(watermark, of: member(split), in: group)
    }

    private func leaveUnheard() {
        guard let group else { return }
        for split in taken { groups.leave(member(split), of: group) }
        taken = []
    }

    func report(status: InputStatus, of split: Int32) {
        guard let group, status != .active else { return }
        watermarks[split] = nil
        groups.leave(member(split), of: group)
    }

    func pausedSplits() -> Set<Int32> {
        guard let group else { return [] }
        allowed = groups.allowed(in: group)
        var paused: Set<Int32> = []
        for (split, watermark) in watermarks where watermark > allowed { paused.insert(split) }
        return paused
    }

    var lastHeldUp: Int64? { heldUp.time }
}
