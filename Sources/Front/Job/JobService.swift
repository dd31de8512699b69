// SPDX-License-Identifier: Apache-2.0
//  A job inside a server.

import Logging
import ServiceLifecycle
import ThalwegBase
import ThalwegOperator
import ThalwegRuntime

/// Runs a job as one service of a server process: it is stopped when the server shuts down.
///
///     let group = ServiceGroup(services: [httpServer, try JobService(environment)], ...)
///
/// A job with checkpoints takes a last one then, publishes what belongs to it, and goes on from there when it is
/// started from `latest`. When that fails the log says why, and the job goes on from the checkpoint before. A job
/// without checkpoints is cancelled and publishes nothing. `run()` then returns like that of any service asked to end.
public struct JobService: Service {
    /// The counters of the job, readable while it runs.
    public let execution: JobExecution
    private let scheduler: any TaskScheduler
    private let stopTimeout: Duration
    private let takesCheckpoints: Bool
    private let logger: Logger

    /// - Parameters:
    ///   - stopTimeout: how long the last checkpoint may take before the job is cancelled without it: less than the
    ///     server grants its services.
    ///   - logger: is told what people should know: restarts, and why there is no last checkpoint.
    public init(
        _ environment: StreamEnvironment, on scheduler: any TaskScheduler = WorkerPool(),
        stopTimeout: Duration = .seconds(20), logger: Logger = Logger(label: "thalweg")
    ) throws {
        execution = try environment.makeExecution()
        self.logger = logger
        let tell: @Sendable (String) -> Void = { line in
            logger.log(level: line.hasPrefix("warning: ") ? .warning : .notice, "\(line)")
        }
        for line in execution.notices.lines { tell(line) }
        execution.notices.listen(tell)
        self.scheduler = scheduler
        self.stopTimeout = stopTimeout
        takesCheckpoints = environment.settings.checkpoints != nil
    }

    public func run() async throws {
        let (execution, scheduler, logger) = (execution, scheduler, logger)
        let timeout = takesCheckpoints ? stopTimeout : nil
        do {
            try await withGracefulShutdownHandler {
                _ = try await execution.run(on: scheduler)
            } onGracefulShutdown: {
                guard let timeout else { return execution.cancel() }
                Self.stop(execution, within: timeout, logger)
            }
        } catch is CancellationError where Task.isShuttingDownGracefully {
            return
        }
    }

    private static func stop(_ execution: JobExecution, within timeout: Duration, _ logger: Logger) {
        let escalation = Ticker()
        escalation.start(every: timeout) {
            logger.error("no last checkpoint within \(timeout): the job is cancelled, and goes on from the one before")
            execution.cancel()
            escalation.stop()
        }
        Task {
            do { try await execution.stop() } catch {
                let hasEnded = (error as? ThalwegError)?.primary == JobExecution.hasEnded.primary
                if !execution.isCancelled && !hasEnded {
                    logger.error("no last checkpoint: the job goes on from the one before; the reason: \(error)")
                }
                execution.cancel()
            }
            escalation.stop()
        }
    }
}
