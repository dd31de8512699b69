// SPDX-License-Identifier: Apache-2.0
//  What happens when a task fails.

import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator
import ThalwegStorage

/// What the master remembers for restarts.
struct FailoverState {
    /// The newest checkpoint whose metadata is on the disk.
    var durable: Int64?
    /// The snapshot that the job was started from.
    var restorePoint: Snapshot?
    var nextTime: Int64?

    init(_ graph: JobGraph, _ settings: ExecutionSettings) {}
}

extension JobMaster {
    /// A task has thrown.
    func taskFailed(_ task: TaskID, _ error: any Error) {
        entries[task]?.state = .closed
        end(.failure(error))
    }

    /// Something has failed that is no single task's fault.
    func jobFailed(_ error: any Error) { end(.failure(error)) }

    func failJob(_ reason: String, isFinal: Bool) {
        end(.failure(ThalwegError(.task, "the job failed", detail: reason)))
    }

    func restartIfDue() {}
}
