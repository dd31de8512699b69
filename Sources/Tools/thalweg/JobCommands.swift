// SPDX-License-Identifier: Apache-2.0
//  `thalweg run JOB` and `thalweg plan JOB`: a job is an executable, so this process becomes it.

import ArgumentParser
import Glibc
import Thalweg

struct JobRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a job's executable.",
        discussion: "The same as calling the executable itself: thalweg run ./hot-items --input bids.jsonl")

    @Flag(help: "Start the job again from its newest checkpoint when a signal has ended it; needs --checkpoint-dir.")
    var supervise = false

    @Option(help: "With --supervise: when to start again, such as fixed-delay:3:10s.")
    var superviseRestart = "exponential-delay:1s:1min"

    @Argument(help: "The job's executable.")
    var job: String

    @Argument(parsing: .allUnrecognized, help: "The job's options.")
    var options: [String] = []

    func validate() throws {
        if supervise && !options.contains(where: { $0.hasPrefix("--checkpoint-dir") }) {
            throw ValidationError("--supervise needs --checkpoint-dir: without it a restart begins at the beginning")
        }
        _ = try CheckpointArguments.strategy(superviseRestart, "--supervise-restart")
    }

    func run() async throws {
        guard supervise else { throw JobExecutable.become(job, ["run"] + options) }
        // A first start in an empty directory begins at the beginning.
        let from = options.contains { $0.hasPrefix("--from") } ? [] : ["--from", "latest"]
        let supervisor = Supervisor(
            executable: JobExecutable.path(of: job), arguments: ["run"] + options + from,
            strategy: try CheckpointArguments.strategy(superviseRestart, "--supervise-restart"))
        throw ExitCode(try supervisor.run())
    }
}

struct JobPlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show the steps and tasks of a job's executable without running it.")

    @Argument(help: "The job's executable.")
    var job: String

    @Argument(parsing: .allUnrecognized, help: "The job's options, and --format text|json|dot.")
    var options: [String] = []

    func run() async throws { throw JobExecutable.become(job, ["plan"] + options) }
}

enum JobExecutable {
    /// A bare name means a file here, not a program on the search path.
    static func path(of job: String) -> String { job.contains("/") ? job : "./" + job }

    /// Replaces this process by a job's executable; returns only when that fails.
    static func become(_ path: String, _ arguments: [String]) -> ThalwegError {
        let file = Self.path(of: path)
        return withArguments([file] + arguments) { list in
            execv(file, list)
            return failure(file, errno)
        }
    }

    /// Starts an executable as a child.
    ///
    /// - Parameters:
    ///   - hasOwnGroup: whether signals to the group of this process do not come to it.
    ///   - output: what it prints to; nil: where this process does.
    static func spawn(
        _ file: String, _ arguments: [String], hasOwnGroup: Bool = false, output: Int32? = nil
    ) throws(ThalwegError) -> pid_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setpgroup(&attributes, 0)
        // This thread blocks nearly all signals, as those of a pool do: a job that inherited that could not be stopped.
        var blocked = sigset_t()
        sigemptyset(&blocked)
        posix_spawnattr_setsigmask(&attributes, &blocked)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | (hasOwnGroup ? POSIX_SPAWN_SETPGROUP : 0)))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let output { posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) }
        var pid = pid_t()
        let code = withArguments([file] + arguments) { posix_spawn(&pid, file, &actions, &attributes, $0, environ) }
        guard code == 0 else { throw failure(file, code) }
        return pid
    }

    /// Waits for the end of a child; returns its status as `waitpid` gives it.
    static func wait(for child: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        return status
    }

    /// The signal that ended a child with this status; nil when it ended by itself.
    static func signal(of status: Int32) -> Int32? {
        let number = status & 0x7F
        return number == 0 ? nil : number
    }

    /// The code with which a child with this status ended by itself.
    static func exitCode(of status: Int32) -> Int32 { (status >> 8) & 0xFF }

    private static func withArguments<Result>(
        _ arguments: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        var list: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        list.append(nil)
        defer { for text in list { free(text) } }
        return body(list)
    }

    private static func failure(_ file: String, _ code: Int32) -> ThalwegError {
        ThalwegError(
            .job, "the job cannot be started", detail: "\(file): \(String(cString: strerror(code)))",
            hint: "give the path of an executable whose main type is a StreamJob; SQL files are not supported yet")
    }
}
