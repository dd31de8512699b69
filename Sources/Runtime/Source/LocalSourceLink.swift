// SPDX-License-Identifier: Apache-2.0
//  Ties one source subtask to the coordinator in the same process.

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
        var splits: [(split: any Sendable, epoch: Int64)] = []
        var noMoreSince: Int64?
    }

    private let contents = Guarded(Contents())
    private let count = Atomic<Int>(0)
    let wake: @Sendable () -> Void

    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

    /// Whether nothing is left and nothing will come, as far as decisions up to an epoch go.
    func isComplete(upTo epoch: Int64) -> Bool {
        contents.withLock { contents in
            guard let since = contents.noMoreSince else { return false }
            return since <= epoch && contents.splits.isEmpty
        }
    }

    func add(_ split: any Sendable, epoch: Int64) {
        contents.withLock { $0.splits.append((split, epoch)) }
        count.add(1, ordering: .releasing)
        wake()
    }

    func setNoMore(epoch: Int64) {
        contents.withLock { $0.noMoreSince = epoch }
        wake()
    }

    /// Takes the splits that were assigned in an epoch up to this one.
    func take(upTo epoch: Int64) -> [any Sendable] {
        if isEmpty { return [] }
        let splits = contents.withLock { contents in
            let taken = contents.splits.filter { $0.epoch <= epoch }.map(\.split)
            contents.splits.removeAll { $0.epoch <= epoch }
            return taken
        }
        count.subtract(splits.count, ordering: .releasing)
        return splits
    }

    /// Forgets everything: the subtask starts again.
    func reset() {
        let dropped = contents.withLock { contents in
            defer { contents = Contents() }
            return contents.splits.count
        }
        count.subtract(dropped, ordering: .releasing)
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

/// The link of one source subtask. Used from the task's thread; the inboxes it shares are locked.
final class LocalSourceLink: SourceLink {
    private let desk: SourceDesk
    private let subtask: Int
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
    /// Decisions of the enumerator up to this epoch may be taken.
    private var epoch: Int64
    let wake: @Sendable () -> Void

    init(
        _ desk: SourceDesk, subtask: Int, timers: TaskTimers, groups: AlignmentGroups, heldUp: ExecutionTask.HeldUp,
        epoch: Int64
    ) {
        self.desk = desk
        self.epoch = epoch
        self.subtask = subtask
        self.timers = timers
        self.groups = groups
        self.heldUp = heldUp
        wake = desk.inboxes[subtask].wake
        scheduleDiscovery()
    }

    private var inboxes: [SplitInbox] { desk.inboxes }
    private var coordinator: any SourceCoordinating { desk.coordinator }

    /// Has this task polled again when splits are to be looked for; whoever comes first does it.
    private func scheduleDiscovery() {
        if let time = desk.nextDiscovery { timers.schedule(at: time) {} }
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
        if desk.claimDiscovery(now: timers.now) { try coordinator.discover(carryOut) }
        let splits = inboxes[subtask].take(upTo: epoch)
        if !splits.isEmpty { hasBeenAssigned = true }
        if group != nil { taken += splits.compactMap { ($0 as? any AnyAssignedSplit)?.number } }
        if isBlind { leaveUnheard() }
        return splits
    }

    /// Puts a decision of the enumerator into effect; called under the coordinator's lock.
    private func carryOut(_ action: CoordinatorAction) {
        switch action {
        case .assign(let split, let subtask, let epoch):
            if let group, let split = split as? any AnyAssignedSplit {
                // The group waits for the split from now on, not only once its reader has taken it up.
                let member = AlignmentGroups.Member(node: desk.node, subtask: subtask, split: split.number)
                _ = groups.report(.none, of: member, in: group)
            }
            inboxes[subtask].add(split, epoch: epoch)
        case .noMoreSplits(let subtask, let epoch): inboxes[subtask].setNoMore(epoch: epoch)
        case .forget(let subtask): inboxes[subtask].reset()
        case .callAgain(let delay):
            desk.discover(at: timers.now + max(1, delay.wholeMilliseconds))
            scheduleDiscovery()
        }
    }

    func pass(_ barrier: CheckpointBarrier) {
        epoch = max(epoch, barrier.checkpoint)
        // What waited for the barrier may be taken now.
        if !inboxes[subtask].isEmpty { wake() }
    }

    var noMoreSplits: Bool {
        if !sawNoMore { sawNoMore = inboxes[subtask].isComplete(upTo: epoch) }
        return sawNoMore
    }

    var holdsBackEventTime: Bool {
        if sawNoMore { return false }
        return !inboxes[subtask].isEmpty || coordinator.holdsBackEventTime
    }

    // MARK: Alignment

    private func member(_ split: Int32) -> AlignmentGroups.Member {
        AlignmentGroups.Member(node: desk.node, subtask: subtask, split: split)
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
