// SPDX-License-Identifier: Apache-2.0
//  What happens when a task fails (FLIP-1).

import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator
import ThalwegStorage

/// What the master remembers for restarts.
struct FailoverState {
    /// The restart of some tasks, decided and not yet carried out.
    struct Pending {
        var tasks: [TaskID]
        var time: Int64
        let since: Int64
        let cause: String
        /// The task that the failure is counted against.
        let failed: TaskID
        /// When tasks that have not come to rest are waited for no more; nil: never.
        let deadline: Int64?
        /// Whether an answer of the background is awaited.
        var isFenced = false
        /// How often the background has answered since the tasks came to rest.
        var fencesPassed = 0
    }

    let regions: FailoverRegions
    var restarts: RestartState
    /// The newest checkpoint of this run whose metadata is on the disk.
    var durable: Int64?
    /// The newest snapshot of this run on the disk, savepoints too.
    var newestWritten: Int64?
    /// Snapshots whose metadata is being written: they may be on the disk or not.
    var writing: Set<Int64> = []
    /// The snapshot that the job was started from.
    var initial: Snapshot?
    /// By region; -1 is the whole job.
    var pending: [Int: Pending] = [:]
    /// Whether an enumerator threw while splits were given back to it: only its state in a checkpoint has all of them.
    var hasLostSplits = false

    init(_ graph: JobGraph, _ settings: ExecutionSettings) throws {
        regions = FailoverRegions(try graph.failoverGraph)
        let standard: RestartStrategy = settings.checkpoints == nil ? .none : .standard
        restarts = RestartState(
            strategy: settings.restart ?? standard, failuresPerTaskMax: settings.failuresPerTaskMax,
            seed: settings.seed)
    }
}

extension JobGraph {
    /// The graph as failover sees it: every exchange loses what it has sent.
    var failoverGraph: FailoverGraph {
        get throws {
            var edges: [FailoverGraph.Edge] = []
            for node in streamGraph.nodes {
                for edge in node.inputs where !isChained(edge, into: node.id) {
                    let pattern: FailoverGraph.Pattern =
                        switch partitioning(of: edge, into: node.id) {
                        case .forward: .oneToOne
                        case .rescale: .rescale
                        case .hash, .rebalance, .broadcast, .global: .allToAll
                        }
                    edges.append(FailoverGraph.Edge(from: vertexOf[edge.source], to: vertexOf[node.id], pattern))
                }
            }
            return try FailoverGraph(parallelism: vertices.map(\.parallelism), edges: edges)
        }
    }
}

extension JobMaster {
    private static let wholeJob = -1

    /// A task has thrown and is closed.
    func taskFailed(_ task: TaskID, _ error: any Error) {
        entries[task]?.state = .closed
        guard ending == nil else { return }
        restart(failover.regions.region(of: task) ?? Self.wholeJob, because: error, in: task)
    }

    /// Something has failed that is no single task's fault.
    func jobFailed(_ error: any Error) {
        guard ending == nil else { return }
        restart(Self.wholeJob, because: error, in: graph.taskIDs[0])
    }

    /// What the checkpoint coordinator takes for a failure of the job.
    func failJob(_ reason: String, isFinal: Bool) {
        let error = ThalwegError(
            .task, "the job's checkpoints fail", detail: reason,
            hint: "mend what the last one failed for, or start the job without checkpoints")
        if isFinal { end(.failure(error)) } else { jobFailed(error) }
    }

    private func restart(_ region: Int, because error: any Error, in task: TaskID) {
        let now = clock.now
        // Sources that were drained have told their consumers of the end: only all of the job can go back behind that.
        let region = isDraining ? Self.wholeJob : region
        let reason = (error as? ThalwegError)?.primary ?? String(describing: error)
        let decision = failover.restarts.failed(
            task, region: region, reason: reason, canRecover: Self.canRecover(error), now: now)
        switch decision {
        case .failJob(let verdict):
            if failover.restarts.strategy == .none || !Self.canRecover(error) { return end(.failure(error)) }
            end(
                .failure(
                    ThalwegError(
                        .task, "the job has failed for good", detail: verdict,
                        hint: "mend the cause, then start from the newest checkpoint", cause: error)))
        case .restart(let asked, let time, _), .merged(let asked, let time):
            // A restart of the whole job takes in every other one.
            let region = failover.pending[Self.wholeJob] == nil ? asked : Self.wholeJob
            let tasks = region == Self.wholeJob ? graph.taskIDs : failover.regions.tasks(of: region)
            // Whoever does not return is waited for once, however many failures follow.
            let deadlines = failover.pending.values.filter { !isAtRest($0) }.compactMap(\.deadline)
            let deadline = region == Self.wholeJob ? deadlines.min() ?? cancellationDeadline : cancellationDeadline
            if region == Self.wholeJob, failover.pending[region] == nil { failover.pending = [:] }
            var pending =
                failover.pending[region]
                ?? FailoverState.Pending(
                    tasks: tasks, time: time, since: now, cause: "\(task): \(reason)", failed: task, deadline: deadline)
            pending.time = time
            failover.pending[region] = pending
            for id in tasks where entries[id]?.state == .running {
                entries[id]?.state = .closing
                entries[id]?.mailbox.send(.cancel)
            }
            carryOut(coordinator.handle(.tasksRestarting(tasks), now: now))
        }
    }

    /// Whether a restart can help: not when the job or its data are wrong.
    private static func canRecover(_ error: any Error) -> Bool {
        if error is CancellationError { return false }
        guard let error = error as? ThalwegError else { return true }
        switch error.kind {
        case .retry, .task: return true
        case .job, .input, .corrupt, .bug: return false
        }
    }

    // MARK: Restart

    /// Starts again what has waited long enough and has come to rest.
    func restartIfDue() {
        guard ending == nil else { return }
        if case .undecided = coordinator.restorePoint { return }
        for (region, pending) in failover.pending.sorted(by: { $0.key < $1.key }) where pending.time <= clock.now {
            guard isAtRest(pending), !pending.isFenced else { continue }
            // What the old attempts left in the background, uploads and commits, ends before the new ones begin, and
            // then what is discarded of it: the new attempts write to the same places.
            if pending.fencesPassed < 2 {
                if pending.fencesPassed == 1 { discardLost(of: pending) }
                failover.pending[region]?.isFenced = true
                let job = job
                job.background.submit { job.post(.settled(region: region)) }
                continue
            }
            failover.pending[region] = nil
            // From now on a failure counts as another one.
            failover.restarts.restarted(region: region, now: clock.now)
            do {
                try restart(pending, isWhole: region == Self.wholeJob || pending.tasks.count == graph.taskCount)
            } catch {
                // Nothing of it runs: what could not begin has failed once more.
                restart(failover.hasLostSplits ? Self.wholeJob : region, because: error, in: pending.failed)
                // The regions that are pending may have changed.
                return
            }
            carryOut(coordinator.handle(.tasksRunning(pending.tasks), now: clock.now))
        }
    }

    /// The job goes back to where its sources had not been drained yet.
    private func giveUpDrain() {
        guard isDraining else { return }
        isDraining = false
        // With checkpoints the coordinator answers.
        guard job.store == nil else { return }
        let error = ThalwegError(
            .retry, "the job was not stopped", detail: "it failed while it was drained, and starts again",
            hint: "stop it once more")
        for wish in wishes.values { wish.answer(.failure(error)) }
        wishes = [:]
    }

    private func isAtRest(_ pending: FailoverState.Pending) -> Bool {
        pending.tasks.allSatisfy { id in
            entries[id].map { $0.state == .closed || $0.state == .finished } ?? true
        }
    }

    /// When the next restart can begin as far as is known now, or is waited for no more; what it waits for beside time
    /// tells the master itself.
    var nextRestart: Int64? {
        let deadline = failover.pending.values.filter { !isAtRest($0) }.compactMap(\.deadline).min()
        if case .undecided = coordinator.restorePoint { return deadline }
        let begin = failover.pending.values.filter { !$0.isFenced && isAtRest($0) }.map(\.time).min()
        return [deadline, begin].compactMap(\.self).min()
    }

    /// Ends the job when tasks that have to start again do not return from a function of the user: two attempts of one
    /// task must never run side by side, and only the end of the process ends the old one.
    func endIfStuck() {
        guard ending == nil else { return }
        let now = clock.now
        let stuck = failover.pending.values.filter { ($0.deadline ?? .max) <= now && !isAtRest($0) }
        guard let pending = stuck.min(by: { $0.since < $1.since }) else { return }
        let names = graph.taskIDs.filter { entries[$0]?.state == .closing }.map(graph.taskName)
        end(
            .failure(
                ThalwegError(
                    .task, "the job cannot start again, as a task does not return from a function of its own",
                    detail: names.prefix(5).joined(separator: ", ")
                        + "; waited for \(now - pending.since) ms after a failure: \(pending.cause)",
                    hint: "have functions return in time or raise --cancel-timeout, then start with --from latest")))
        // It was waited for already.
        deadline = now
    }

    /// The background has done all that was submitted to it before it was asked.
    func settled(region: Int) {
        failover.pending[region]?.isFenced = false
        failover.pending[region]?.fencesPassed += 1
    }

    /// Discards the output after the restore point.
    private func discardLost(of pending: FailoverState.Pending) {
        let checkpoint = failover.durable ?? failover.initial?.metadata.checkpoint ?? 0
        let tasks = Set(pending.tasks)
        for entry in uncommitted where tasks.contains(entry.task) && entry.checkpoint > checkpoint {
            discard(entry.commits)
        }
        uncommitted.removeAll { tasks.contains($0.task) && $0.checkpoint > checkpoint }
    }

    private func restart(_ pending: FailoverState.Pending, isWhole: Bool) throws {
        let snapshot = try restorePoint()
        let checkpoint = snapshot?.metadata.checkpoint ?? 0
        let tasks = Set(pending.tasks)
        // What the new attempts prepare bears numbers of its own: those that ended bore one ahead of their checkpoints.
        job.begin(checkpoint: coordinator.newestNumber)
        if isWhole { giveUpDrain() }
        try advisingAfterDamage(of: snapshot) {
            if isWhole {
                // Splits get new numbers: nobody waits for the old ones.
                for (node, desk) in desks { groups.leave(node: node, subtasks: Set(desk.inboxes.indices)) }
                try makeDesks(snapshot)
                failover.hasLostSplits = false
            } else {
                do { try resetSources(of: tasks, to: checkpoint, snapshot) } catch {
                    failover.hasLostSplits = true
                    throw error
                }
            }
            try deploy(pending.tasks, from: snapshot)
        }
        job.checkpoints.failovers.add(1)
        job.checkpoints.tasksRestarted.add(pending.tasks.count)
        job.notices.add(
            "restarted \(pending.tasks.count) of \(graph.taskCount) tasks from "
                + (snapshot.map { "checkpoint \($0.metadata.checkpoint)" } ?? "the beginning")
                + " after \(clock.now - pending.since) ms; cause: \(pending.cause)")
    }

    /// The snapshot that restarted tasks begin with.
    private func restorePoint() throws -> Snapshot? {
        guard let durable = failover.durable, let store = job.store else { return failover.initial }
        do { return try store.load(store.path(of: durable)) } catch {
            throw ThalwegError(
                (error as? ThalwegError)?.kind ?? .task, "the job cannot start again from its newest checkpoint",
                detail: store.path(of: durable),
                hint: "see to it that the directory is there and can be read, then start with --from latest",
                cause: error)
        }
    }

    /// Gives back the splits of failed source subtasks (27.b19); the others keep theirs.
    private func resetSources(of tasks: Set<TaskID>, to checkpoint: Int64, _ snapshot: Snapshot?) throws {
        let restored = try snapshot.map { RestoredOperators($0, try declarations()) }
        for (node, desk) in desks.sorted(by: { $0.key < $1.key }) {
            let vertex = Int32(graph.vertexOf[node])
            let subtasks = Set(tasks.filter { $0.vertex == vertex }.map { Int($0.subtask) })
            guard !subtasks.isEmpty else { continue }
            groups.leave(node: node, subtasks: subtasks)
            let state = try restored?.state(of: graph.streamGraph.nodes[node].name)
            let now = clock.now
            try desk.coordinator.reset(subtasks, toCheckpoint: checkpoint, restored: state) {
                desk.carryOut($0, now: now)
            }
        }
    }
}
