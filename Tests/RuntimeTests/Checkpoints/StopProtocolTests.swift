// SPDX-License-Identifier: Apache-2.0
//  What a stop promises step by step: what fires, in which order, and what is left when a step fails (45.d3, 45.d4).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct StopProtocolTests {
    /// Emits each number again by a timer, at ten times its value.
    private struct Echo: KeyedProcessFunction {
        mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
            context.registerEventTimeTimer(at: EventTime(milliseconds: number * 10))
        }
        mutating func onTimer(
            at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<String>
        ) {
            out.emit("timer \(time.milliseconds)")
        }
    }

    private func execution(
        _ script: ManualScript<Int64>, _ disk: any FileSystem, _ collected: Collected<String>, from: String? = nil,
        interval: Int64? = nil
    ) throws -> JobExecution {
        let env = StreamEnvironment()
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: disk, from: from)
        options.settings.interval = interval
        options.settings.toleratedFailures = 1_000_000
        env.settings.checkpoints = options
        let numbers = env.read(ManualSource(script), name: "numbers").timestamps(
            by: { EventTime(milliseconds: $0) }, watermark: .ascending, name: "times")
        try numbers.keyed { $0 % 3 }.process(Echo(), name: "timers")
            .write(to: .collect(collected, visible: .whenCommitted), name: "fired timers")
        try numbers.keyed { $0 % 1 }.window(.tumbling(.milliseconds(100))).aggregate(Count()) { _, count, window in
            "window \(window.start.milliseconds): \(count)"
        }.write(to: .collect(collected, visible: .whenCommitted), name: "fired windows")
        return try env.makeExecution()
    }

    private static let numbers: [Int64] = [5, 17, 42, 103, 118, 250]

    /// A drain fires every timer and window once, in the order of time; a stop none; a start from a drained snapshot
    /// says that it is one (45.d3).
    @Test(arguments: [StopMode.suspend, .drain])
    func whatFires(_ mode: StopMode) async throws {
        let (disk, collected) = (MemoryFileSystem(), Collected<String>())
        let first = try execution(ManualScript([[.emit(Self.numbers)]]), disk, collected)
        let run = Task { try await first.run(on: StepScheduler(seed: 5)) }
        while first.total("times", \.recordsIn) < Self.numbers.count { await Task.yield() }
        // What has fired before the stop: event time stands at the last record.
        let report = try await first.stop(mode)
        #expect(try await run.value == .stopped(report))
        let fired = collected.elements
        let timers = fired.compactMap { $0.hasPrefix("timer") ? Int64($0.dropFirst(6)) : nil }
        let windows = fired.filter { $0.hasPrefix("window") }
        if mode == .drain {
            #expect(timers == Self.numbers.map { $0 * 10 })
            #expect(windows == ["window 0: 3", "window 100: 2", "window 200: 1"])
        } else {
            // The watermark is 249: that is what may have fired.
            #expect(timers.allSatisfy { $0 <= 249 } && Set(timers).count == timers.count)
            #expect(!windows.contains("window 200: 1"))
        }

        let second = try execution(ManualScript([[.emit(Self.numbers), .end]]), disk, collected, from: "latest")
        try await second.run(on: StepScheduler(seed: 6))
        #expect(second.notices.lines.contains { $0.contains("was taken by a drain") } == (mode == .drain))
        if mode == .suspend {
            #expect(Set(collected.elements).count == collected.count)
            #expect(collected.count == Self.numbers.count + 3)
        } else {
            #expect(collected.elements == fired, "a drained job has nothing left to fire")
        }
    }

    /// The disk fails while the last snapshot is written: the job goes on, takes further checkpoints, and can be stopped
    /// later (45.d4, phase 1).
    @Test func checkpointsGoOnAfterAStopThatFailed() async throws {
        let disk = FaultyFileSystem(MemoryFileSystem(), DiskFaults())
        let collected = Collected<String>()
        func start(_ script: ManualScript<Int64>) throws -> JobExecution {
            try execution(script, disk, collected, from: "latest", interval: 50)
        }
        let first = try start(ManualScript([[.emit(Self.numbers)]]))
        let run = Task { try await first.run(on: StepScheduler(seed: 5)) }
        while first.total("times", \.recordsIn) < Self.numbers.count { await Task.yield() }
        disk.faults.failsCreate = true
        await #expect(throws: ThalwegError.self) { try await first.stop() }
        disk.faults.failsCreate = false
        let completed = first.checkpoints.completed.value
        while first.checkpoints.completed.value < completed + 3 { await Task.yield() }
        let report = try await first.stop()
        #expect(try await run.value == .stopped(report))
        try await start(ManualScript([[.emit(Self.numbers), .end]])).run(on: StepScheduler(seed: 6))
        #expect(Set(collected.elements).count == collected.count)
        #expect(collected.count == Self.numbers.count + 3)
    }

    /// One of two sinks cannot publish what the last snapshot holds: the job fails and says where the snapshot is; a
    /// start from it publishes the rest, once (45.d4, phase 5).
    @Test func aCommitThatFailsIsDoneByTheNextStart() async throws {
        let memory = MemoryFileSystem()
        let output = FaultyFileSystem(memory, DiskFaults())
        func execution(from: String?) throws -> JobExecution {
            let env = StreamEnvironment()
            env.settings.batchCapacity = 16
            env.settings.checkpoints = CheckpointOptions(directory: "checkpoints", fileSystem: memory, from: from)
            let numbers = env.read(GeneratedSource(0..<1_000) { "\($0)" }, name: "numbers")
            numbers.write(to: FileSink("good/", format: .lines, fileSystem: memory), name: "good")
            numbers.write(to: FileSink("bad/", format: .lines, fileSystem: output), name: "bad")
            return try env.makeExecution()
        }
        func lines(_ folder: String) -> [String] {
            memory.paths.filter { $0.hasPrefix("\(folder)/part-") }.flatMap { path in
                (memory.text(path) ?? "").split(separator: "\n").map(String.init)
            }
        }
        let first = try execution(from: nil)
        let begun = Mutex(false)
        let scheduler = StepScheduler(
            seed: 2,
            afterStep: { clock in
                clock.advance(to: clock.now + 1)
                let begins =
                    first.total("bad", \.recordsIn) > 200
                    && begun.withLock { begun in
                        defer { begun = true }
                        return !begun
                    }
                guard begins else { return }
                output.faults.failsRenameTo = Set((0...2).map { "bad/part-0000000001-000-000\($0).lines" })
                Task { _ = try? await first.stop() }
            })
        let error = await #expect(throws: ThalwegError.self) { try await first.run(on: scheduler) }
        let path = try #require(memory.paths.first { $0.hasSuffix("_metadata") }).dropLast("/_metadata".count)
        #expect("\(try #require(error))".contains(path))
        #expect(lines("bad") == [])
        output.faults.failsRenameTo = []
        try await execution(from: String(path)).run(on: CountingJob.scheduler(3))
        let expected = tally((0..<1_000).map { "\($0)" })
        #expect(tally(lines("good")) == expected)
        #expect(tally(lines("bad")) == expected)
    }
}
