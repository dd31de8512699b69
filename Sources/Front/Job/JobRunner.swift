// SPDX-License-Identifier: Apache-2.0
//  Runs a job from a command line: progress, signals, a report.

import Glibc
import Logging
import ServiceLifecycle
import ThalwegBase
import ThalwegGraph
import ThalwegOperator
import ThalwegRuntime
import UnixSignals

/// Runs a job in the foreground of a process.
public struct JobRunner {
    /// What is printed.
    public enum Output: Sendable {
        /// Progress on standard error (one line that is rewritten on a terminal, plain lines elsewhere), then a
        /// summary.
        case progress
        /// Only a report as JSON on standard output at the end.
        case json
        /// Nothing.
        case quiet
    }

    let name: String
    let environment: StreamEnvironment
    let output: Output

    public init(name: String, environment: StreamEnvironment, output: Output) {
        self.name = name
        self.environment = environment
        self.output = output
    }

    /// Runs the job until it ends or the process is told to stop (SIGINT, SIGTERM).
    ///
    /// - Throws: the job's failure, or `ExitCode(130)` when it was stopped.
    @discardableResult
    public func run(on scheduler: any TaskScheduler = WorkerPool()) async throws -> JobReport {
        let execution = try environment.makeExecution()
        let start = MonotonicTime.now
        let service = ForegroundJob(execution: execution, scheduler: scheduler)
        var logger = Logger(label: name)
        logger.logLevel = .critical
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(
                    service: service, successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .cancelGroup)
            ], cancellationSignals: [.sigint, .sigterm], logger: logger)
        configuration.maximumCancellationDuration = .seconds(30)
        let group = ServiceGroup(configuration: configuration)
        let progress = output == .progress ? ProgressLine(execution, start: start) : nil
        progress?.start()
        var failure: (any Error)?
        do { try await group.run() } catch { failure = error }
        progress?.stop()
        let report = JobReport(of: execution, seconds: start.secondsSince)
        if failure == nil && !service.hasFinished { failure = CancellationError() }
        if let failure {
            if failure is CancellationError {
                ProgressLine.write("stopped: nothing was published\n")
                throw ExitCode(130)
            }
            throw failure
        }
        switch output {
        case .progress: ProgressLine.write(ProgressLine.summary(report))
        case .json: print(try report.json)
        case .quiet: break
        }
        return report
    }
}

/// The job as the one service of a foreground process.
private final class ForegroundJob: Service {
    let execution: JobExecution
    let scheduler: any TaskScheduler
    private let finished = Counter()

    var hasFinished: Bool { finished.value > 0 }

    init(execution: JobExecution, scheduler: any TaskScheduler) {
        self.execution = execution
        self.scheduler = scheduler
    }

    func run() async throws {
        try await execution.run(on: scheduler)
        finished.add(1)
    }
}
