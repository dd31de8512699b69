// SPDX-License-Identifier: Apache-2.0
//  A job inside a server.

import ServiceLifecycle
import ThalwegBase
import ThalwegOperator
import ThalwegRuntime

/// Runs a job as one service of a server process: it is stopped when the server shuts down.
///
///     let group = ServiceGroup(services: [httpServer, try JobService(environment)], ...)
///
/// A job with checkpoints takes a last one then, publishes what belongs to it, and goes on from there when it is
/// started from `latest`. A job without checkpoints is cancelled and publishes nothing. `run()` then returns like that
/// of any service asked to end.
public struct JobService: Service {
    /// The counters of the job, readable while it runs.
    public let execution: JobExecution
    private let scheduler: any TaskScheduler
    private let stopTimeout: Duration
    private let takesCheckpoints: Bool

    /// - Parameter stopTimeout: how long the last checkpoint may take before the job is cancelled without it: less than
    ///   the server grants its services.
    public init(
        _ environment: StreamEnvironment, on scheduler: any TaskScheduler = WorkerPool(),
        stopTimeout: Duration = .seconds(20)
    ) throws {
        execution = try environment.makeExecution()
        self.scheduler = scheduler
        self.stopTimeout = stopTimeout
        takesCheckpoints = environment.settings.checkpoints != nil
    }

    public func run() async throws {
        let (execution, scheduler) = (execution, scheduler)
        let timeout = takesCheckpoints ? stopTimeout : nil
        do {
            try await withGracefulShutdownHandler {
                _ = try await execution.run(on: scheduler)
            } onGracefulShutdown: {
                guard let timeout else { return execution.cancel() }
                Self.stop(execution, within: timeout)
            }
        } catch is CancellationError where Task.isShuttingDownGracefully {
            return
        }
    }

    private static func stop(_ execution: JobExecution, within timeout: Duration) {
        let escalation = Ticker()
        escalation.start(every: timeout) {
            execution.cancel()
            escalation.stop()
        }
        Task {
            // Without a last checkpoint the job goes on after the next start from the one before.
            do { try await execution.stop() } catch { execution.cancel() }
            escalation.stop()
        }
    }
}
