// SPDX-License-Identifier: Apache-2.0
//  Decides when checkpoints begin, complete and fail, and how a job stops (FLIP-1, FLIP-45).

import ThalwegStorage

/// The checkpoint coordinator of one job: a value, without clock, lock or disk.
///
/// Guarantees: ids rise and lie above the restored one; a checkpoint ends exactly once, completed or aborted;
/// every request is answered exactly once; a completed checkpoint is committed only after its metadata is durable; no
/// checkpoint is triggered while a task restarts or after a stop has completed.
///
/// Not promised: that requests end in the order in which they came, when several may be under way.
public struct CheckpointCoordinator: Sendable {
    public let settings: CheckpointSettings
    var nextID: Int64
    /// The greatest number that an ended task has used.
    var reserved: Int64 = 0
    var tasks: Set<TaskID> = []
    var finished: Set<TaskID> = []
    var restarting: Set<TaskID> = []
    var hasStarted = false
    /// Set when nothing will be triggered any more, with the reason that requests are rejected with.
    var closed: String?
    /// Under way, in ascending order of ids.
    var pending: [PendingCheckpoint] = []
    /// Requests that wait for their turn.
    var queue: [SnapshotRequest] = []
    var stop: StopProgress?
    /// Every task has finished and the last checkpoint has not begun.
    var isFinalDue = false
    /// The final checkpoint whose output is not committed yet.
    var uncommittedFinal: Int64?
    /// The job was cancelled or has failed for good: nothing is committed any more.
    var hasEnded = false
    var nextPeriodic: Int64?
    var lastEnd: Int64?
    var failuresInRow = 0
    /// Completed checkpoints that are kept, without savepoints.
    var retained: [Int64] = []
    /// The newest checkpoint to restart from. A savepoint is none: it commits nothing and the user may delete it.
    var latest: Int64?
    /// Aborted ids, to recognise late acknowledgements.
    var aborted: [Int64] = []
    /// Recent results, for requests that are sent again.
    var answered: [(request: Int64, outcome: SnapshotOutcome)] = []
    var announcedWake: Int64?

    /// How many aborted checkpoints are remembered; files of older ones wait for the next clean-up.
    static let abortedMax = 256
    /// How many results are remembered for requests that are sent again.
    static let answeredMax = 64

    /// - Parameters:
    ///   - restored: the id of the checkpoint that the job starts from; the first new one is one above.
    public init(settings: CheckpointSettings, restored: Int64? = nil) {
        self.settings = settings
        nextID = (restored ?? 0) + 1
        latest = restored
    }

    /// Where restarted tasks begin now. Ask after `tasksRestarting`.
    public var restorePoint: RestorePoint {
        if let writing = pending.last(where: { $0.stage == .writing && $0.kind != .savepoint }) {
            return .undecided(writing.id)
        }
        return latest.map(RestorePoint.checkpoint) ?? .beginning
    }

    /// The greatest number that is in use: after `tasksRestarting`, whatever the new attempts prepare has to lie above.
    public var newestNumber: Int64 { nextID - 1 }

    /// The ids under way, ascending.
    public var pendingCheckpoints: [Int64] { pending.map(\.id) }

    /// When `tick` is due, in milliseconds; nil when only other events can change anything.
    public var nextWake: Int64? {
        let deadline = pending.lazy.filter { $0.stage == .collecting }.map(\.deadline).min()
        guard let periodic = periodicTime else { return deadline }
        return deadline.map { min($0, periodic) } ?? periodic
    }

    /// Takes one event at `now`, in milliseconds, and gives what is to be done, in order.
    public mutating func handle(_ event: CheckpointEvent, now: Int64) -> [CheckpointAction] {
        var actions: [CheckpointAction] = []
        switch event {
        case .started(let tasks): start(tasks, now: now)
        case .tick: break
        case .trigger(let request, let kind): accept(SnapshotRequest(id: request, kind: kind), &actions)
        case .acknowledged(let checkpoint, let task): acknowledge(checkpoint, task, &actions)
        case .declined(let checkpoint, let task, let reason):
            fail(checkpoint, stage: .collecting, "\(task) declined: \(reason)", now: now, &actions)
        case .taskFinished(let task, let number):
            reserved = max(reserved, number)
            finish(task, &actions)
        case .metadataWritten(let checkpoint): metadataWritten(checkpoint, now: now, &actions)
        case .metadataFailed(let checkpoint, let reason):
            fail(checkpoint, stage: .writing, "metadata not written: \(reason)", now: now, &actions)
        case .tasksRestarting(let tasks): restart(tasks, now: now, &actions)
        case .tasksRunning(let tasks): restarting.subtract(tasks)
        case .committed(let checkpoint): committed(checkpoint, &actions)
        case .ended(let reason): end(reason, &actions)
        }
        expire(now: now, &actions)
        triggerWhatIsDue(now: now, &actions)
        if let wake = nextWake, wake != announcedWake { actions.append(.wake(at: wake)) }
        announcedWake = nextWake
        return actions
    }
}

/// A user's wish for a snapshot.
struct SnapshotRequest: Sendable, Hashable {
    let id: Int64
    let kind: SnapshotKind
}

/// A checkpoint under way.
struct PendingCheckpoint: Sendable {
    enum Stage { case collecting, writing }

    let id: Int64
    let kind: SnapshotKind
    let request: Int64?
    let deadline: Int64
    var missing: Set<TaskID>
    var stage = Stage.collecting
}

/// A stop from its request to its commit.
struct StopProgress: Sendable {
    enum Stage { case waiting, underWay, committing }

    let kind: SnapshotKind
    var requests: [Int64]
    var stage = Stage.waiting
    var checkpoint: Int64?
}
