// SPDX-License-Identifier: Apache-2.0
//  Runs a job from a command line: progress, signals, a report.

import Glibc
import Synchronization
import ThalwegBase
import ThalwegControl
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
        /// Only what people should know of the job, such as restarts and refused checkpoints, on standard error.
        case notices
        /// Nothing.
        case quiet
    }

    let name: String
    let environment: StreamEnvironment
    let output: Output
    let stopping: StopPolicy

    public init(name: String, environment: StreamEnvironment, output: Output, stopping: StopPolicy = StopPolicy()) {
        self.name = name
        self.environment = environment
        self.output = output
        self.stopping = stopping
    }

    /// Runs the job until it ends or the process is told to stop: by SIGINT or SIGTERM, which take a last checkpoint
    /// when the job has a directory for them; a second signal cancels.
    ///
    /// - Throws: the job's failure, or `ExitCode(130)` when it was cancelled.
    @discardableResult
    public func run(on scheduler: any TaskScheduler = WorkerPool()) async throws -> JobReport {
        try await run(try environment.makeExecution(), on: scheduler)
    }

    /// Runs an execution of the environment's job that somebody else wants to watch.
    @discardableResult
    public func run(_ execution: JobExecution, on scheduler: any TaskScheduler = WorkerPool()) async throws -> JobReport
    {
        let start = MonotonicTime.now
        let progress = output == .progress ? ProgressLine(execution, start: start) : nil
        progress?.start()
        if output != .quiet {
            for line in execution.notices.lines { ProgressLine.write("\(line)\n") }
            execution.notices.listen { ProgressLine.write("\($0)\n") }
        } else {
            execution.notices.listen { if $0.hasPrefix(MemoryWatch.warning) { ProgressLine.write("\($0)\n") } }
        }
        let result: Result<JobOutcome, any Error>
        do { result = .success(try await runHeedingSignals(execution, on: scheduler)) } catch {
            result = .failure(error)
        }
        progress?.stop()
        var report = JobReport(of: execution, seconds: start.secondsSince)
        switch result {
        case .failure(is CancellationError):
            let kept = environment.settings.checkpoints == nil ? "nothing was published" : "no last checkpoint"
            ProgressLine.write("cancelled: \(kept)\n")
            throw ExitCode(130)
        case .failure(let error): throw error
        case .success(let outcome):
            if case .stopped(let snapshot) = outcome { report.stoppedWith = snapshot }
            show(report)
        }
        return report
    }

    private func show(_ report: JobReport) {
        switch output {
        case .progress:
            if let snapshot = report.stoppedWith {
                ProgressLine.write("stopped: \(snapshot.kind.rawValue) snapshot \(snapshot.path ?? "none")\n")
            }
            ProgressLine.write(ProgressLine.summary(report))
        case .json: if let json = try? report.json { print(json) }
        case .notices, .quiet: break
        }
    }

    /// The job beside what listens for signals and for event time.
    private func runHeedingSignals(
        _ execution: JobExecution, on scheduler: any TaskScheduler
    ) async throws -> JobOutcome {
        let stopping = stopping
        let watch = Self.watch(execution, stopping)
        defer { watch?.stop() }
        // Before the job begins, so that it never runs without heeding them.
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        return try await withThrowingTaskGroup(of: JobOutcome?.self) { group in
            group.addTask { try await execution.run(on: scheduler) }
            group.addTask {
                var isFirst = true
                for await _ in signals {
                    if isFirst && stopping.isPossible {
                        ProgressLine.write("\nstopping; once more cancels\n")
                        Task { await Self.stop(execution, stopping) }
                    } else {
                        execution.cancel()
                    }
                    isFirst = false
                }
                return nil
            }
            defer { group.cancelAll() }
            while let outcome = try await group.next() { if let outcome { return outcome } }
            throw CancellationError()
        }
    }

    /// Stops the job when event time has come far enough.
    private static func watch(_ execution: JobExecution, _ policy: StopPolicy) -> Ticker? {
        guard let moment = policy.watermark else { return nil }
        let ticker = Ticker()
        let stops = Counter()
        ticker.start(every: .milliseconds(10)) {
            guard stops.value == 0, let time = JobReport(of: execution, seconds: 0).eventTime, time >= moment else {
                return
            }
            stops.add(1)
            Task { await stop(execution, policy) }
        }
        return ticker
    }

    private static func stop(_ execution: JobExecution, _ policy: StopPolicy) async {
        let escalation = policy.timeout.map { timeout in
            let ticker = Ticker()
            ticker.start(every: timeout) {
                ProgressLine.write("the stop took longer than \(timeout): cancelling\n")
                execution.cancel()
                ticker.stop()
            }
            return ticker
        }
        do { try await execution.stop(policy.mode) } catch {
            // After a cancel, and when it has come to its end meanwhile, the job says itself how it ended.
            let hasEnded = (error as? ThalwegError)?.primary == JobExecution.hasEnded.primary
            if !execution.isCancelled && !hasEnded { ProgressLine.write("not stopped, the job goes on: \(error)\n") }
        }
        escalation?.stop()
    }
}
