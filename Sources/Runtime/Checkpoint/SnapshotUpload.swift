// SPDX-License-Identifier: Apache-2.0
//  The part of a task's snapshot that is done while the task goes on.

import Synchronization
import ThalwegBase
import ThalwegControl
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// Runs work that may wait for a disk, off the tasks' threads: one piece at a time, in the order of submission.
public protocol BackgroundExecutor: Sendable {
    func submit(_ work: @escaping @Sendable () -> Void)
}

/// What a task and the work it leaves behind need of the job around them. Shared by all threads.
final class JobLink: Sendable {
    let jobName: String
    let maxParallelism: Int
    /// Nil when the job takes no checkpoints.
    let store: CheckpointStore?
    let background: any BackgroundExecutor
    /// A clock for durations, which virtual time stands still for.
    let nanoseconds: @Sendable () -> UInt64
    let checkpoints: CheckpointMetrics
    let notices: JobNotices
    private let events = Guarded<(waiting: [MasterEvent], isOver: Bool)>(([], false))
    /// The files that tasks build on, and those on their way into a checkpoint.
    let leases: RunLeases
    /// Where rows of keyed state rest that memory has no room for; nil: all stay in memory.
    let rowPlace: RowPlace?
    private let aborted = Guarded<Set<Int64>>([])
    private let latest = Atomic<Int64>(0)
    private let closed = Atomic<Bool>(false)
    private let publication = Guarded((isCancelled: false, hasBegun: false))
    private let wakeMaster: @Sendable () -> Void

    init(
        jobName: String, maxParallelism: Int, store: CheckpointStore?, leases: RunLeases, rowPlace: RowPlace?,
        background: any BackgroundExecutor,
        nanoseconds: @escaping @Sendable () -> UInt64, checkpoints: CheckpointMetrics,
        notices: JobNotices, wakeMaster: @escaping @Sendable () -> Void
    ) {
        self.jobName = jobName
        self.maxParallelism = maxParallelism
        self.store = store
        self.leases = leases
        self.rowPlace = rowPlace
        self.background = background
        self.nanoseconds = nanoseconds
        self.checkpoints = checkpoints
        self.notices = notices
        self.wakeMaster = wakeMaster
    }

    // MARK: Events for the master

    func post(_ event: MasterEvent) {
        let isOver = events.withLock { events in
            if !events.isOver { events.waiting.append(event) }
            return events.isOver
        }
        if isOver { Self.refuse(event) } else { wakeMaster() }
    }

    func takeEvents() -> [MasterEvent] {
        events.withLock { events in
            defer { events.waiting = [] }
            return events.waiting
        }
    }

    /// The master takes no more events: whoever waits for an answer gets it now.
    func endEvents() {
        let left = events.withLock { events in
            defer { events = ([], true) }
            return events.waiting
        }
        for event in left { Self.refuse(event) }
    }

    static func refuse(_ event: MasterEvent) {
        if case .wish(let wish) = event { wish.answer(.failure(JobExecution.hasEnded)) }
    }

    // MARK: Checkpoints

    /// The number of the newest checkpoint that was begun.
    var latestCheckpoint: Int64 { latest.load(ordering: .acquiring) }
    func begin(checkpoint: Int64) { _ = latest.max(checkpoint, ordering: .acquiringAndReleasing) }

    func isAborted(_ checkpoint: Int64) -> Bool { aborted.withLock { $0.contains(checkpoint) } }
    func abort(checkpoint: Int64) {
        aborted.withLock { aborted in
            aborted.insert(checkpoint)
            guard aborted.count > 2 * Self.abortedMax else { return }
            aborted = Set(aborted.sorted().suffix(Self.abortedMax))
        }
    }

    /// How many checkpoints that were given up are remembered at least: nothing of older ones is on its way any more.
    static let abortedMax = 512
    /// The job has ended: nobody wants what is still being written.
    func close() { closed.store(true, ordering: .releasing) }

    // MARK: Cancelling

    /// From now on no output is published.
    func cancel() {
        publication.withLock { $0.isCancelled = true }
        post(.cancel)
    }

    /// Ends the job with an error, whatever its restart strategy: from now on no output is published.
    func abort(_ error: any Error) {
        publication.withLock { $0.isCancelled = true }
        post(.abort(error))
    }

    var isCancelled: Bool { publication.withLock { $0.isCancelled } }

    /// Whether all output of a job without checkpoints may be published; a cancel comes too late then.
    func beginsPublishing() -> Bool {
        publication.withLock { publication in
            publication.hasBegun = !publication.isCancelled
            return publication.hasBegun
        }
    }

    var isPublishing: Bool { publication.withLock { $0.hasBegun } }

    func isUnwanted(_ checkpoint: Int64, isFinal: Bool) -> Bool {
        closed.load(ordering: .acquiring) || !isFinal && aborted.withLock { $0.contains(checkpoint) }
    }
}

/// A frozen snapshot of one task on its way to the disk.
struct SnapshotUpload: Sendable {
    let task: TaskID
    let attempt: Int
    let taskName: String
    let barrier: CheckpointBarrier
    let isFinal: Bool
    let operators: [String]
    var parts: [StatePart]
    let rows: [RowSnapshot]
    let persists: [@Sendable () throws -> Void]
    let commits: [SinkCommit]
    let mailbox: TaskMailbox

    /// Writes the snapshot and tells the master; called off the task's thread.
    func run(for job: JobLink) {
        let (checkpoint, isFinal) = (barrier.checkpoint, isFinal)
        do {
            if job.isUnwanted(checkpoint, isFinal: isFinal) { throw CancellationError() }
            for persist in persists { try persist() }
            // No attempt may write over what a checkpoint has of an earlier one.
            let ending = isFinal ? (attempt > 1 ? "-attempt\(attempt)-final" : "-final") : ""
            let whole = try write(parts, of: operators, "\(taskName)-\(task.subtask)\(ending)", for: job).file
            var files = whole.map { [$0] } ?? []
            for (index, rows) in rows.enumerated() {
                let name = "\(taskName)-\(task.subtask)-rows" + (index > 0 ? "\(index)" : "") + ending
                files += try write(rows, name, for: job)
            }
            let digests = job.store == nil ? [] : try parts.compactMap { try StateDigest($0, of: task) }
            let snapshot = TaskSnapshot(files: files, commits: commits, digests: digests)
            job.post(
                isFinal
                    ? .finished(task, attempt: attempt, checkpoint: checkpoint, snapshot)
                    : .acknowledged(task, attempt: attempt, checkpoint: checkpoint, snapshot))
        } catch {
            // What is prepared at the end and not durable is never committed: the attempt is over.
            if isFinal { for step in commits { step.abort() } }
            job.post(
                isFinal
                    ? .failed(task, attempt: attempt, job.store == nil ? error : unwritten(error))
                    : .declined(task, attempt: attempt, checkpoint: checkpoint, error, commits))
        }
        mailbox.send(.release(checkpoint))
    }

    /// Writes the new layers of a keyed store.
    ///
    /// - Returns: the files of all its layers.
    private func write(_ rows: RowSnapshot, _ name: String, for job: JobLink) throws -> [HeldSegment] {
        do {
            var files: [HeldSegment] = []
            for layer in rows.base {
                guard let file = try layer.file() else { continue }
                if rows.isSelfContained, let store = job.store {
                    let copy = try store.copy(file.file, into: barrier.checkpoint)
                    files.append(HeldSegment(copy, job.leases.take(copy.path)))
                } else {
                    try layer.sync()
                    files.append(file)
                }
            }
            for (index, added) in rows.added.enumerated() {
                let isTop = index == rows.added.count - 1
                let (file, run) = try write(
                    added.parts, of: rows.operators, isTop ? name : name + "-rest", for: job,
                    sequence: added.layer.sequence, filteredRows: rows.isLookedInto ? added.layer.rowCount : nil)
                added.layer.written(file, run: rows.isLookedInto ? run : nil)
                if let file { files.append(file) }
            }
            return files
        } catch {
            for added in rows.added { added.layer.failed() }
            throw error
        }
    }

    /// - Parameter filteredRows: how many rows a layer has that is looked into; nil: the file is not.
    private func write(
        _ parts: [StatePart], of operators: [String], _ name: String, for job: JobLink, sequence: Int64 = 0,
        filteredRows: Int? = nil
    ) throws -> (file: HeldSegment?, run: Run?) {
        let (checkpoint, isFinal) = (barrier.checkpoint, isFinal)
        let run = try job.store?.writeLayer(
            checkpoint: checkpoint, name: name, operators: operators, subtask: Int(task.subtask), sequence: sequence,
            parts: parts, options: filteredRows == nil ? nil : .run, filteredRows: filteredRows,
            isCancelled: { job.isUnwanted(checkpoint, isFinal: isFinal) })
        return (run.map { HeldSegment($0.file, job.leases.take($0.file.path)) }, run)
    }

    /// A restart may help, whatever the disk says: what it does not take now it may take then.
    private func unwritten(_ error: any Error) -> any Error {
        if error is CancellationError || (error as? ThalwegError)?.kind == .bug { return error }
        return ThalwegError(
            .task, "the last state of a task could not be written", detail: "\(taskName), subtask \(task.subtask)",
            hint: "see to it that checkpoints and output can be written, then start with --from latest", cause: error)
    }
}
