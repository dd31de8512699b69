// SPDX-License-Identifier: Apache-2.0
//  Runs asynchronous code on the calling thread.

import Synchronization
import Thalweg

/// A task executor without threads: its jobs run when ``run(_:)`` is called, in the order in which they were made.
final class SingleThreadExecutor: TaskExecutor {
    private let jobs = Guarded<[UnownedJob]>([])

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
    }

    /// Runs a body on this thread, up to its end or to where it waits for something outside.
    func run(_ body: @escaping @Sendable () async -> Void) {
        Task(executorPreference: self) { await body() }
        while let job = jobs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
