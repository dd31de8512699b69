// SPDX-License-Identifier: Apache-2.0
//  What others tell a task.

import Synchronization
import ThalwegBase
import ThalwegOperator

/// What a task is told to do, in order, at its next poll.
enum TaskCommand: Sendable {
    /// Sources: a checkpoint begins here.
    case trigger(CheckpointBarrier)
    /// Sources: no more is read; the task ends as if its input had ended.
    case drain
    /// A checkpoint is complete everywhere.
    case completed(Int64)
    /// The parts of a snapshot have been written or given up.
    case release(Int64)
    /// The checkpoint that the task stopped for is complete: it ends without emitting anything.
    case leave
    /// The checkpoint that the task stopped for has failed: it goes on.
    case resume
    /// The task ends at once.
    case cancel
}

/// Hands commands to a task, from any thread.
final class TaskMailbox: Sendable {
    private let commands = Guarded<[TaskCommand]>([])
    private let count = Atomic<Int>(0)
    /// Whether a worker is inside the task now.
    let isInside = Atomic<Bool>(false)
    private let wake: @Sendable () -> Void

    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    func send(_ command: TaskCommand) {
        commands.withLock { $0.append(command) }
        count.add(1, ordering: .releasing)
        wake()
    }

    func takeAll() -> [TaskCommand] {
        if count.load(ordering: .acquiring) == 0 { return [] }
        let taken = commands.withLock { commands in
            defer { commands = [] }
            return commands
        }
        count.subtract(taken.count, ordering: .releasing)
        return taken
    }
}
