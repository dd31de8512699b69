// SPDX-License-Identifier: Apache-2.0
//  `thalweg state validate`: asks a real job, and says what is wrong with what is none.

import Foundation
import Testing

@Suite struct ValidateTests {
    /// A folder with the last snapshot of a job.
    private final class Stage {
        let folder = NSTemporaryDirectory() + "thalweg-\(UUID().uuidString)"
        var snapshots: String { folder + "/checkpoints" }

        init() throws {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let (code, output) = try Built.job.run(["run", "--quiet", "--checkpoint-dir", snapshots])
            #expect(code == 0, "\(output)")
        }

        deinit { try? FileManager.default.removeItem(atPath: folder) }

        func validate(_ job: String = Built.job.path, _ options: String...) throws -> (code: Int32, output: String) {
            try Built.tool.run(["state", "validate", snapshots, "--against", job] + options)
        }

        /// An executable that does what a script says.
        func script(_ text: String) throws -> String {
            let path = folder + "/script-\(UUID().uuidString)"
            try ("#!/bin/sh\n" + text).write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
            return path
        }
    }

    /// What is printed, and the exit code, are those of the job's own plan.
    @Test(arguments: [
        ("narrow", 0, "kept"), ("wide", 0, "migrated"), ("renamed", 2, "dropped"), ("text", 3, "incompatible"),
    ])
    func theJobIsAsked(_ version: String, _ code: Int32, _ verdict: String) throws {
        let stage = try Stage()
        let found = try stage.validate(Built.job.path, "--version", version)
        #expect(found.code == code, "\(found.output)")
        #expect(
            found.output.contains("  \(verdict)") && found.output.contains("sum: value, 10 entries"), "\(found.output)")
        let own = try Built.job.run(["plan", "--version", version, "--against", stage.snapshots])
        #expect(own == found)
        let json = try stage.validate(Built.job.path, "--version", version, "--json")
        #expect(json.code == code)
        let plan = try #require(
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any], "\(json.output)")
        #expect(plan["version"] as? Int == 1 && plan["steps"] is [Any])
        // The start agrees.
        let start = try Built.job.run(["run", "--quiet", "--version", version, "--from", stage.snapshots])
        #expect((start.code == 0) == (code == 0), "\(start.output)")
    }

    @Test func whatGivesNoPlanIsNamed() throws {
        let stage = try Stage()
        func check(_ job: String, _ texts: String..., options: [String] = []) throws {
            let found = try Built.tool.run(["state", "validate", stage.snapshots, "--against", job] + options)
            #expect(found.code == 1, "\(found.output)")
            for text in texts { #expect(found.output.contains(text), "\(found.output)") }
        }
        try check(stage.folder + "/nothing", "the job cannot be started", "No such file")
        try check(stage.folder, "the job cannot be started")
        try check(try stage.script("echo hello\n"), "the job gives no plan", #"it printed "hello""#)
        try check(try stage.script("exit 0\n"), "the job gives no plan", "it printed nothing")
        try check(try stage.script("kill -KILL $$\n"), "it was killed by signal 9")
        try check(try stage.script("yes 123456789012345678901234567890 | head -c 70000000\n"), "it printed more than")
        try check(try stage.script("echo '{\"steps\":[]}'\n"), "built with another release", "version none")
        try check(try stage.script("echo '{\"version\":7}'\n"), "built with another release", "version 7")
        try check(try stage.script("echo '{\"version\":1}'\n"), "the job's plan is not understood")
        try check(Built.job.path, "it refused the options", "Unknown option '--frobnicate'", options: ["--frobnicate"])
        try check(try stage.script("echo 'odd trouble' >&2; exit 1\n"), "odd trouble", "it ended with 1")
        let gone = try Built.tool.run(["state", "validate", stage.folder + "/gone", "--against", Built.job.path])
        #expect(gone.code == 1 && gone.output.contains("there is no snapshot"), "\(gone.output)")
        #expect(try Built.tool.run(["state", "validate", stage.snapshots]).code == 64)
    }

    /// Arguments come to the executable as they are, with what is asked behind them.
    @Test func optionsAreHandedOn() throws {
        let stage = try Stage()
        let job = try stage.script("echo \"$@\" > \(stage.folder)/arguments\n")
        _ = try stage.validate(job, "--input", "a file", "-p", "3", "--set", "max-parallelism=8")
        let found = try String(contentsOfFile: stage.folder + "/arguments", encoding: .utf8)
        #expect(
            found == "plan --input a file -p 3 --set max-parallelism=8 --against \(stage.snapshots) --format json\n")
    }
}
