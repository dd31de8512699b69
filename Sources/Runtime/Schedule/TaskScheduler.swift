// SPDX-License-Identifier: Apache-2.0
//  Who polls the tasks, and when.

import Synchronization
import ThalwegBase
import ThalwegOperator

/// Polls tasks until all are finished, one has failed, or the job was cancelled.
///
/// Two implementations: worker threads on the real clock, and a single-threaded, seeded one on virtual time.
public protocol TaskScheduler: Sendable {
    var clock: any ThalwegClock { get }
    /// Runs the tasks to their end; throws the first failure.
    func run(_ tasks: TaskSet) async throws
}

/// The tasks of a job with what their scheduler needs to know.
public final class TaskSet: @unchecked Sendable {
    // Unchecked: a task is touched by the one worker it belongs to; `tasks` itself never changes.
    let tasks: [ExecutionTask]
    let wakers: WakeTable
    let isCancelled = Atomic<Bool>(false)

    init(tasks: [ExecutionTask], wakers: WakeTable) {
        self.tasks = tasks
        self.wakers = wakers
    }
}

/// From task number to what wakes its worker; set by the scheduler before the first poll.
final class WakeTable: Sendable {
    private let wakes: Guarded<[@Sendable () -> Void]>

    init(count: Int) { wakes = Guarded(Array(repeating: {}, count: count)) }

    func set(_ all: [@Sendable () -> Void]) {
        wakes.withLock { $0 = all }
    }

    func wake(_ task: Int) { wakes.withLock { $0[task] }() }

    func wakeAll() { for wake in wakes.withLock({ $0 }) { wake() } }
}
