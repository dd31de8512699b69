// SPDX-License-Identifier: Apache-2.0
//  Starts a job's executable again when it was killed, from its newest checkpoint.

import Glibc
import Synchronization
import Thalweg

/// Runs a job as a child process and starts it again when a signal ended it: a trap in a user's function, an
/// out-of-memory kill. An orderly end, good or bad, is the child's own and is passed on.
struct Supervisor {
    let executable: String
    /// Of the first start; later ones go on from the newest checkpoint.
    let arguments: [String]
    let strategy: RestartStrategy

    /// The child that signals are handed on to.
    private static let child = Atomic<pid_t>(0)

    /// Runs until the child ends by itself or restarts are used up; returns its exit code.
    func run() throws -> Int32 {
        for number in [SIGINT, SIGTERM] {
            // Only async-signal-safe calls: load an atomic, send a signal.
            Glibc.signal(number) { received in kill(Supervisor.child.load(ordering: .relaxed), received) }
        }
        var state = RestartState(strategy: strategy, seed: UInt64(getpid()))
        let clock = SystemClock()
        var isFirst = true
        while true {
            let status = try launch(isFirst ? arguments : resuming)
            isFirst = false
            guard let signal = Self.signal(of: status) else { return (status >> 8) & 0xFF }
            if signal == SIGINT || signal == SIGTERM { return 128 + signal }
            let reason = "killed by signal \(signal)"
            let decision = state.failed(
                TaskID(vertex: 0, subtask: 0), region: -1, reason: reason, now: clock.now)
            guard case .restart(_, let moment, let attempt) = decision else {
                throw ThalwegError(
                    .task, "the job was killed too often", detail: reason,
                    hint: "look into why it dies; its newest checkpoint is kept")
            }
            report("\(executable) was \(reason); restart \(attempt) from the newest checkpoint\n")
            let pause = max(0, moment - clock.now)
            // Until the time has come, or a signal says that nobody wants a restart any more.
            if poll(nil, 0, Int32(clamping: pause)) < 0 && errno == EINTR { return 130 }
            state.restarted(region: -1, now: clock.now)
        }
    }

    /// The arguments with `--from latest` in place of where the first start began.
    private var resuming: [String] {
        var kept: [String] = []
        var skips = false
        for argument in arguments {
            if skips {
                skips = false
            } else if argument == "--from" {
                skips = true
            } else if !argument.hasPrefix("--from=") {
                kept.append(argument)
            }
        }
        return kept + ["--from", "latest"]
    }

    /// The signal that ended a child; nil when it ended by itself.
    private static func signal(of status: Int32) -> Int32? {
        let number = status & 0x7F
        return number == 0 ? nil : number
    }

    private func report(_ text: String) { text.withCString { _ = write(STDERR_FILENO, $0, strlen($0)) } }

    /// Starts the child and waits for its end.
    private func launch(_ arguments: [String]) throws -> Int32 {
        var list: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) }
        list.append(nil)
        defer { for text in list { free(text) } }
        var pid = pid_t()
        let failure = posix_spawn(&pid, executable, nil, nil, list, environ)
        guard failure == 0 else {
            throw ThalwegError(
                .job, "the job cannot be started", detail: "\(executable): \(String(cString: strerror(failure)))",
                hint: "give the path of an executable whose main type is a StreamJob")
        }
        Self.child.store(pid, ordering: .relaxed)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        return status
    }
}
