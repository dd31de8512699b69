// SPDX-License-Identifier: Apache-2.0
//  What the tool says to who uses it wrongly: the cause and the way out, and never nothing.

import Foundation
import Testing

@Suite struct UsageTests {
    /// An empty folder; `@` in arguments stands for it.
    private final class Stage {
        let folder = NSTemporaryDirectory() + "thalweg-\(UUID().uuidString)"

        init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

        deinit { try? FileManager.default.removeItem(atPath: folder) }

        func run(_ arguments: String...) throws -> (code: Int32, output: String) {
            try Built.tool.run(arguments.map { $0.replacing("@", with: folder) })
        }

        /// Runs a query; nothing but its own options is of interest.
        func query(_ name: String = "q0", _ options: String...) throws -> (code: Int32, output: String) {
            try Built.tool.run(
                ["nexmark", "run", "--query", name] + options.map { $0.replacing("@", with: folder) })
        }

        var contents: [String] { ((try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []).sorted() }

        func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: folder + "/" + name) }
    }

    // MARK: Options

    /// What would do nothing is refused, with what it needs.
    @Test(arguments: [
        (["--retain", "3"], "--retain needs --checkpoint-dir"),
        (["--repeat-output"], "--repeat-output needs --checkpoint-dir"),
        (["--drop-unclaimed-state"], "--drop-unclaimed-state needs --checkpoint-dir"),
        (["--allow-other-job"], "--allow-other-job needs --checkpoint-dir"),
        (["--at-watermark", "2015-07-15T00:00:01"], "--at-watermark needs --checkpoint-dir"),
        (["--timeout", "3s"], "--timeout needs --checkpoint-dir"),
        (["--checkpoint-dir", ""], "--checkpoint-dir is empty"), (["--sink", ""], "--sink is empty"),
        (["--restart", "sometimes"], "Error: --restart 'sometimes' is no strategy; write none, fixed-delay"),
        (["--restart", "fixed-dely:3"], "Error: --restart 'fixed-dely:3': 'fixed-dely' is no strategy; write none"),
    ])
    func whatWouldDoNothingIsRefused(_ options: [String], _ text: String) throws {
        let (code, output) = try Built.tool.run(["nexmark", "run", "--query", "q0", "--events", "1"] + options)
        #expect(code == 64 && output.contains(text), "\(output)")
    }

    @Test func numbersBelowNothing() throws {
        for command in [["run", "--query", "q0"], ["generate", "-o", "never"]] {
            let (code, output) = try Built.tool.run(["nexmark"] + command + ["--events", "-1"])
            #expect(code == 64 && output.contains("--events must not be negative, not -1"), "\(output)")
        }
        for (option, name) in [("--count", "simulate"), ("--records", "simulate")] {
            for number in ["0", "-1"] {
                let (code, output) = try Built.tool.run([name, option, number])
                #expect(code == 64 && output.contains("\(option) must be at least 1, not \(number)"), "\(output)")
                #expect(output.contains("Usage: thalweg simulate"), "\(output)")
            }
        }
        let none = try Built.tool.run(["simulate", "--scenario", "none"])
        #expect(none.code == 64 && none.output.contains("known: windowed, spilling, shelving"), "\(none.output)")
        #expect(none.output.contains("Usage: thalweg simulate"), "\(none.output)")
        let fault = try Built.tool.run(["simulate", "--faults", "flood@noon"])
        #expect(fault.code == 64 && fault.output.contains("not a fault: flood@noon"), "\(fault.output)")
    }

    @Test func queriesAreNamed() throws {
        let help = try Built.tool.run(["nexmark", "run", "--help"]).output
        let words = help.split { $0.isWhitespace }.joined(separator: " ")
        #expect(words.contains("q5, q7, q8, q9, q11, q12, q14"), "\(help)")
        let (code, output) = try Built.tool.run([
            "nexmark", "run", "--query", "q0", "--events", "100", "-p", "2", "--json",
        ])
        #expect(code == 0 && output.contains(#""parallelism":2"#), "\(output)")
    }

    @Test func placesThatCannotBeWritten() throws {
        let stage = try Stage()
        let generated = try stage.run("nexmark", "generate", "--events", "1", "-o", "@/none/x")
        #expect(generated.code == 1 && generated.output.contains("hint: make the directory"), "\(generated.output)")
        let golden = try stage.query("q0", "--events", "1", "--golden", "@")
        #expect(golden.code == 1 && golden.output.contains("hint: name a file in that directory"), "\(golden.output)")
    }

    // MARK: Stops

    @Test func aMomentThatNeverCame() throws {
        let stage = try Stage()
        let late = try stage.query(
            "q5", "--events", "1000", "--checkpoint-dir", "@/ck", "--at-watermark", "2030-01-01T00:00:00")
        #expect(late.code == 0, "\(late.output)")
        #expect(
            late.output.contains("not stopped at event time 2030-01-01T00:00:00.000 (--at-watermark)"), "\(late.output)"
        )
    }

    /// A drain needs no checkpoints: all windows fire, and the output is published.
    @Test func aDrainWithoutCheckpoints() throws {
        let stage = try Stage()
        let drained = try stage.query(
            "q5", "--events", "2000000000", "--sink", "@/out", "--drain", "--timeout", "1m", "--at-watermark",
            "2015-07-15T00:00:02")
        #expect(drained.code == 0 && drained.output.contains("stopped: drain snapshot none"), "\(drained.output)")
        #expect(stage.contents.contains("out/part-0.lines"), "\(stage.contents)")
    }

    // MARK: Starts

    /// Generated events are those of a seed and a number: a snapshot goes on in no others.
    @Test func otherGeneratedEvents() throws {
        let stage = try Stage()
        func run(_ events: String, _ seed: String, _ more: String...) throws -> (code: Int32, output: String) {
            try Built.tool.run(
                ["nexmark", "run", "--query", "q5", "--json", "--events", events, "--seed", seed]
                    + ["--checkpoint-dir", stage.folder + "/ck", "--from", "latest"] + more)
        }
        func events(_ text: String) throws -> Int {
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("{") }, "\(text)")
            let report = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            return try #require(report?["events"] as? Int)
        }
        let first = try run("200000", "7", "--at-watermark", "2015-07-15T00:00:00.010")
        #expect(first.code == 0, "\(first.output)")
        for (number, seed) in [("200000", "8"), ("300000", "7")] {
            let other = try run(number, seed)
            #expect(other.code == 1 && other.output.contains("200000 events of seed 7"), "\(other.output)")
            #expect(other.output.contains("\(number) of seed \(seed)"), "\(other.output)")
            #expect(other.output.contains("hint: start with --events 200000 --seed 7"), "\(other.output)")
        }
        // What each run says it has read is what it has read.
        let second = try run("200000", "7")
        #expect(try events(first.output) + events(second.output) == 200_000, "\(first.output)\(second.output)")
        let third = try run("200000", "7")
        #expect(try events(third.output) == 0, "\(third.output)")
    }

    /// The output is there, its checkpoints are not: the way out is not the way in, and nothing is left behind.
    @Test func checkpointsThatAreGone() throws {
        let stage = try Stage()
        func run() throws -> (code: Int32, output: String) {
            try stage.query(
                "q0", "--events", "1000", "--sink", "@/out", "--checkpoint-dir", "@/deep/ck", "--from", "latest")
        }
        #expect(try run().code == 0)
        try stage.remove("deep")
        let before = stage.contents
        let again = try run()
        #expect(again.code == 1 && again.output.contains("was there before the job began"), "\(again.output)")
        #expect(again.output.contains("the checkpoints that belong to this output"), "\(again.output)")
        #expect(stage.contents == before)
    }

    @Test(arguments: [("@/a", "@/a"), ("@/a/", "@/b/../a"), ("@/a/out", "@/a"), ("@/a", "@/a/ck")])
    func outputAmongCheckpoints(_ sink: String, _ checkpoints: String) throws {
        let stage = try Stage()
        let found = try stage.query("q0", "--events", "100", "--sink", sink, "--checkpoint-dir", checkpoints)
        #expect(found.code == 1 && found.output.contains("output and checkpoints are to lie in each other"), "\(found)")
        #expect(found.output.contains("hint: give each a directory of its own"), "\(found.output)")
        #expect(stage.contents.isEmpty, "\(stage.contents)")
    }

    // MARK: Looking into snapshots

    @Test func snapshotsThatAreNotThere() throws {
        let stage = try Stage()
        for command in ["show", "verify"] {
            let (code, output) = try stage.run("state", command, "@/nowhere")
            #expect(code == 1 && output.contains("no such file or directory: \(stage.folder)/nowhere"), "\(output)")
        }
        let (code, output) = try stage.run("state", "ls", "@")
        #expect(code == 0 && output == "there are no snapshots in \(stage.folder)\n", "\(output)")
    }

    /// A damaged checkpoint: what is said of it, how the job goes back, and how it is got rid of.
    @Test func aDamagedCheckpointIsGivenUp() throws {
        let stage = try Stage()
        func run(_ more: String...) throws -> (code: Int32, output: String) {
            try Built.tool.run(
                ["nexmark", "run", "--query", "q4", "--events", "3000", "--checkpoint-dir", stage.folder + "/ck"] + more
            )
        }
        #expect(try run("--retain", "5").code == 0)
        #expect(try run("--retain", "5", "--from", "latest").code == 0)
        let list = try stage.run("state", "ls", "@/ck", "--json").output
        let names = try list.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }.filter { $0["state"] as? String == "complete" }.compactMap { $0["name"] as? String }
        try #require(names.count >= 2, "\(list)")
        let (earlier, newest) = (names[names.count - 2], names[names.count - 1])
        let file = stage.folder + "/ck/\(newest)/_metadata"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: file))
        let verified = try stage.run("state", "verify", "@/ck/\(newest)")
        #expect(verified.code == 1 && verified.output.hasPrefix("Error: a snapshot is damaged"), "\(verified.output)")
        #expect(
            verified.output.contains("--from \(stage.folder)/ck/\(earlier) --repeat-output"), "\(verified.output)")
        let refused = try stage.run("state", "prune", "@/ck", "--keep", "5", "--damaged")
        #expect(refused.code == 1 && refused.output.contains("--from \(earlier) --repeat-output"), "\(refused.output)")
        let back = try run("--retain", "5", "--from", earlier, "--repeat-output")
        #expect(back.code == 0, "\(back.output)")
        let closed = try stage.run("state", "prune", "@/ck", "--keep", "5")
        #expect(closed.code == 1 && closed.output.contains("thalweg state prune --damaged"), "\(closed.output)")
        let pruned = try stage.run("state", "prune", "@/ck", "--keep", "5", "--damaged")
        #expect(
            pruned.code == 0 && pruned.output.contains("\(newest) is given up, as it is damaged"), "\(pruned.output)")
        #expect(!FileManager.default.fileExists(atPath: stage.folder + "/ck/\(newest)"), "\(stage.contents)")
        #expect(try stage.run("state", "verify", "@/ck").code == 0)
        #expect(try run("--from", "latest").code == 0)
    }

    /// A snapshot of such a job could not be read again.
    @Test func tooManyKeyGroupsAreRefused() throws {
        let (code, output) = try Built.tool.run([
            "nexmark", "run", "--query", "q1", "--events", "10", "--set", "max-parallelism=32769",
        ])
        #expect(code != 0 && output.contains("32769 is not in 1...32768"), "\(output)")
    }

    @Test func outputThatIsNotWrittenIsAnError() throws {
        let (process, errors) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: Built.tool.path)
        process.arguments = ["config", "explain", "--memory", "64MiB"]
        process.standardOutput = FileHandle(forWritingAtPath: "/dev/full")
        process.standardError = errors
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus != 0 && text.contains("could not be written in full"), "\(text)")
    }
}
