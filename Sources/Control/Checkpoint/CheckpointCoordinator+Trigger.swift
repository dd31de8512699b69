// SPDX-License-Identifier: Apache-2.0
//  What is triggered when: requests in their order, stops, periodic checkpoints, the final one.

import ThalwegStorage

extension CheckpointCoordinator {
    mutating func accept(_ request: SnapshotRequest, _ actions: inout [CheckpointAction]) {
        if let known = answered.first(where: { $0.request == request.id }) {
            actions.append(.answer(request: request.id, known.outcome))
            return
        }
        let isWaiting =
            queue.contains { $0.id == request.id } || pending.contains { $0.request == request.id }
            || stop?.requests.contains(request.id) == true
        guard !isWaiting else { return }
        guard request.kind != .final else {
            return answer(request.id, .rejected(reason: "a final checkpoint is not for users to ask for"), &actions)
        }
        if let closed { return acceptLate(request, closed, &actions) }
        guard request.kind.isStop else {
            queue.append(request)
            return
        }
        guard let running = stop else {
            stop = StopProgress(kind: request.kind, requests: [request.id])
            queue.append(request)
            return
        }
        guard running.kind == request.kind else {
            let reason =
                "the job is already stopping (\(running.kind.rawValue)); \(request.kind.rawValue) came too late"
            return answer(request.id, .rejected(reason: reason), &actions)
        }
        stop?.requests.append(request.id)
    }

    /// After the stop or the final checkpoint is durable: a stop still shares its result, nothing else begins.
    private mutating func acceptLate(
        _ request: SnapshotRequest, _ reason: String, _ actions: inout [CheckpointAction]
    ) {
        guard request.kind.isStop, let stop, stop.kind == request.kind, stop.stage == .committing else {
            return answer(request.id, .rejected(reason: reason), &actions)
        }
        self.stop?.requests.append(request.id)
    }

    mutating func answer(_ request: Int64, _ outcome: SnapshotOutcome, _ actions: inout [CheckpointAction]) {
        answered.append((request, outcome))
        if answered.count > Self.answeredMax { answered.removeFirst() }
        actions.append(.answer(request: request, outcome))
    }

    mutating func rejectQueue(_ actions: inout [CheckpointAction]) {
        let reason = closed ?? "the job has ended"
        for request in queue { answer(request.id, .rejected(reason: reason), &actions) }
        queue = []
    }

    /// Whether barriers can flow at all.
    private var canTrigger: Bool {
        hasStarted && !tasks.isEmpty && restarting.isEmpty && closed == nil && !isFinalDue
            && stop?.stage != .underWay && stop?.stage != .committing
            && !pending.contains { $0.kind == .final } && pending.count < settings.concurrentMax
    }

    /// When the next periodic checkpoint may begin; nil while something else has to happen first.
    var periodicTime: Int64? {
        guard canTrigger, queue.isEmpty, stop == nil, let nextPeriodic else { return nil }
        guard settings.minimumPause > 0 else { return nextPeriodic }
        guard pending.isEmpty else { return nil }
        return lastEnd.map { max(nextPeriodic, $0 + settings.minimumPause) } ?? nextPeriodic
    }

    mutating func triggerWhatIsDue(now: Int64, _ actions: inout [CheckpointAction]) {
        if isFinalDue { beginFinal(now: now, &actions) }
        while let next = queue.first, canTrigger {
            // A stop waits for what is under way: exactly one snapshot is the last one.
            guard !next.kind.isStop || pending.isEmpty else { return }
            queue.removeFirst()
            begin(next.kind, request: next.id, now: now, &actions)
        }
        guard let time = periodicTime, time <= now, let interval = settings.interval else { return }
        let scheduled = (nextPeriodic ?? now) + interval
        // Missed turns are not made up for: a burst of checkpoints helps nobody.
        nextPeriodic = scheduled > now ? scheduled : now + interval
        begin(.checkpoint, request: nil, now: now, &actions)
    }

    private mutating func begin(
        _ kind: SnapshotKind, request: Int64?, now: Int64, _ actions: inout [CheckpointAction]
    ) {
        let id = nextID
        nextID += 1
        let (deadline, overflows) = now.addingReportingOverflow(settings.timeout)
        pending.append(
            PendingCheckpoint(
                id: id, kind: kind, request: request, deadline: overflows ? .max : deadline,
                missing: tasks.subtracting(finished)))
        if kind.isStop {
            stop?.stage = .underWay
            stop?.checkpoint = id
        }
        let timeout = kind == .checkpoint ? settings.alignmentTimeout : nil
        actions.append(.trigger(checkpoint: id, kind: kind, alignmentTimeout: timeout))
    }

    /// Every task has finished: what they left is the last state, whatever the interval. A stop that waits shares its
    /// result; savepoints that wait come too late.
    private mutating func beginFinal(now: Int64, _ actions: inout [CheckpointAction]) {
        guard pending.isEmpty, restarting.isEmpty, closed == nil else { return }
        isFinalDue = false
        let waiting = queue.filter { !$0.kind.isStop }
        queue = []
        for request in waiting { answer(request.id, .rejected(reason: "every task has finished"), &actions) }
        let id = nextID
        nextID += 1
        pending.append(
            PendingCheckpoint(id: id, kind: .final, request: nil, deadline: .max, missing: [], stage: .writing))
        actions.append(.complete(checkpoint: id, kind: .final, tasks: tasks.sorted()))
    }
}
