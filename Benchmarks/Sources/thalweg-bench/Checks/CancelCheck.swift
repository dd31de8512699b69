// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check cancel`: a process whose job is stuck in a user's function ends all the same (45.d5).

import ArgumentParser
import Foundation
import Synchronization
import Thalweg

/// Starts a job as a process of its own, waits until one of its tasks is stuck, and signals it twice. Fails when the
/// process outlives its bound, does not name the task, or publishes anything after the second signal.
struct CancelCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Measure how long a job that is stuck outlives its cancel.",
        subcommands: [Measure.self, Stuck.self], defaultSubcommand: Measure.self)

    struct Measure: AsyncParsableCommand {
        @Option(help: "How long the job waits for its tasks.") var bound = Duration.seconds(2)
        @Option(help: "The directory for output and checkpoints.") var directory = "cancel-measured"

        func run() async throws {
            try? FileManager.default.removeItem(atPath: directory)
            let (process, errors) = (Process(), Pipe())
            process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            process.arguments = [
                "check", "cancel", "stuck", "--output", "\(directory)/out/", "--checkpoint-dir",
                "\(directory)/checkpoints", "--checkpoint-interval", "20ms", "--cancel-timeout",
                bound.defaultValueDescription,
            ]
            process.standardError = errors
            try process.run()
            // The first signal: a stop, which cannot come to its end.
            try await Task.sleep(for: .milliseconds(1500))
            process.interrupt()
            try await Task.sleep(for: .milliseconds(500))
            let start = MonotonicTime.now
            process.interrupt()
            try await Task.sleep(for: .milliseconds(50))
            let published = parts()
            let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            let seconds = (start.secondsSince * 100).rounded() / 100
            let verdicts = [
                report(
                    "ended \(seconds) s after its cancel, with a bound of \(bound.defaultValueDescription)",
                    holds: seconds <= bound / .seconds(1) + 1),
                report("exit code \(process.terminationStatus)", holds: process.terminationStatus == 130),
                report(
                    "the task is named", holds: text.contains("ends without") && text.contains("stuck")),
                report(
                    "\(published.count) parts before the cancel, \(parts().count) at the end",
                    holds: parts() == published && !published.isEmpty),
            ]
            if verdicts.contains(false) {
                print(text)
                throw ExitCode.failure
            }
            try FileManager.default.removeItem(atPath: directory)
        }

        private func parts() -> [String] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(directory)/out")) ?? []
            return names.filter { $0.hasPrefix("part-") }.sorted()
        }

        private func report(_ text: String, holds: Bool) -> Bool {
            print("45.d5  \(holds ? "holds " : "MISSED")  \(text)")
            return holds
        }
    }

    /// The job: after some checkpoints one of its tasks does not come back.
    struct Stuck: AsyncParsableCommand {
        static let configuration = CommandConfiguration(shouldDisplay: false)

        @Option var output: String
        @OptionGroup var checkpoints: CheckpointArguments

        func run() async throws {
            let env = StreamEnvironment()
            env.settings.parallelism = 2
            try checkpoints.apply(to: &env.settings)
            let start = MonotonicTime.now
            env.read(GeneratedSource(0..<Int64.max / 2) { $0 }, name: "numbers")
                .map(name: "stuck") { number in
                    // Slowly, so that the disk is not filled meanwhile.
                    if number % 1000 == 0 { usleep(1000) }
                    while number % 2 == 1 && start.secondsSince > 1 { sleep(1) }
                    return "\(number)"
                }
                .write(to: .files(output, format: .lines))
            try await JobRunner(
                name: "stuck", environment: env, output: .progress, stopping: checkpoints.stopPolicy
            ).run()
        }
    }
}
