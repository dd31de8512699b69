// SPDX-License-Identifier: Apache-2.0
//  `thalweg run --supervise`: a job that is killed starts again, and no other.

import Foundation
import Testing

@Suite struct SuperviseTests {
    /// A folder with a job that writes its arguments to a log, a line for each start, and then does what it is told.
    private final class Stage {
        let folder: String
        var job: String { folder + "/job" }
        var log: [String] {
            ((try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? "").split(separator: "\n").map(
                String.init)
        }

        init(_ script: String) throws {
            folder = NSTemporaryDirectory() + "thalweg-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let head = "#!/bin/sh\ncd \(folder)\necho \"$@\" >> log\nstarts=$(wc -l < log)\n"
            try (head + script).write(toFile: job, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: job)
        }

        deinit { try? FileManager.default.removeItem(atPath: folder) }
    }

    private func start(_ arguments: [String]) throws -> (process: Process, output: Pipe, errors: Pipe) {
        let (process, output, errors) = (Process(), Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: Built.tool.path)
        process.arguments = arguments
        (process.standardOutput, process.standardError) = (output, errors)
        try process.run()
        return (process, output, errors)
    }

    private func run(_ arguments: [String]) throws -> (code: Int32, errors: String) {
        let (process, _, errors) = try start(arguments)
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }

    private func supervise(_ stage: Stage, _ strategy: String = "fixed-delay:5:1ms", _ more: [String] = []) throws
        -> (code: Int32, errors: String)
    {
        try run(
            ["run", "--supervise", "--supervise-restart", strategy, stage.job, "--checkpoint-dir", "state"] + more)
    }

    /// KILL as by an operator or for want of memory; ILL as a trap in Swift ends a process.
    @Test(arguments: ["KILL", "ILL", "ABRT", "SEGV"])
    func aKilledJobStartsAgain(_ signal: String) throws {
        let stage = try Stage("[ $starts -gt 2 ] || kill -\(signal) $$\nexit 0\n")
        let (code, errors) = try supervise(stage)
        #expect(code == 0)
        let arguments = "run --checkpoint-dir state --from latest"
        #expect(stage.log == [arguments, arguments, arguments])
        #expect(errors.contains("\(stage.job) was killed by signal") && errors.contains("restart 2"), "\(errors)")
    }

    /// Killed before it has a checkpoint, the job begins again where it was told to; afterwards it goes on.
    @Test func aStartElsewhereIsRepeatedUntilThereIsACheckpoint() throws {
        let stage = try Stage(
            """
            if [ $starts = 2 ]; then mkdir -p state/chk-4; : > state/chk-4/_metadata; fi
            [ $starts -gt 2 ] || kill -KILL $$
            exit 0

            """)
        let told = "--checkpoint-dir \(stage.folder)/state --from chk-3 --repeat-output"
        let (code, errors) = try supervise(stage, "fixed-delay:5:1ms", told.split(separator: " ").map(String.init))
        #expect(code == 0)
        let first = "run --checkpoint-dir state \(told)"
        #expect(
            stage.log == [
                first, first, "run --checkpoint-dir state --checkpoint-dir \(stage.folder)/state --from latest",
            ])
        #expect(errors.contains("where it was told to begin"), "\(errors)")
    }

    @Test func restartsAreLimited() throws {
        let stage = try Stage("kill -KILL $$\n")
        let (code, errors) = try supervise(stage, "fixed-delay:2:1ms")
        #expect(code == 1 && stage.log.count == 3)
        #expect(errors.contains("the job was killed too often") && errors.contains("--from latest"), "\(errors)")
    }

    @Test(arguments: [0, 1, 7, 64, 130])
    func anOrderlyEndIsPassedOn(_ code: Int32) throws {
        let stage = try Stage("exit \(code)\n")
        #expect(try supervise(stage).code == code)
        #expect(stage.log.count == 1)
    }

    /// The job is told once, and nothing starts again afterwards, however it ends.
    @Test(arguments: [("TERM", "exit 5", 5), ("INT", "kill -KILL $$", 137)] as [(String, String, Int32)])
    func aSignalIsHandedOn(_ signal: String, _ end: String, _ code: Int32) throws {
        let stage = try Stage("trap 'echo told >> log; \(end)' \(signal)\necho ready\nwhile :; do sleep 0.02; done\n")
        let (process, output, _) = try start([
            "run", "--supervise", "--supervise-restart", "fixed-delay:5:1ms", stage.job, "--checkpoint-dir", "state",
        ])
        #expect(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) == "ready\n")
        if signal == "INT" { process.interrupt() } else { process.terminate() }
        process.waitUntilExit()
        #expect(process.terminationStatus == code)
        #expect(stage.log.dropFirst() == ["told"])
    }

    /// A terminal sends its signals to the whole group: the job has one of its own, or it would be told twice.
    @Test func theJobHasAProcessGroupOfItsOwn() throws {
        let stage = try Stage("[ \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$ ]\n")
        #expect(try supervise(stage).code == 0)
    }

    /// A signal during the pause before a restart ends the waiting.
    @Test func aSignalEndsThePause() throws {
        let stage = try Stage("kill -KILL $$\n")
        let (process, _, errors) = try start([
            "run", "--supervise", "--supervise-restart", "fixed-delay:5:1h", stage.job, "--checkpoint-dir", "state",
        ])
        _ = errors.fileHandleForReading.availableData
        process.terminate()
        process.waitUntilExit()
        #expect(process.terminationStatus == 143 && stage.log.count == 1)
    }

    /// Started by `nohup`, it and its job survive the terminal.
    @Test func aHangupThatIsIgnoredStaysIgnored() throws {
        let stage = try Stage(
            "trap 'exit 5' TERM\necho ready $(grep SigIgn /proc/$$/status | cut -f2)\nwhile :; do sleep 0.02; done\n")
        let (process, output) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [
            "-c", "trap '' HUP; exec \(Built.tool.path) run --supervise \(stage.job) --checkpoint-dir state",
        ]
        process.standardOutput = output
        try process.run()
        let ready = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        // The job ignores it too: signal 1 is bit 0.
        let mask = try #require(UInt64(ready.dropFirst("ready ".count).dropLast(), radix: 16), "\(ready)")
        #expect(mask & 1 == 1)
        kill(process.processIdentifier, SIGHUP)
        process.terminate()
        process.waitUntilExit()
        // Had the hangup been handed on, the job would have died of it.
        #expect(process.terminationStatus == 5 && stage.log.count == 1)
    }

    /// GNU's `timeout` signals the process, then its group: that is one wish to stop.
    @Test func aSignalThatComesTwiceStopsAndDoesNotCancel() throws {
        let stage = try Stage("")
        let state = stage.folder + "/state"
        let (process, output, errors) = try start([
            "nexmark", "run", "--query", "q0", "--events", "2000000000", "--checkpoint-dir", state,
            "--checkpoint-interval", "20ms",
        ])
        var rounds = 0
        while !FileManager.default.fileExists(atPath: state + "/chk-1"), rounds < 100_000, process.isRunning {
            rounds += 1
            sched_yield()
        }
        for _ in 0..<2 { kill(process.processIdentifier, SIGTERM) }
        process.waitUntilExit()
        let told = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(process.terminationStatus == 0, "\(told)")
        let line = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(line.contains("stopped: suspend snapshot"), "\(line)")
    }

    /// Two runs never share a directory of checkpoints, though the supervisor of the first one is dead.
    @Test func aSecondRunIsToldWhoHasTheDirectory() throws {
        let stage = try Stage("")
        let state = stage.folder + "/state"
        let arguments = [
            "nexmark", "run", "--query", "q0", "--events", "2000000000", "--checkpoint-dir", state,
            "--checkpoint-interval", "20ms", "--from", "latest",
        ]
        let (first, _, _) = try start(arguments)
        defer {
            kill(first.processIdentifier, SIGKILL)
            first.waitUntilExit()
        }
        var rounds = 0
        while !FileManager.default.fileExists(atPath: state + "/chk-1"), rounds < 100_000, first.isRunning {
            rounds += 1
            sched_yield()
        }
        let second = try run(arguments)
        #expect(second.code == 1)
        #expect(
            second.errors.contains("another run is at work") && second.errors.contains("\(first.processIdentifier) on"))
    }

    @Test(arguments: [
        ["--query", "q99"], ["--query", "q0", "--parallelism", "0"], ["--query", "q0", "--parallelism", "1000"],
        ["--query", "q0", "--set", "batch-capacity=none"], ["--query", "q0", "--set", "nonsense=1"],
        ["--query", "q0", "--memory", "1k"], ["--query", "q0", "--memory", "lots"],
        ["--query", "q0", "--memory-limit", "warn"], ["--query", "q0", "--retain", "0"],
        ["--query", "q0", "--checkpoint-interval", "soon"],
    ])
    func wrongValuesAreWrongUsage(_ options: [String]) throws {
        let (code, errors) = try run(["nexmark", "run", "--events", "1"] + options)
        #expect(code == 64 && errors.contains("Error: "), "\(errors)")
    }

    @Test func wrongUsage() throws {
        let stage = try Stage("exit 0\n")
        let (code, errors) = try supervise(stage, "sometimes")
        #expect(code == 64 && errors.contains("'sometimes' is no strategy"), "\(errors)")
        #expect(try run(["run", "--supervise", stage.job]).code == 64)
        #expect(stage.log.isEmpty)
        let query = try run(["nexmark", "run", "--query", "q0", "--restart", "sometimes"])
        #expect(query.code == 64 && query.errors.contains("--restart"), "\(query.errors)")
        let missing = try run(["run", "--supervise", stage.folder + "/none", "--checkpoint-dir", "state"])
        #expect(missing.code == 1 && missing.errors.contains("the job cannot be started"), "\(missing.errors)")
    }

    /// A real job, killed twice with SIGKILL in the midst of its work, has the output of an undisturbed one.
    @Test func theOutputIsThatOfAnUndisturbedRun() throws {
        let stage = try Stage(
            """
            shift
            newest() { ls state 2>/dev/null | sed -n 's/chk-//p' | sort -n | tail -1; }
            kill_later() {
                for turn in $(seq 1000); do
                    [ "$(newest || true)" ] && [ "$(newest)" -ge $((starts * 3)) ] && kill -KILL $$ && return
                    sleep 0.01
                done
            }
            [ $starts -gt 2 ] || kill_later &
            exec \(Built.tool.path) nexmark run --query q5 --input events.jsonl --sink out "$@"

            """)
        let events = stage.folder + "/events.jsonl"
        #expect(try run(["nexmark", "generate", "--events", "100000", "--seed", "7", "-o", events]).code == 0)
        let (code, errors) = try supervise(stage, "fixed-delay:5:1ms", ["--checkpoint-interval", "20ms"])
        #expect(code == 0 && stage.log.count == 3, "\(errors)")
        let golden = stage.folder + "/golden"
        #expect(try run(["nexmark", "run", "--query", "q5", "--input", events, "--golden", golden]).code == 0)
        let parts = try FileManager.default.contentsOfDirectory(atPath: stage.folder + "/out").filter {
            $0.hasPrefix("part-")
        }
        let lines = try parts.flatMap { name in
            try String(contentsOfFile: stage.folder + "/out/" + name, encoding: .utf8).split(separator: "\n")
                .map(String.init)
        }
        let expected = try String(contentsOfFile: golden, encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(lines.sorted() == expected.sorted() && !expected.isEmpty)
    }
}
