// SPDX-License-Identifier: Apache-2.0
//  From barrier to commit: what becomes of the checkpoints under way.

import ThalwegStorage

extension CheckpointCoordinator {
    mutating func start(_ all: [TaskID], now: Int64) {
        guard !hasStarted else { return }
        hasStarted = true
        tasks = Set(all)
        nextPeriodic = settings.interval.map { now + $0 }
    }

    mutating func acknowledge(_ checkpoint: Int64, _ task: TaskID, _ actions: inout [CheckpointAction]) {
        guard let index = pending.firstIndex(where: { $0.id == checkpoint }) else {
            if aborted.contains(checkpoint) { actions.append(.discard(checkpoint: checkpoint)) }
            return
        }
        pending[index].missing.remove(task)
        completeIfWhole(checkpoint, &actions)
    }

    mutating func finish(_ task: TaskID, _ actions: inout [CheckpointAction]) {
        guard tasks.contains(task), !restarting.contains(task), finished.insert(task).inserted else { return }
        for id in pending.map(\.id) {
            if let index = pending.firstIndex(where: { $0.id == id }) { pending[index].missing.remove(task) }
            completeIfWhole(id, &actions)
        }
        if finished.count == tasks.count, stop?.stage != .committing, closed == nil { isFinalDue = true }
    }

    private mutating func completeIfWhole(_ checkpoint: Int64, _ actions: inout [CheckpointAction]) {
        guard let index = pending.firstIndex(where: { $0.id == checkpoint }),
            pending[index].stage == .collecting, pending[index].missing.isEmpty
        else { return }
        pending[index].stage = .writing
        actions.append(.complete(checkpoint: checkpoint, kind: pending[index].kind, tasks: tasks.sorted()))
    }

    mutating func metadataWritten(_ checkpoint: Int64, now: Int64, _ actions: inout [CheckpointAction]) {
        guard let done = take(checkpoint, stage: .writing) else { return }
        lastEnd = now
        if done.kind == .checkpoint || done.kind == .final { failuresInRow = 0 }
        // Barriers never overtake each other, so an older checkpoint still under way only serves nobody any more.
        for older in pending where older.id < checkpoint && older.kind == .checkpoint && older.stage == .collecting {
            abort(older, "checkpoint \(checkpoint) completed first", &actions)
        }
        guard done.kind != .savepoint, !hasEnded else {
            // A savepoint has no side effects: the next checkpoint commits. After a cancel nothing is committed.
            if let request = done.request, !done.kind.isStop {
                answer(request, .completed(checkpoint: checkpoint), &actions)
            }
            return
        }
        latest = max(latest ?? checkpoint, checkpoint)
        if done.kind.isStop {
            stop?.stage = .committing
            isFinalDue = false
            guard restarting.isEmpty else {
                return failCommit(checkpoint, "a task failed before it was committed", &actions)
            }
        }
        actions.append(.commit(checkpoint: checkpoint))
        if done.kind == .final { completeFinal(checkpoint, &actions) }
        if let request = done.request, !done.kind.isStop {
            answer(request, .completed(checkpoint: checkpoint), &actions)
        }
        retained.append(checkpoint)
        retained.sort()
        while retained.count > settings.retained { actions.append(.release(checkpoint: retained.removeFirst())) }
    }

    private mutating func completeFinal(_ checkpoint: Int64, _ actions: inout [CheckpointAction]) {
        // Tasks that restart meanwhile finish once more, and another final checkpoint follows.
        guard restarting.isEmpty else { return queueStopAgain() }
        uncommittedFinal = checkpoint
        closed = "every task has finished"
        stop?.stage = .committing
        stop?.checkpoint = checkpoint
        queue.removeAll { $0.kind.isStop }
        rejectQueue(&actions)
    }

    /// A stop that was to share the result of a final checkpoint has to look for another one.
    private mutating func queueStopAgain() {
        guard var waiting = stop, let first = waiting.requests.first else { return }
        waiting.stage = .waiting
        waiting.checkpoint = nil
        stop = waiting
        if !queue.contains(where: { $0.id == first }) {
            queue.insert(SnapshotRequest(id: first, kind: waiting.kind), at: 0)
        }
    }

    mutating func committed(_ checkpoint: Int64, _ actions: inout [CheckpointAction]) {
        if uncommittedFinal == checkpoint { uncommittedFinal = nil }
        guard let stop, stop.checkpoint == checkpoint, stop.stage == .committing else { return }
        closed = "the job has stopped with checkpoint \(checkpoint)"
        for request in stop.requests { answer(request, .completed(checkpoint: checkpoint), &actions) }
        self.stop = nil
        rejectQueue(&actions)
    }

    /// A checkpoint under way has failed by itself.
    mutating func fail(
        _ checkpoint: Int64, stage: PendingCheckpoint.Stage, _ reason: String, now: Int64,
        _ actions: inout [CheckpointAction]
    ) {
        guard let failed = take(checkpoint, stage: stage) else { return }
        lastEnd = now
        end(failed, reason, &actions)
        if failed.kind == .final {
            isFinalDue = finished.count == tasks.count && !hasEnded
            queueStopAgain()
        }
        guard failed.kind == .checkpoint || failed.kind == .final, closed == nil else { return }
        failuresInRow += 1
        guard failuresInRow > settings.toleratedFailures else { return }
        let count = failuresInRow
        failuresInRow = 0
        isFinalDue = false
        let text = "\(count) checkpoints in a row failed, \(settings.toleratedFailures) are tolerated; the last one, "
        actions.append(.failJob(reason: text + "\(checkpoint): \(reason)", isFinal: false))
    }

    mutating func expire(now: Int64, _ actions: inout [CheckpointAction]) {
        // What is being written has no deadline: giving up on metadata that may be there would repeat its output.
        for late in pending where late.stage == .collecting && late.deadline <= now {
            let waiting = late.missing.min().map { "\($0)" } ?? "no task"
            let reason = "timed out after \(settings.timeout) ms, \(late.missing.count) tasks missing, first \(waiting)"
            fail(late.id, stage: .collecting, reason, now: now, &actions)
        }
    }

    mutating func restart(_ failed: [TaskID], now: Int64, _ actions: inout [CheckpointAction]) {
        let known = tasks.intersection(failed)
        guard let first = known.min() else { return }
        restarting.formUnion(known)
        nextID = max(nextID, reserved + 1)
        finished.subtract(known)
        isFinalDue = false
        for lost in pending where lost.stage == .collecting {
            lastEnd = now
            abort(lost, "\(first) failed", &actions)
        }
        if uncommittedFinal != nil {
            uncommittedFinal = nil
            closed = nil
            queueStopAgain()
        } else if let stop, stop.stage == .committing, let checkpoint = stop.checkpoint {
            failCommit(checkpoint, "\(first) failed before it was committed", &actions)
        }
    }

    /// The snapshot of a stop is durable, its output perhaps not committed: restarting from an older checkpoint would
    /// repeat output, so the job ends and names the snapshot (FLIP-45 b8).
    private mutating func failCommit(_ checkpoint: Int64, _ reason: String, _ actions: inout [CheckpointAction]) {
        let text = "stopped with checkpoint \(checkpoint), but \(reason): output may be uncommitted; "
        let advice = "start with --from latest to commit it"
        for request in stop?.requests ?? [] { answer(request, .failed(reason: text + advice), &actions) }
        stop = nil
        closed = "the job failed while stopping"
        actions.append(.failJob(reason: text + advice, isFinal: true))
        rejectQueue(&actions)
    }

    mutating func end(_ reason: String, _ actions: inout [CheckpointAction]) {
        guard !hasEnded else { return }
        hasEnded = true
        closed = closed ?? reason
        isFinalDue = false
        for lost in pending where lost.stage == .collecting { abort(lost, reason, &actions) }
        if let stop {
            let durable = stop.stage == .committing ? stop.checkpoint : nil
            let advice =
                durable.map { "; checkpoint \($0) is durable, start with --from latest to commit its output" } ?? ""
            for request in stop.requests { answer(request, .failed(reason: reason + advice), &actions) }
        }
        queue.removeAll { request in answered.contains { $0.request == request.id } }
        stop = nil
        rejectQueue(&actions)
    }

    private mutating func take(_ checkpoint: Int64, stage: PendingCheckpoint.Stage) -> PendingCheckpoint? {
        guard let index = pending.firstIndex(where: { $0.id == checkpoint && $0.stage == stage }) else { return nil }
        return pending.remove(at: index)
    }

    private mutating func abort(_ lost: PendingCheckpoint, _ reason: String, _ actions: inout [CheckpointAction]) {
        guard let lost = take(lost.id, stage: lost.stage) else { return }
        end(lost, reason, &actions)
    }

    private mutating func end(_ lost: PendingCheckpoint, _ reason: String, _ actions: inout [CheckpointAction]) {
        aborted.append(lost.id)
        if aborted.count > Self.abortedMax { aborted.removeFirst(aborted.count - Self.abortedMax) }
        actions.append(.abort(checkpoint: lost.id, reason: reason))
        let outcome = SnapshotOutcome.failed(reason: "checkpoint \(lost.id) failed: \(reason)")
        if lost.kind.isStop, let stop {
            for request in stop.requests { answer(request, outcome, &actions) }
            self.stop = nil
        } else if let request = lost.request {
            answer(request, outcome, &actions)
        }
    }
}
