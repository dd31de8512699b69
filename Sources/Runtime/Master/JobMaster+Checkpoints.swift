// SPDX-License-Identifier: Apache-2.0
//  Checkpoints as the master carries them out: trigger, metadata, commit, clean-up.

import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator
import ThalwegStorage

extension JobMaster {
    /// Does what the checkpoint coordinator has decided.
    func carryOut(_ actions: [CheckpointAction]) {
        for action in actions {
            switch action {
            case .trigger(let checkpoint, let kind, let timeout): trigger(checkpoint, kind, timeout)
            case .complete(let checkpoint, let kind, _): complete(checkpoint, kind)
            case .commit(let checkpoint): commit(checkpoint)
            case .abort(let checkpoint, _):
                job.abort(checkpoint: checkpoint)
                for desk in desks.values { desk.abort(checkpoint: checkpoint) }
                job.checkpoints.failed.add(1)
                forget(checkpoint)
                endedBefore[checkpoint] = nil
                let wasSuspend = triggers.removeValue(forKey: checkpoint)?.kind == .suspend
                remove(checkpoint)
                if wasSuspend { for entry in entries.values { entry.mailbox.send(.resume) } }
            case .discard(let checkpoint):
                forget(checkpoint)
                remove(checkpoint)
            case .release(let checkpoint): remove(checkpoint, isOver: true)
            case .answer(let request, let outcome): answer(request, outcome)
            case .failJob(let reason, let isFinal): failJob(reason, isFinal: isFinal)
            case .wake: break
            }
        }
    }

    private func forget(_ checkpoint: Int64) {
        files[checkpoint] = nil
        digests[checkpoint] = nil
    }

    /// - Parameter isOver: whether it was complete, and newer ones have taken its place.
    private func remove(_ checkpoint: Int64, isOver: Bool = false) {
        guard let store = job.store else { return }
        let (job, ledger) = (job, sourceFiles)
        job.background.submit {
            ledger.forget(checkpoint)
            // Who holds which file is asked for only then: the word of it may be on its way to the master.
            let (released, kept) = (job.leases.takeReleased(), job.leases.paths)
            let left =
                isOver
                ? try? store.release(checkpoint: checkpoint, released: released, keeping: kept)
                : try? store.discard(checkpoint: checkpoint, released: released, keeping: kept)
            job.leases.remain(left ?? released)
        }
    }

    // MARK: Trigger

    private func trigger(_ checkpoint: Int64, _ kind: SnapshotKind, _ timeout: Int64?) {
        job.begin(checkpoint: checkpoint)
        let barrier = CheckpointBarrier(
            checkpoint: checkpoint, kind: kind, time: clock.now, alignmentTimeout: timeout)
        triggers[checkpoint] = barrier
        do {
            try snapshotSources(checkpoint)
        } catch {
            return end(.failure(error))
        }
        if kind == .drain { drainSources() } else { tellSources(.trigger(barrier)) }
    }

    private func tellSources(_ command: TaskCommand) {
        for id in graph.taskIDs where desks.keys.contains(where: { graph.vertexOf[$0] == Int(id.vertex) }) {
            guard let entry = entries[id], entry.state == .running else { continue }
            entry.mailbox.send(command)
        }
    }

    private func drainSources() {
        isDraining = true
        tellSources(.drain)
    }

    /// Freezes what the enumerators have not assigned yet, before any barrier is sent (27.b20).
    private func snapshotSources(_ checkpoint: Int64) throws {
        guard let store = job.store else { return }
        let job = job
        let ledger = sourceFiles
        for (node, desk) in desks.sorted(by: { $0.key < $1.key }) {
            let parts = try desk.coordinator.snapshot(checkpoint: checkpoint)
            let (name, subtask) = (graph.streamGraph.nodes[node].name, graph.parallelism(of: node))
            job.background.submit {
                let result = Result {
                    try store.writeSegment(
                        checkpoint: checkpoint, name: "\(name)-enumerator", operators: [name], subtask: subtask,
                        parts: parts, isCancelled: { job.isUnwanted(checkpoint, isFinal: false) })
                }
                ledger.add(result, to: checkpoint)
            }
        }
    }

    // MARK: Completion

    private func complete(_ checkpoint: Int64, _ kind: SnapshotKind) {
        guard let store = job.store else { return }
        if triggers[checkpoint] == nil {
            // The final checkpoint: no barrier was needed.
            job.begin(checkpoint: checkpoint)
            do { try snapshotSources(checkpoint) } catch { return end(.failure(error)) }
        }
        let parts = files.removeValue(forKey: checkpoint) ?? [:]
        let ended = entries.filter { $0.value.state == .finished && parts[$0.key] == nil }
        endedBefore[checkpoint] = Set(ended.keys)
        let newestNumber = ended.values.map(\.finalNumber).max() ?? checkpoint
        let known = digests.removeValue(forKey: checkpoint) ?? [:]
        let taskDigests = graph.taskIDs.flatMap { known[$0] ?? entries[$0]?.finalDigests ?? [] }
        // What differs once would differ after a restart again: the job ends.
        if let divergence = StateDigest.divergence(taskDigests) { return end(.failure(divergence)) }
        // Nor does it help to go back when a source has lost count of its splits.
        do { try verifySplits(checkpoint) } catch { return end(.failure(error)) }
        let taskFiles = graph.taskIDs.flatMap { parts[$0] ?? entries[$0]?.finalFiles ?? [] }
        let time = clock.now
        let operators = graph.streamGraph.nodes.map {
            SnapshotMetadata.Operator(name: $0.name, parallelism: graph.parallelism(of: $0.id))
        }
        let (job, ledger, maxParallelism) = (job, sourceFiles, graph.maxParallelism)
        let plan = snapshotPlanText()
        failover.writing.insert(checkpoint)
        job.background.submit {
            do {
                let all = taskFiles.map(\.file) + (try ledger.take(checkpoint))
                var metadata = SnapshotMetadata(
                    checkpoint: checkpoint, kind: kind.rawValue, timeMilliseconds: time, jobName: job.jobName,
                    maxParallelism: maxParallelism, operators: operators, files: all,
                    properties: plan.map { [SnapshotPlan.propertyName: $0] } ?? [:])
                metadata.note(newestNumber: newestNumber)
                try Self.write(metadata, to: store)
                job.checkpoints.lastBytes.set(all.reduce(0) { $0 + Int($1.byteCount) })
                job.post(.written(checkpoint))
            } catch let doubt as InDoubt {
                job.abort(doubt.error(store.path(of: checkpoint)))
            } catch {
                job.post(.notWritten(checkpoint, error))
            }
        }
    }

    /// Writes the metadata; what has thrown may be complete all the same.
    private static func write(_ metadata: SnapshotMetadata, to store: CheckpointStore) throws {
        do { try store.complete(metadata) } catch {
            let isComplete: Bool
            do { isComplete = try store.isComplete(afterErrorOf: metadata) } catch let doubt {
                throw InDoubt(cause: error, doubt: doubt)
            }
            if !isComplete { throw error }
        }
    }

    /// Nobody can say whether a checkpoint is complete: the job must neither commit it nor go back behind it.
    private struct InDoubt: Error {
        let cause: any Error
        let doubt: any Error

        func error(_ path: String) -> ThalwegError {
            ThalwegError(
                .task, "a checkpoint may be complete or not: the disk does not say", detail: "\(path): \(doubt)",
                hint: "mend the disk, then start with --from latest", cause: cause)
        }
    }

    /// The job as its snapshots describe it; nil when that would be too long.
    private func snapshotPlanText() -> String? {
        if let planText { return planText }
        let text = (try? declarations())?.snapshotPlan.text
        planText = .some(text)
        return text
    }

    /// Has every source see to it that each of its splits is in the checkpoint once (27.d2).
    private func verifySplits(_ checkpoint: Int64) throws(ThalwegError) {
        for (_, desk) in desks.sorted(by: { $0.key < $1.key }) { try desk.coordinator.verify(checkpoint: checkpoint) }
    }

    /// Makes the output up to a checkpoint visible, in the order in which it was prepared.
    private func commit(_ checkpoint: Int64) {
        failover.durable = max(failover.durable ?? 0, checkpoint)
        for desk in desks.values { desk.coordinator.settle(checkpoint: checkpoint) }
        // The last output of a task that has ended since it took part in this checkpoint belongs to a later one.
        let ended = endedBefore[checkpoint] ?? []
        endedBefore = endedBefore.filter { $0.key > checkpoint }
        var steps: [SinkCommit] = []
        for entry in uncommitted where entry.checkpoint <= checkpoint || ended.contains(entry.task) {
            steps += entry.commits
        }
        uncommitted.removeAll { $0.checkpoint <= checkpoint || ended.contains($0.task) }
        let (job, chosen) = (job, steps)
        job.background.submit {
            // All are tried: what lives in this process only is in no checkpoint, and nobody would do it later.
            var (failure, isCancelled): ((any Error)?, Bool) = (nil, false)
            for step in chosen {
                // After a cancel, what is in the checkpoint stays prepared: a start from that publishes it (45.d5).
                if step.isInCheckpoint && job.isCancelled {
                    isCancelled = true
                    continue
                }
                do { try step.commit() } catch { failure = failure ?? error }
            }
            if isCancelled && failure == nil { return }
            job.post(failure.map { .notCommitted(checkpoint, $0) } ?? .committed(checkpoint))
        }
    }

    func handleCheckpoint(_ event: MasterEvent) {
        let now = clock.now
        switch event {
        case .written(let checkpoint):
            failover.writing.remove(checkpoint)
            failover.newestWritten = max(failover.newestWritten ?? 0, checkpoint)
            if triggers[checkpoint]?.kind == .savepoint { triggers[checkpoint] = nil }
            carryOut(coordinator.handle(.metadataWritten(checkpoint: checkpoint), now: now))
        case .notWritten(let checkpoint, let error):
            failover.writing.remove(checkpoint)
            let reason = (error as? ThalwegError)?.description ?? String(describing: error)
            carryOut(coordinator.handle(.metadataFailed(checkpoint: checkpoint, reason: reason), now: now))
        case .committed(let checkpoint): committed(checkpoint)
        case .notCommitted(let checkpoint, let error): notCommitted(checkpoint, error)
        case .wish(let wish):
            guard job.store != nil || wish.kind == .drain else {
                let error = ThalwegError(
                    .job, "the job keeps no checkpoints", hint: "start it with --checkpoint-dir DIR, or cancel it")
                return wish.answer(.failure(error))
            }
            wishes[wish.id] = wish
            if job.store == nil { return drainSources() }
            carryOut(coordinator.handle(.trigger(request: wish.id, kind: wish.kind), now: now))
        default: break
        }
    }

    private func committed(_ checkpoint: Int64) {
        let barrier = triggers.removeValue(forKey: checkpoint)
        job.checkpoints.completed.add(1)
        if let barrier {
            job.checkpoints.lastDurationMillis.set(Int(clock.now - barrier.time))
            job.checkpoints.durationMillisSum.add(Int(clock.now - barrier.time))
        }
        for entry in entries.values where entry.state == .running { entry.mailbox.send(.completed(checkpoint)) }
        let isOver = entries.values.allSatisfy { $0.state == .finished }
        let kind: SnapshotKind = barrier?.kind ?? (isDraining ? .drain : isOver ? .final : .checkpoint)
        lastReport = SnapshotReport(
            checkpoint: checkpoint, kind: kind, path: job.store?.path(of: checkpoint))
        let count = settings.checkpoints?.settings.retained ?? 1
        if tidiedCount < count, let store = job.store {
            tidiedCount += 1
            // Those of this run are removed as newer ones take their place, those of earlier ones here.
            job.background.submit {
                try? store.retain(newest: count)
                try? store.removeClaimed()
            }
        }
        carryOut(coordinator.handle(.committed(checkpoint: checkpoint), now: clock.now))
        guard let report = lastReport else { return }
        if job.store == nil {
            for wish in wishes.values { wish.answer(.success(report)) }
            wishes = [:]
        }
        switch kind {
        case .suspend:
            ending = .success(.stopped(report))
            deadline = cancellationDeadline
            for (id, entry) in entries where entry.state == .running {
                entries[id]?.state = .closing
                entry.mailbox.send(.leave)
            }
        case .drain: ending = .success(.stopped(report))
        case .final: ending = .success(.finished(report))
        case .checkpoint, .savepoint: break
        }
    }

    private func notCommitted(_ checkpoint: Int64, _ error: any Error) {
        let path = job.store?.path(of: checkpoint)
        // A newer checkpoint may have been written meanwhile, which has this output too: only `latest` always works.
        let isLast = triggers[checkpoint]?.kind.isStop == true || entries.values.allSatisfy { $0.state == .finished }
        let failure = ThalwegError(
            .task, "the output of a checkpoint could not be published",
            detail: "checkpoint \(checkpoint)" + (path.map { " in \($0)" } ?? ""),
            hint: path == nil
                ? "mend the cause and run the job again"
                : "mend the cause and start with --from latest: that publishes it", cause: error)
        if isLast { end(.failure(failure)) } else { jobFailed(failure) }
    }

    /// Without checkpoints: everything is published when every task has finished.
    func publishIfFinished() {
        guard ending == nil, entries.values.allSatisfy({ $0.state == .finished }) else { return }
        let steps = uncommitted.flatMap(\.commits)
        uncommitted = []
        let job = job
        // A ledger, for its account of what was published when a step fails.
        let ledger = CommitLedger()
        ledger.add(steps)
        job.background.submit {
            guard job.beginsPublishing() else {
                for step in steps { step.abort() }
                return
            }
            do {
                try ledger.commitAll()
                job.post(.committed(0))
            } catch {
                job.post(.notCommitted(0, error))
            }
        }
    }

    private func answer(_ request: Int64, _ outcome: SnapshotOutcome) {
        guard let wish = wishes.removeValue(forKey: request) else { return }
        switch outcome {
        case .completed(let checkpoint):
            wish.answer(
                .success(
                    SnapshotReport(
                        checkpoint: checkpoint, kind: wish.kind, path: job.store?.path(of: checkpoint))))
        case .failed(let reason):
            wish.answer(.failure(ThalwegError(.retry, "no snapshot was taken", detail: reason)))
        case .rejected where ending != nil: wish.answer(.failure(JobExecution.hasEnded))
        case .rejected(let reason):
            wish.answer(.failure(ThalwegError(.job, "no snapshot was tried", detail: reason)))
        }
    }
}
