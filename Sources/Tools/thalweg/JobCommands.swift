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
        var list: [UnsafeMutablePointer<CChar>?] = ([file] + arguments).map { strdup($0) }
        list.append(nil)
        execv(file, list)
        let reason = String(cString: strerror(errno))
        for text in list { free(text) }
        return ThalwegError(
            .job, "the job cannot be started", detail: "\(file): \(reason)",
            hint: "give the path of an executable whose main type is a StreamJob; SQL files are not supported yet")
    }
}
