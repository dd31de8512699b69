// SPDX-License-Identifier: Apache-2.0
//  `thalweg state validate PATH --against JOB`: what a job would make of a snapshot.

import ArgumentParser
import Foundation
import Glibc
import Thalweg

struct StateValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Ask a job's executable what it would make of each state of a snapshot.",
        discussion: """
            thalweg state validate checkpoints --against ./hot-items --input bids.jsonl

            Runs the executable's own plan --against PATH, so that its types and options count. Exit codes: 0 when \
            nothing would be lost, 2 when state would be dropped, 3 when the job cannot start from the snapshot, 1 \
            when the question could not be answered.
            """)

    @Argument(help: "A snapshot.")
    var path: String
    @Option(name: .customLong("against"), help: "The job's executable.")
    var job: String
    @Flag(help: "Print the plan as a JSON object.")
    var json = false
    @Argument(parsing: .allUnrecognized, help: "The job's options.")
    var options: [String] = []

    func run() throws {
        let answer = try JobAnswer(of: job, ["plan"] + options + ["--against", path, "--format", "json"])
        let plan = try answer.plan()
        if json { print(answer.text) } else { print(plan.text, terminator: "") }
        if plan.exitCode != 0 { throw ExitCode(plan.exitCode) }
    }
}

/// What a job's executable printed when it was asked, and how it ended. What it said of errors stands on our own
/// standard error already.
private struct JobAnswer {
    let executable: String
    let text: String
    let exitCode: Int32

    /// The most bytes of an answer.
    private static let bytesMax = 64 << 20
    /// The most characters of an answer in an error.
    private static let shownMax = 200

    /// Asks, and waits for the end of the executable.
    init(of job: String, _ arguments: [String]) throws {
        executable = JobExecutable.path(of: job)
        let (reading, writing) = try Self.pipe()
        let child: pid_t
        do { child = try JobExecutable.spawn(executable, arguments, output: writing) } catch {
            Glibc.close(reading)
            Glibc.close(writing)
            throw error
        }
        // Only the child keeps the end that is written to: its end is that of the answer.
        Glibc.close(writing)
        let bytes = Self.readAll(reading)
        // A child that has more to say is told by the closed pipe that nobody listens.
        Glibc.close(reading)
        let status = JobExecutable.wait(for: child)
        guard bytes.count <= Self.bytesMax else {
            throw Self.failure(executable, "it printed more than \(Self.bytesMax) bytes", Self.noJob)
        }
        if let signal = JobExecutable.signal(of: status) {
            throw Self.failure(executable, "it was killed by signal \(signal)", "run its plan alone to see why")
        }
        text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        exitCode = JobExecutable.exitCode(of: status)
    }

    /// Both ends are closed in a child, but for what it gets as its output.
    private static func pipe() throws(ThalwegError) -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else {
            throw ThalwegError(.retry, "cannot open a pipe", detail: String(cString: strerror(errno)))
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// Everything, or a byte more than may be.
    private static func readAll(_ reading: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= bytesMax {
            let count = read(reading, &piece, min(piece.count, bytesMax + 1 - bytes.count))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += piece.prefix(count)
        }
        return bytes
    }

    /// The plan that it is.
    ///
    /// - Throws: kind `job` when it is none, or one of another version.
    func plan() throws -> UpgradePlan {
        struct Form: Decodable { let version: Int? }
        switch exitCode {
        case 0, 2, 3: break
        case 64:
            throw Self.failure(
                executable, "it refused the options",
                "check the options of the job; one that knows no --against was built with an older release")
        default: throw Self.failure(executable, "it ended with \(exitCode)", "it says above what is wrong")
        }
        let decoder = JSONDecoder()
        guard let form = try? decoder.decode(Form.self, from: Data(text.utf8)) else {
            let shown = text.isEmpty ? "nothing" : String(text.prefix(Self.shownMax)).debugDescription
            throw Self.failure(executable, "it printed \(shown)", Self.noJob)
        }
        guard form.version == UpgradePlan.currentVersion else {
            throw ThalwegError(
                .job, "the job was built with another release",
                detail: "\(executable): its plan has version \(form.version.map(String.init) ?? "none"), this release "
                    + "reads \(UpgradePlan.currentVersion)", hint: "build both with the same release")
        }
        guard let plan = try? decoder.decode(UpgradePlan.self, from: Data(text.utf8)), plan.exitCode == exitCode else {
            throw ThalwegError(
                .job, "the job's plan is not understood",
                detail: "\(executable): \(String(text.prefix(Self.shownMax)).debugDescription), exit code \(exitCode)",
                hint: "build both with the same release")
        }
        return plan
    }

    private static let noJob = "give the path of an executable whose main type is a StreamJob"

    private static func failure(_ executable: String, _ detail: String, _ hint: String) -> ThalwegError {
        ThalwegError(.job, "the job gives no plan", detail: "\(executable): \(detail)", hint: hint)
    }
}
