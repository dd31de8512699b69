// SPDX-License-Identifier: Apache-2.0
//  What ties the subtasks of a source to its coordinator.

import Synchronization
import ThalwegBase
import ThalwegGraph

/// What the subtasks of one source share in this process; outlives their attempts.
final class SourceDesk: Sendable {
    let node: Int
    let coordinator: any SourceCoordinating
    let inboxes: [SplitInbox]
    private let discoveryTime = Atomic<Int64>(.max)
    /// What the enumerator asked for last, in milliseconds.
    private let discoveryDelay = Atomic<Int64>(1)

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

    func discover(after delay: Duration, now: Int64) {
        discoveryDelay.store(max(1, delay.wholeMilliseconds), ordering: .relaxed)
        discoverAgain(now: now)
    }

    /// Has splits looked for once more, after as long as the last time: nobody else would ask, as the enumerator has
    /// thrown.
    func discoverAgain(now: Int64) {
        let (time, overflows) = now.addingReportingOverflow(discoveryDelay.load(ordering: .relaxed))
        discoveryTime.store(overflows ? .max : time, ordering: .releasing)
    }

    /// Whether the caller is the one to have splits looked for now.
    func claimDiscovery(now: Int64) -> Bool {
        let time = discoveryTime.load(ordering: .acquiring)
        guard time <= now else { return false }
        return discoveryTime.compareExchange(expected: time, desired: .max, ordering: .acquiringAndReleasing).exchanged
    }

    /// A checkpoint will not complete: splits may move again that its barriers held.
    func abort(checkpoint: Int64) {
        coordinator.abort(checkpoint: checkpoint)
        for inbox in inboxes { inbox.wake() }
    }

    func forget(_ subtask: Int) {
        inboxes[subtask].reset()
        // Who waited for splits of this one gets none any more.
        for inbox in inboxes { inbox.wake() }
    }

    /// Takes up a decision made outside of any subtask.
    func carryOut(_ action: CoordinatorAction, now: Int64) {
        switch action {
        case .assign(let split, let subtask, let epoch): inboxes[subtask].add(split, epoch: epoch)
        case .noMoreSplits(let subtask, let epoch): inboxes[subtask].setNoMore(epoch: epoch)
        case .forget(let subtask): forget(subtask)
        case .callAgain(let delay):
            discover(after: delay, now: now)
            for inbox in inboxes { inbox.wake() }
        }
    }
}
