// SPDX-License-Identifier: Apache-2.0
//  Who polls the tasks, and when.

import Synchronization
import ThalwegBase
import ThalwegOperator

/// Polls the tasks of a job and its master until the master says that the job has ended.
///
/// Two implementations: worker threads on the real clock, and a single-threaded, seeded one on virtual time.
public protocol TaskScheduler: Sendable {
    var clock: any ThalwegClock { get }
    /// A clock for durations in nanoseconds.
    var nanoseconds: @Sendable () -> UInt64 { get }
    /// What runs the work that may wait for a disk; one per job.
    func makeBackground() -> any BackgroundExecutor
    /// Runs a job to its end.
    func run(_ job: ScheduledJob) async throws -> JobOutcome
}

/// A job as its scheduler sees it.
public final class ScheduledJob: @unchecked Sendable {
    // Unchecked: the master is polled by one thread, and each task by the worker it belongs to.
    let master: JobMaster
    let link: JobLink
    let wakers: WakeTable
    let background: any BackgroundExecutor
    let masterWake: MasterWake

    init(
        master: JobMaster, link: JobLink, wakers: WakeTable, background: any BackgroundExecutor,
        masterWake: MasterWake
    ) {
        self.master = master
        self.link = link
        self.wakers = wakers
        self.background = background
        self.masterWake = masterWake
    }
}

/// Wakes whoever polls the master; set by the scheduler.
final class MasterWake: Sendable {
    /// A function that is itself what a lock guards is wrapped once more each time it is looked at.
    private struct Body {
        let wake: @Sendable () -> Void
    }

    private let body = Guarded(Body(wake: {}))
    func set(_ wake: @escaping @Sendable () -> Void) { body.withLock { $0 = Body(wake: wake) } }
    func callAsFunction() { body.withLock(\.self).wake() }
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
