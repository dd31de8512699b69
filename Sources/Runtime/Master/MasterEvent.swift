// SPDX-License-Identifier: Apache-2.0
//  What a job's master is told.

import ThalwegBase
import ThalwegControl
import ThalwegOperator
import ThalwegStorage

/// What a task has handed over for a checkpoint.
struct TaskSnapshot: Sendable {
    var files: [HeldSegment]
    var commits: [SinkCommit]
    /// Of the states that must be the same in every subtask.
    var digests: [StateDigest] = []
}

/// What a job's master is told, by tasks, by the work in the background and by users.
enum MasterEvent: Sendable {
    case acknowledged(TaskID, attempt: Int, checkpoint: Int64, TaskSnapshot)
    /// A task could not take part in a checkpoint; what its sinks had prepared waits for the next one.
    case declined(TaskID, attempt: Int, checkpoint: Int64, any Error, [SinkCommit])
    /// A task has come to the end of its input; the snapshot is its last.
    case finished(TaskID, attempt: Int, checkpoint: Int64, TaskSnapshot)
    case failed(TaskID, attempt: Int, any Error)
    /// A task that was told to end has ended.
    case closed(TaskID, attempt: Int)
    /// The metadata of a checkpoint is on the disk.
    case written(Int64)
    case notWritten(Int64, any Error)
    /// The output of a checkpoint is visible.
    case committed(Int64)
    case notCommitted(Int64, any Error)
    case wish(SnapshotWish)
    /// What was submitted to the background before the tasks of a region came to rest has been done.
    case settled(region: Int)
    /// The job cannot go on, whatever its restart strategy.
    case abort(any Error)
    case cancel
}

/// A user's wish for a snapshot or a stop, with where its outcome goes.
struct SnapshotWish: Sendable {
    let id: Int64
    let kind: SnapshotKind
    let answer: @Sendable (Result<SnapshotReport, any Error>) -> Void
}

/// How a job stops (FLIP-45).
public enum StopMode: String, Sendable, Hashable, Codable {
    /// To be resumed later: no window or timer fires.
    case suspend
    /// For good: event time comes to its end, and everything fires.
    case drain
}

/// The snapshot that a stop or a wish has given.
public struct SnapshotReport: Sendable, Hashable, Codable {
    /// Its number.
    public var checkpoint: Int64
    public var kind: SnapshotKind
    /// Where it lies; nil when the job keeps no checkpoints.
    public var path: String?

    public init(checkpoint: Int64, kind: SnapshotKind, path: String?) {
        self.checkpoint = checkpoint
        self.kind = kind
        self.path = path
    }
}
