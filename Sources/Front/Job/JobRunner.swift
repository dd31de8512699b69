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
        /// Only what people should know of the job, such as restarts, on standard error.
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
    /// when the job has a directory for them; a second signal cancels. A last checkpoint that fails is tried again,
    /// ``StopPolicy/attemptsMax`` times in all; then the job ends without it.
    ///
    /// - Throws: the job's failure, `ThalwegError(.task)` when it was ended without a last checkpoint, or
    ///   `ExitCode(130)` when it was cancelled.
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
        let stop = StopAttempt(execution, stopping)
        do { result = .success(try await runHeedingSignals(execution, stop, on: scheduler)) } catch {
            result = .failure(error)
        }
        progress?.stop()
        var report = JobReport(of: execution, seconds: start.secondsSince)
        switch result {
        case .failure(is CancellationError):
            if let failure = stop.failure { throw failure }
            let kept = environment.settings.checkpoints == nil ? "nothing was published" : "no last checkpoint"
            ProgressLine.write("cancelled: \(kept)\n")
            throw ExitCode(130)
        case .failure(let error): throw error
        case .success(let outcome):
            if case .stopped(let snapshot) = outcome {
                report.stoppedWith = snapshot
            } else if let moment = stopping.watermark, output != .quiet {
                ProgressLine.write(
                    "note: not stopped at event time \(moment) (--at-watermark): the input came to its end before\n")
            }
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
        _ execution: JobExecution, _ stop: StopAttempt, on scheduler: any TaskScheduler
    ) async throws -> JobOutcome {
        let watch = Self.watch(execution, stop)
        defer { watch?.stop() }
        // Before the job begins, so that it never runs without heeding them.
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let isPossible = stopping.isPossible
        return try await withThrowingTaskGroup(of: JobOutcome?.self) { group in
            group.addTask { try await execution.run(on: scheduler) }
            group.addTask {
                var (isFirst, echoes) = (true, SignalEchoes())
                let start = MonotonicTime.now
                for await signal in signals where !echoes.isEcho(signal, at: start.secondsSince) {
                    if isFirst && isPossible {
                        ProgressLine.write("\nstopping; once more cancels\n")
                        Task { await stop.run() }
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
    private static func watch(_ execution: JobExecution, _ stop: StopAttempt) -> Ticker? {
        guard let moment = stop.policy.watermark else { return nil }
        let ticker = Ticker()
        let stops = Counter()
        ticker.start(every: .milliseconds(10)) {
            guard stops.value == 0, let time = JobReport(of: execution, seconds: 0).eventTime, time >= moment else {
                return
            }
            stops.add(1)
            Task { await stop.run() }
        }
        return ticker
    }
}
