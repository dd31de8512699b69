// SPDX-License-Identifier: Apache-2.0
//  Ties one source subtask to the coordinator in the same process.

import ThalwegBase
import ThalwegGraph
import ThalwegOperator

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
    /// The splits that the reader has and has not finished, by number.
    private var open: [Int32: String] = [:]
    private var openMax = Int.max
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

    func limit(openSplits count: Int) {
        // A group waits for every one of its splits: none may wait for another to be read.
        guard group == nil, count < .max else { return }
        openMax = max(1, count)
        inboxes[subtask].share()
    }

    /// Whether splits wait with readers that have others to read: this one may get them yet.
    private var mayGetOthers: Bool { openMax < .max && inboxes.contains { $0.isShared } }

    func takeAssigned() throws -> [any AnyAssignedSplit] {
        // Whoever comes first runs the enumerator's start and from then on its periodic discovery.
        if !isStarted {
            isStarted = true
            try coordinator.start(carryOut)
            // Those without a split no longer hold back event time.
            for inbox in inboxes { inbox.wake() }
        }
        if desk.claimDiscovery(now: timers.now) {
            do { try coordinator.discover(carryOut) } catch {
                // Whoever comes when that is due looks again, this subtask's next attempt among others.
                desk.discoverAgain(now: timers.now)
                throw error
            }
        }
        var (splits, isSpare) = inboxes[subtask].take(upTo: epoch, max: max(0, openMax - open.count))
        if openMax < .max {
            if splits.isEmpty && open.isEmpty && !sawNoMore, let split = takeFromOthers() { splits = [split] }
            // Others can take what has become spare, or learn that nothing is left.
            if !splits.isEmpty || isSpare { wakeOthers() }
        }
        if splits.isEmpty { return [] }
        hasBeenAssigned = true
        for split in splits { open[split.number] = split.id }
        if group != nil { taken += splits.map(\.number) }
        if isBlind { leaveUnheard() }
        return splits
    }

    /// A split that waits with the reader that has most of them waiting (27.d5).
    private func takeFromOthers() -> (any AnyAssignedSplit)? {
        let spare = inboxes.indices.filter { $0 != subtask && inboxes[$0].isShared }
            .map { (owner: $0, count: inboxes[$0].spareCount) }
        for (owner, _) in spare.filter({ $0.count > 0 }).sorted(by: { ($1.count, $0.owner) < ($0.count, $1.owner) }) {
            let split = coordinator.handOver(from: owner, to: subtask) { inboxes[owner].takeSpare(upTo: epoch) }
            if let split { return split }
        }
        return nil
    }

    private func wakeOthers() { for (other, inbox) in inboxes.enumerated() where other != subtask { inbox.wake() } }

    func finished(split: Int32) throws {
        guard let id = open.removeValue(forKey: split) else { return }
        try coordinator.finished(id, by: subtask)
    }

    /// Puts a decision of the enumerator into effect; called under the coordinator's lock.
    private func carryOut(_ action: CoordinatorAction) {
        switch action {
        case .assign(let split, let subtask, let epoch):
            if let group {
                // The group waits for the split from now on, not only once its reader has taken it up.
                let member = AlignmentGroups.Member(node: desk.node, subtask: subtask, split: split.number)
                _ = groups.report(.none, of: member, in: group)
            }
            inboxes[subtask].add(split, epoch: epoch)
        case .noMoreSplits(let subtask, let epoch): inboxes[subtask].setNoMore(epoch: epoch)
        case .forget(let subtask): desk.forget(subtask)
        case .callAgain(let delay):
            desk.discover(after: delay, now: timers.now)
            scheduleDiscovery()
        }
    }

    func pass(
        _ barrier: CheckpointBarrier, holding splits: [String], isFinal: Bool
    ) throws -> [any AnyAssignedSplit] {
        let inbox = inboxes[subtask]
        var waiting: [any AnyAssignedSplit] = []
        if isFinal {
            coordinator.ended(subtask) {
                waiting = inbox.waiting(upTo: epoch)
                let left = splits + waiting.map(\.id)
                return (left, inbox.close().filter { !left.contains($0.id) })
            }
        } else {
            coordinator.passed(barrier.checkpoint, by: subtask) {
                waiting = inbox.waiting(upTo: epoch)
                return splits + waiting.map(\.id)
            }
            epoch = max(epoch, barrier.checkpoint)
        }
        // What waited for the barrier may be taken now, here or by others.
        if !inbox.isEmpty { wake() }
        if mayGetOthers || isFinal { wakeOthers() }
        return waiting
    }

    var noMoreSplits: Bool {
        if !sawNoMore { sawNoMore = inboxes[subtask].isComplete(upTo: epoch) && !mayGetOthers }
        return sawNoMore
    }

    var holdsBackEventTime: Bool {
        if sawNoMore { return false }
        return !inboxes[subtask].isEmpty || mayGetOthers || coordinator.holdsBackEventTime
    }

    // MARK: Alignment

    private func member(_ split: Int32) -> AlignmentGroups.Member {
        AlignmentGroups.Member(node: desk.node, subtask: subtask, split: split)
    }

    func align(group: String, drift: Duration) {
        self.group = group
        groups.join(
            group, drift: drift, as: AlignmentGroups.Seat(node: desk.node, subtask: subtask), wake: wake)
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
