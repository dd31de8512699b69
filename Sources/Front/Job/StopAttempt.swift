// SPDX-License-Identifier: Apache-2.0
//  A stop with a last checkpoint that is tried some times, and not for ever.

import Synchronization
import ThalwegBase
import ThalwegOperator
import ThalwegRuntime

/// Stops a job in the foreground. Who asks a process to end has no use for one that goes on for ever: when no last
/// checkpoint can be taken, as on a full disk, the job ends without it and is continued from the one before.
final class StopAttempt: Sendable {
    let policy: StopPolicy
    private let execution: JobExecution
    private let pause: Duration
    private let why = Guarded<ThalwegError?>(nil)

    /// - Parameter pause: between an attempt that failed and the next.
    init(_ execution: JobExecution, _ policy: StopPolicy, pause: Duration = .seconds(1)) {
        self.execution = execution
        self.policy = policy
        self.pause = pause
    }

    /// Why the job was ended without a last checkpoint; nil when it was not.
    var failure: ThalwegError? { why.withLock { $0 } }

    /// Stops the job, or cancels it after so many attempts or so long a time as the policy says.
    func run() async {
        let escalation = policy.timeout.map { timeout in
            let ticker = Ticker()
            ticker.start(every: timeout) { [execution] in
                ProgressLine.write("the stop took longer than \(timeout): cancelling\n")
                execution.cancel()
                ticker.stop()
            }
            return ticker
        }
        defer { escalation?.stop() }
        for attempt in 1...StopPolicy.attemptsMax {
            do {
                _ = try await execution.stop(policy.mode)
                return
            } catch {
                // After a cancel, and when it has come to its end meanwhile, the job says itself how it ended.
                let hasEnded = (error as? ThalwegError)?.primary == JobExecution.hasEnded.primary
                if execution.isCancelled || hasEnded { return }
                guard attempt < StopPolicy.attemptsMax else { return giveUp(error) }
                ProgressLine.write("not stopped, one more attempt follows: \(error)\n")
                await rest()
            }
        }
    }

    private func giveUp(_ error: any Error) {
        let failure = ThalwegError(
            .task, "the job has ended without a last checkpoint", detail: "\(StopPolicy.attemptsMax) attempts failed",
            hint:
                "mend what they failed for, and start with --from latest: the job goes on from the checkpoint before, "
                + "and nothing is lost or doubled", cause: error)
        why.withLock { $0 = failure }
        execution.cancel()
    }

    private func rest() async {
        let ticker = Ticker()
        await withCheckedContinuation { waiter in
            ticker.start(every: pause) {
                ticker.stop()
                waiter.resume()
            }
        }
    }
}
