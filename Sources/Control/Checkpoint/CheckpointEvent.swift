// SPDX-License-Identifier: Apache-2.0
//  What the checkpoint coordinator is told, and what it wants done.

import ThalwegStorage

/// What the shell tells the checkpoint coordinator.
public enum CheckpointEvent: Hashable, Sendable {
    /// The job runs with these tasks. Sent once.
    case started(tasks: [TaskID])
    /// Time has passed.
    case tick
    /// A user wants a savepoint, a stop, or a checkpoint now. The same request id twice is one request.
    case trigger(request: Int64, kind: SnapshotKind)
    /// The task has written its part.
    case acknowledged(checkpoint: Int64, task: TaskID)
    /// The task cannot take part.
    case declined(checkpoint: Int64, task: TaskID, reason: String)
    /// The task has ended by itself and written its final state, which serves every pending and later checkpoint. What
    /// it prepared last bears `number`, which may lie above those of the checkpoints that it serves: no attempt that
    /// begins later may use it again.
    case taskFinished(TaskID, number: Int64 = 0)
    /// The metadata is durable: from now on the checkpoint can be restored.
    case metadataWritten(checkpoint: Int64)
    /// The metadata is not there and never will be. A shell that cannot know must find out before it says so.
    case metadataFailed(checkpoint: Int64, reason: String)
    /// These tasks failed or are being restarted.
    case tasksRestarting([TaskID])
    /// These tasks run again.
    case tasksRunning([TaskID])
    /// Every task has been told of the completion, and every sink has committed.
    case committed(checkpoint: Int64)
    /// The job is cancelled or has failed for good.
    case ended(reason: String)
}

/// What the checkpoint coordinator wants done, in this order.
public enum CheckpointAction: Hashable, Sendable {
    /// Send barriers into the sources. `alignmentTimeout` as in ``CheckpointSettings``.
    case trigger(checkpoint: Int64, kind: SnapshotKind, alignmentTimeout: Int64?)
    /// Every part is there: write the metadata, then answer `metadataWritten` or `metadataFailed`. Part of it are the
    /// tasks, in order.
    case complete(checkpoint: Int64, kind: SnapshotKind, tasks: [TaskID])
    /// The metadata is durable: tell the tasks, so that sinks commit, then answer `committed`.
    case commit(checkpoint: Int64)
    /// Tell the tasks to forget it and delete the parts that were written.
    case abort(checkpoint: Int64, reason: String)
    /// A part arrived after the abort: delete the files of this checkpoint (again).
    case discard(checkpoint: Int64)
    /// Newer checkpoints have taken its place: delete it.
    case release(checkpoint: Int64)
    /// The request has its result.
    case answer(request: Int64, SnapshotOutcome)
    /// Treat the job as failed as a whole; the restart strategy decides what follows, unless `isFinal`.
    case failJob(reason: String, isFinal: Bool)
    /// Send `tick` at this moment, in milliseconds. Replaces the wish before.
    case wake(at: Int64)
}

/// How a request for a snapshot ended.
public enum SnapshotOutcome: Hashable, Sendable {
    /// The snapshot can be restored; after a stop, its output is committed too.
    case completed(checkpoint: Int64)
    /// It was tried. The job goes on, unless `failJob` came with it.
    case failed(reason: String)
    /// It was not tried.
    case rejected(reason: String)
}

/// Where restarted tasks begin.
public enum RestorePoint: Hashable, Sendable {
    case beginning
    case checkpoint(Int64)
    /// The metadata of this checkpoint is being written: wait for its outcome. Restoring an older one meanwhile would
    /// repeat output that this one is about to commit.
    case undecided(Int64)
}
