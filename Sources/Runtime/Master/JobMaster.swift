// SPDX-License-Identifier: Apache-2.0
//  Carries out what is decided for a job: deploys tasks, takes checkpoints, restarts, ends.

import Synchronization
import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator
import ThalwegStorage

/// How a job has ended, short of a failure.
public enum JobOutcome: Sendable, Hashable {
    /// All input was processed and all output committed; with checkpoints, the last one.
    case finished(SnapshotReport?)
    /// Stopped at a user's wish.
    case stopped(SnapshotReport)
}

/// The enumerators' files by checkpoint, or why they could not be written.
final class SourceFiles: Sendable {
    private let contents = Guarded<[Int64: [Result<SegmentFile?, any Error>]]>([:])

    func add(_ file: Result<SegmentFile?, any Error>, to checkpoint: Int64) {
        contents.withLock { $0[checkpoint, default: []].append(file) }
    }

    func take(_ checkpoint: Int64) throws -> [SegmentFile] {
        try (contents.withLock { $0.removeValue(forKey: checkpoint) } ?? []).compactMap { try $0.get() }
    }

    /// The checkpoint was given up.
    func forget(_ checkpoint: Int64) { contents.withLock { $0[checkpoint] = nil } }
}

/// The master of one job in this process: it asks the pure coordinators and does what they say. Polled like a task, by
/// one thread at a time, and never blocks but for reading the snapshot that tasks start from.
final class JobMaster {
    /// One task as the master knows it.
    struct Entry {
        enum State { case running, closing, closed, finished }

        var attempt: Int
        var mailbox: TaskMailbox
        var state = State.running
        /// What the task left when it had finished.
        var finalFiles: [HeldSegment] = []
        var finalDigests: [StateDigest] = []
        /// The number that what it prepared at its end bears.
        var finalNumber: Int64 = 0
    }

    let graph: JobGraph
    var settings: ExecutionSettings
    let clock: any ThalwegClock
    let metrics: JobMetrics
    let job: JobLink
    let wakers: WakeTable
    let groups = AlignmentGroups()
    var desks: [Int: SourceDesk] = [:]
    var entries: [TaskID: Entry] = [:]
    /// Tasks that wait for a worker.
    var deployments: [ExecutionTask] = []
    var coordinator: CheckpointCoordinator
    /// What sinks have prepared and is not committed yet, in order.
    var uncommitted: [(checkpoint: Int64, task: TaskID, commits: [SinkCommit])] = []
    /// The files of checkpoints under way.
    var files: [Int64: [TaskID: [HeldSegment]]] = [:]
    /// The tasks of which a checkpoint has the last snapshot, since they had ended before they could take part in it.
    var endedBefore: [Int64: Set<TaskID>] = [:]
    /// What the subtasks say of their broadcast states for checkpoints under way.
    var digests: [Int64: [TaskID: [StateDigest]]] = [:]
    var triggers: [Int64: CheckpointBarrier] = [:]
    /// What the enumerators left for checkpoints under way; filled and read off the master's thread.
    let sourceFiles = SourceFiles()
    var wishes: [Int64: SnapshotWish] = [:]
    var lastReport: SnapshotReport?
    /// The sources were told to read no more.
    var isDraining = false
    /// The job ends when every task is closed, with this.
    var ending: Result<JobOutcome, any Error>?
    /// The job ends by then even if tasks do not.
    var deadline: Int64?
    var failover: FailoverState
    /// What the steps declare, once it has been asked for.
    private var declared: JobDeclarations?
    /// The job as snapshots describe it, once it has been written down; nil in it: it is too long.
    var planText: String??
    /// How often the checkpoints that earlier runs left have been looked at.
    var tidiedCount = 0
    /// Keeps other runs out of the directory of checkpoints.
    var lock: (any FileLock)?
    /// The directories that the job has made for its checkpoints.
    var madeDirectories: [String] = []
    /// Told every event before it is handled.
    var observe: ((MasterEvent) -> Void)?
    private(set) var outcome: Result<JobOutcome, any Error>?

    init(
        _ graph: JobGraph, _ settings: ExecutionSettings, clock: any ThalwegClock, metrics: JobMetrics, job: JobLink,
        wakers: WakeTable
    ) throws {
        self.graph = graph
        self.settings = settings
        self.clock = clock
        self.metrics = metrics
        self.job = job
        self.wakers = wakers
        coordinator = CheckpointCoordinator(settings: CheckpointSettings())
        failover = try FailoverState(graph, settings)
    }

    // MARK: Deployment

    /// What the steps of the job declare.
    func declarations() throws -> JobDeclarations {
        if let declared { return declared }
        let all = try JobDeclarations(graph, batchCapacity: settings.batchCapacity)
        declared = all
        return all
    }

    func makeDesks(_ snapshot: Snapshot?) throws {
        let restored = try snapshot.map { RestoredOperators($0, try declarations()) }
        for node in graph.streamGraph.nodes {
            guard let make = node.makeCoordinator else { continue }
            let parallelism = graph.parallelism(of: node.id)
            let first = graph.firstTask[graph.vertexOf[node.id]]
            let wakers = self.wakers
            desks[node.id] = SourceDesk(
                node: node.id,
                coordinator: try make(
                    SourceCoordinatorSeat(
                        name: node.name, parallelism: parallelism, checkpoint: snapshot?.metadata.checkpoint ?? 0,
                        restored: try restored?.state(of: node.name))
                ),
                inboxes: (0..<parallelism).map { subtask in SplitInbox(wake: { wakers.wake(first + subtask) }) })
        }
    }

    /// Builds tasks and hands them to the scheduler.
    ///
    /// - Parameter willPublish: called when every task has been built, before the first output is published.
    func deploy(
        _ ids: [TaskID], from snapshot: Snapshot?, willPublish: () throws -> Void = {}
    ) throws {
        var attempts: [TaskID: Int] = [:]
        for id in ids { attempts[id] = (entries[id]?.attempt ?? 0) + 1 }
        var builder = TaskBuilder(
            graph, settings, clock: clock, metrics: metrics, job: job, wakers: wakers, groups: groups, desks: desks,
            restored: try snapshot.map { RestoredOperators($0, try declarations()) })
        let tasks = try builder.build(ids, attempts: attempts)
        do {
            try willPublish()
            // Output of the snapshot that nobody may have committed comes before anything new.
            try builder.commits.commitAll()
        } catch {
            for task in tasks { task.close() }
            throw error
        }
        for task in tasks { entries[task.id] = Entry(attempt: task.attempt, mailbox: task.mailbox) }
        deployments += tasks
    }

    /// The tasks that wait for a worker.
    func takeDeployments() -> [ExecutionTask] {
        defer { deployments = [] }
        return deployments
    }

    // MARK: Polling

    /// When the master has to be polled even if nothing happens.
    var nextTime: Int64? { [coordinator.nextWake, deadline, nextRestart].compactMap(\.self).min() }

    func poll() -> PollResult {
        if outcome != nil { return .finished }
        let events = job.takeEvents()
        for event in events {
            observe?(event)
            handle(event)
        }
        let isWoken = coordinator.nextWake.map { $0 <= clock.now } ?? false
        if isWoken { carryOut(coordinator.handle(.tick, now: clock.now)) }
        restartIfDue()
        endIfStuck()
        endIfDue()
        if outcome != nil { return .finished }
        return events.isEmpty && deployments.isEmpty && !isWoken ? .idle : .progress
    }

    private func handle(_ event: MasterEvent) {
        switch event {
        case .acknowledged(let task, let attempt, let checkpoint, let snapshot):
            guard isCurrent(task, attempt) else { return discard(snapshot.commits) }
            files[checkpoint, default: [:]][task] = snapshot.files
            digests[checkpoint, default: [:]][task] = snapshot.digests
            if !snapshot.commits.isEmpty { uncommitted.append((checkpoint, task, snapshot.commits)) }
            carryOut(coordinator.handle(.acknowledged(checkpoint: checkpoint, task: task), now: clock.now))
        case .declined(let task, let attempt, let checkpoint, let error, let commits):
            guard isCurrent(task, attempt) else { return discard(commits) }
            if !commits.isEmpty { uncommitted.append((checkpoint, task, commits)) }
            if error is CancellationError { return }
            let reason = (error as? ThalwegError)?.description ?? String(describing: error)
            carryOut(
                coordinator.handle(.declined(checkpoint: checkpoint, task: task, reason: reason), now: clock.now))
        case .finished(let task, let attempt, let checkpoint, let snapshot):
            guard isCurrent(task, attempt) else { return discard(snapshot.commits) }
            entries[task]?.state = .finished
            entries[task]?.finalFiles = snapshot.files
            entries[task]?.finalDigests = snapshot.digests
            entries[task]?.finalNumber = checkpoint
            if !snapshot.commits.isEmpty { uncommitted.append((checkpoint, task, snapshot.commits)) }
            if job.store != nil {
                carryOut(coordinator.handle(.taskFinished(task, number: checkpoint), now: clock.now))
            } else {
                publishIfFinished()
            }
        case .failed(let task, let attempt, let error):
            if isCurrent(task, attempt) { taskFailed(task, error) }
        case .closed(let task, let attempt):
            if isCurrent(task, attempt) { entries[task]?.state = .closed }
        case .written, .notWritten, .committed, .notCommitted, .wish:
            handleCheckpoint(event)
        case .settled(let region): settled(region: region)
        case .abort(let error):
            // All has been processed, and what has begun to come out comes out.
            if !job.isPublishing { end(.failure(error)) }
        case .cancel:
            if job.isPublishing && deadline == nil {
                // Too late to publish nothing: all of it comes out, unless it takes too long.
                deadline = cancellationDeadline
            } else {
                end(.failure(CancellationError()))
            }
        }
    }

    private func isCurrent(_ task: TaskID, _ attempt: Int) -> Bool {
        entries[task].map { $0.attempt == attempt && $0.state != .closed } ?? false
    }

    /// Output of an attempt that is over.
    func discard(_ commits: [SinkCommit]) {
        guard !commits.isEmpty else { return }
        job.background.submit { for commit in commits { commit.abort() } }
    }

    // MARK: The end

    /// By when tasks that are told now to end have to have ended; nil: whenever they do.
    var cancellationDeadline: Int64? {
        let (time, overflows) = clock.now.addingReportingOverflow(settings.cancellationTimeout.wholeMilliseconds)
        return overflows ? nil : time
    }

    /// Ends the job as soon as every task is closed.
    func end(_ result: Result<JobOutcome, any Error>) {
        guard ending == nil else { return }
        ending = result
        deadline = cancellationDeadline
        if case .failure(let error) = result {
            let reason = (error as? ThalwegError)?.description ?? String(describing: error)
            carryOut(coordinator.handle(.ended(reason: reason), now: clock.now))
            job.close()
        }
        for (id, entry) in entries where entry.state == .running {
            entries[id]?.state = .closing
            entry.mailbox.send(.cancel)
        }
    }

    private func endIfDue() {
        let isDue = (deadline ?? .max) <= clock.now
        if isDue && ending == nil { ending = .failure(CancellationError()) }
        guard let ending, outcome == nil else { return }
        let isClosed = entries.values.allSatisfy { $0.state == .closed || $0.state == .finished }
        guard isClosed || isDue else { return }
        if !isClosed { reportStuck() }
        if case .failure = ending {
            // Off this thread: what a place does not take back must not hold up the end beyond its bound.
            for entry in uncommitted where !keepsPrepared(entry.checkpoint, of: entry.task) { discard(entry.commits) }
        }
        for wish in wishes.values { wish.answer(.failure(JobExecution.hasEnded)) }
        wishes = [:]
        outcome = ending
    }

    /// Says which tasks the job ends without: those inside a function of the user, if any are.
    private func reportStuck() {
        let open = graph.taskIDs.filter { entries[$0]?.state == .closing || entries[$0]?.state == .running }
        let inside = open.filter { entries[$0]?.mailbox.isInside.load(ordering: .relaxed) ?? false }
        let names = (inside.isEmpty ? open : inside).map(graph.taskName)
        job.notices.add(
            "warning: the job ends without \(names.prefix(5).joined(separator: ", "))"
                + (names.count > 5 ? " and \(names.count - 5) more" : "")
                + ": no return from the functions there within \(settings.cancellationTimeout)")
    }

    /// Whether output prepared for a checkpoint may be in a snapshot that is on the disk, or will be in a moment: then
    /// a start from it commits it.
    private func keepsPrepared(_ checkpoint: Int64, of task: TaskID) -> Bool {
        guard job.store != nil else { return false }
        let newest = [failover.durable, failover.newestWritten, failover.writing.max()].compactMap(\.self).max() ?? 0
        return checkpoint <= newest || endedBefore.contains { $0.key <= newest && $0.value.contains(task) }
    }
}

extension JobGraph {
    /// All tasks in order.
    var taskIDs: [TaskID] {
        vertices.flatMap { vertex in
            (0..<vertex.parallelism).map { TaskID(vertex: Int32(vertex.id), subtask: Int32($0)) }
        }
    }

    /// A task as people know it: the names of its steps and the subtask.
    func taskName(_ id: TaskID) -> String {
        let names = vertices[Int(id.vertex)].nodes.map { streamGraph.nodes[$0].name }
        return "\(names.joined(separator: " -> "))/\(id.subtask)"
    }

    /// The number of a task when all are counted through.
    func taskNumber(of id: TaskID) -> Int { firstTask[Int(id.vertex)] + Int(id.subtask) }
}
