// SPDX-License-Identifier: Apache-2.0
//  Starts a job's executable again when it was killed, from its newest checkpoint.

import Glibc
import Synchronization
import Thalweg

/// Runs a job as a child process and starts it again when a signal ended it: a trap in a user's function, an
/// out-of-memory kill. An orderly end, good or bad, is the child's own and is passed on.
///
/// Signals that ask for an end are handed on, and then nothing is started again. The child has a process group of its
/// own, so that a signal to the whole group, as a terminal sends it, comes to the child once and not twice, which would
/// cancel it. Not promised: that the child ends when this process is killed.
struct Supervisor {
    let executable: String
    /// Of the first start; later ones go on from the newest checkpoint.
    let arguments: [String]
    let strategy: RestartStrategy

    /// The child that signals are handed on to; 0 when there is none.
    private static let child = Atomic<pid_t>(0)
    /// The last signal that asked for an end; 0 when there was none.
    private static let asked = Atomic<Int32>(0)
    /// Whether a signal has come that no child was told of yet.
    private static let isOwed = Atomic<Bool>(false)
    private static let handedOn = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

    /// Runs until the child ends by itself or restarts are used up; returns its exit code.
    func run() throws -> Int32 {
        // The handler must find the statics initialised.
        Self.child.store(0, ordering: .relaxed)
        Self.asked.store(0, ordering: .relaxed)
        Self.isOwed.store(false, ordering: .relaxed)
        for number in Self.handedOn where !Self.isIgnored(number) {
            // Only async-signal-safe calls: atomics, and sending a signal.
            Glibc.signal(number) { received in
                Supervisor.asked.store(received, ordering: .sequentiallyConsistent)
                Supervisor.isOwed.store(true, ordering: .sequentiallyConsistent)
                Supervisor.handOn()
            }
        }
        var state = RestartState(strategy: strategy, seed: UInt64(getpid()))
        let clock = SystemClock()
        let before = newestCheckpoint
        var next = arguments
        while true {
            let status = try launch(next)
            guard let signal = JobExecutable.signal(of: status) else { return JobExecutable.exitCode(of: status) }
            if Self.asked.load(ordering: .relaxed) != 0 || signal == SIGINT || signal == SIGTERM {
                return 128 + signal
            }
            let reason = "killed by signal \(signal)"
            let decision = state.failed(
                TaskID(vertex: 0, subtask: 0), region: -1, reason: reason, now: clock.now)
            guard case .restart(_, let moment, let attempt) = decision else {
                throw ThalwegError(
                    .task, "the job was killed too often", detail: "\(executable) was \(reason)",
                    hint: "look into why it dies; then go on from its newest checkpoint with --from latest")
            }
            // Until the job has a checkpoint of its own the newest one is not where it was told to begin.
            let isUnderWay = origin == nil || newestCheckpoint != before
            next = isUnderWay ? resuming : arguments
            let place = isUnderWay ? "from the newest checkpoint" : "where it was told to begin"
            report("\(executable) was \(reason); restart \(attempt) \(place)\n")
            if let signal = Self.waitUntil(moment, clock) { return 128 + signal }
            state.restarted(region: -1, now: clock.now)
        }
    }

    /// Whether this process was started to ignore a signal, as by `nohup`: then it does, and so does its child.
    private static func isIgnored(_ number: Int32) -> Bool {
        var current = sigaction()
        guard sigaction(number, nil, &current) == 0 else { return false }
        return unsafeBitCast(current.__sigaction_handler.sa_handler, to: Int.self)
            == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// Tells the child, if there is one, of a signal that it was not told of. The handler does it, and whoever has just
    /// started a child: one of the two.
    private static func handOn() {
        let child = child.load(ordering: .sequentiallyConsistent)
        guard child > 0, isOwed.exchange(false, ordering: .sequentiallyConsistent) else { return }
        kill(child, asked.load(ordering: .sequentiallyConsistent))
    }

    /// Waits until the time has come; returns the signal that says that nobody wants a restart any more.
    private static func waitUntil(_ moment: Int64, _ clock: SystemClock) -> Int32? {
        while true {
            let signal = asked.load(ordering: .relaxed)
            if signal != 0 { return signal }
            let pause = moment - clock.now
            guard pause > 0 else { return nil }
            // In short pieces: a signal just before the call does not interrupt it.
            poll(nil, 0, Int32(min(pause, 100)))
        }
    }

    /// Where the job was told to begin, if that may be elsewhere than at the newest checkpoint of a directory that the
    /// arguments name.
    private var origin: String? {
        guard value(of: "--checkpoint-dir") != nil, let from = value(of: "--from"), from != "latest" else { return nil }
        return from
    }

    /// The newest checkpoint of the directory that the arguments name; nil when there is none, or none can be read.
    private var newestCheckpoint: Int64? {
        guard let directory = value(of: "--checkpoint-dir") else { return nil }
        return (try? CheckpointStore(root: directory, fileSystem: LocalFileSystem()).latestCheckpointID) ?? nil
    }

    private func value(of option: String) -> String? {
        var value: String?
        for (index, argument) in arguments.enumerated() {
            if argument.hasPrefix(option + "=") { value = String(argument.dropFirst(option.count + 1)) }
            if argument == option, index + 1 < arguments.count { value = arguments[index + 1] }
        }
        return value
    }

    /// The arguments with `--from latest` in place of where the first start began. What it was allowed to repeat it has
    /// begun to repeat.
    private var resuming: [String] {
        var kept: [String] = []
        var skips = false
        for argument in arguments {
            if skips {
                skips = false
            } else if argument == "--from" {
                skips = true
            } else if !argument.hasPrefix("--from=") && argument != "--repeat-output" {
                kept.append(argument)
            }
        }
        return kept + ["--from", "latest"]
    }

    private func report(_ text: String) { text.withCString { _ = write(STDERR_FILENO, $0, strlen($0)) } }

    /// Starts the child and waits for its end.
    private func launch(_ arguments: [String]) throws -> Int32 {
        let child = try JobExecutable.spawn(executable, arguments, hasOwnGroup: true)
        Self.child.store(child, ordering: .sequentiallyConsistent)
        Self.handOn()
        let status = JobExecutable.wait(for: child)
        Self.child.store(0, ordering: .relaxed)
        return status
    }
}
