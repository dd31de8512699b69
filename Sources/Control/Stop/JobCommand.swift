// SPDX-License-Identifier: Apache-2.0
//  What a job is told, and what it answers (FLIP-45).

import ThalwegStorage

/// Where a job is in its life.
public enum JobState: Hashable, Sendable, CustomStringConvertible {
    case created
    case running
    /// Tasks have failed and start again; the others may run.
    case restarting
    /// The last snapshot is on its way; `checkpoint` is set once it is durable and committed.
    case stopping(SnapshotKind, checkpoint: Int64?)
    case cancelling
    /// It has failed, and its tasks are being ended.
    case failing
    case finished
    case failed
    case cancelled

    /// Whether nothing can happen any more.
    public var isTerminal: Bool { self == .finished || self == .failed || self == .cancelled }

    public var description: String {
        switch self {
        case .created: "created"
        case .running: "running"
        case .restarting: "restarting"
        case .stopping(let kind, let checkpoint):
            "stopping (\(kind.rawValue)\(checkpoint.map { ", checkpoint \($0)" } ?? ""))"
        case .cancelling: "cancelling"
        case .failing: "failing"
        case .finished: "finished"
        case .failed: "failed"
        case .cancelled: "cancelled"
        }
    }
}

/// What happens to a job.
public enum JobEvent: Hashable, Sendable {
    /// Command: begin.
    case start
    /// Command: take a last snapshot and end. `timeout` in milliseconds; when it is over the job is cancelled.
    case stop(request: Int64, kind: SnapshotKind, timeout: Int64?)
    /// Command: end now, without a snapshot, committing nothing more.
    case cancel(request: Int64)
    /// Every task runs.
    case tasksRunning
    /// Tasks have failed and the restart strategy lets them start again.
    case tasksRestarting(reason: String)
    /// No restart any more.
    case failed(reason: String)
    /// How the snapshot of the stop ended, by its `triggerStop`.
    case snapshotEnded(request: Int64, SnapshotOutcome)
    /// Every task has ended by itself and every output is committed.
    case tasksFinished
    /// Every task has ended after `cancelTasks`.
    case tasksCancelled
    /// Time has passed.
    case tick
}

/// What a job wants done, in this order.
public enum JobAction: Hashable, Sendable {
    /// Schedule the tasks.
    case schedule
    /// Hand the request to the checkpoint coordinator.
    case triggerStop(request: Int64, kind: SnapshotKind)
    /// Tell the checkpoint coordinator that the job has ended, then end the tasks.
    case cancelTasks(reason: String)
    /// The command has its result.
    case answer(request: Int64, JobCommandResult)
    /// Send `tick` at this moment, in milliseconds. Replaces the wish before.
    case wake(at: Int64)
    /// The job is over in this state.
    case ended(JobState, reason: String?)
}

/// How a command ended.
public enum JobCommandResult: Hashable, Sendable {
    /// The job is finished; this is the snapshot to resume from. Nil when it finished by itself before the snapshot.
    case stopped(checkpoint: Int64?)
    /// The job is cancelled, as asked.
    case cancelled
    /// The stop took too long and the job was cancelled instead; `checkpoint` is there if the snapshot was durable.
    case escalated(checkpoint: Int64?)
    /// It was tried and failed.
    case failed(reason: String)
    /// The command makes no sense in this state; nothing was done.
    case rejected(reason: String)
}
