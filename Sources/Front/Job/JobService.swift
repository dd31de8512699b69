// SPDX-License-Identifier: Apache-2.0
//  A job inside a server.

import ServiceLifecycle
import ThalwegBase
import ThalwegRuntime

/// Runs a job as one service of a server process: it is stopped when the server shuts down.
///
///     let group = ServiceGroup(services: [httpServer, try JobService(environment)], ...)
///
/// A stopped job publishes nothing, as a failed one; `run()` then returns like that of any service asked to end.
public struct JobService: Service {
    /// The counters of the job, readable while it runs.
    public let execution: JobExecution
    private let scheduler: any TaskScheduler

    public init(_ environment: StreamEnvironment, on scheduler: any TaskScheduler = WorkerPool()) throws {
        execution = try environment.makeExecution()
        self.scheduler = scheduler
    }

    public func run() async throws {
        let (execution, scheduler) = (execution, scheduler)
        do {
            try await cancelWhenGracefulShutdown { try await execution.run(on: scheduler) }
        } catch is CancellationError where Task.isShuttingDownGracefully {
            return
        }
    }
}
