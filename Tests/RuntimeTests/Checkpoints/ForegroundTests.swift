// SPDX-License-Identifier: Apache-2.0
//  A job in the foreground of a process: signals that come twice, and stops that cannot be done.

import Synchronization
import Testing
import ThalwegTesting
import UnixSignals

@testable import Thalweg

@Suite struct ForegroundTests {
    /// Times in seconds, and whether the signal counts.
    @Test(arguments: [
        [(UnixSignal.sigterm, 0.0, true), (.sigterm, 0.001, false), (.sigterm, 0.199, false), (.sigterm, 0.2, true)],
        [(.sigterm, 5, true), (.sigint, 5.001, true), (.sigterm, 5.002, true), (.sigterm, 5.003, false)],
        [(.sigint, 1, true), (.sigint, 2, true)],
    ])
    func anEchoIsNoSecondSignal(_ signals: [(UnixSignal, Double, Bool)]) {
        var echoes = SignalEchoes()
        for (signal, seconds, counts) in signals { #expect(echoes.isEcho(signal, at: seconds) == !counts) }
    }

    private func job(_ disk: any FileSystem, _ script: ManualScript<Int64>, _ output: Collected<Int64>) throws
        -> JobExecution
    {
        let env = StreamEnvironment()
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: disk, from: "latest")
        options.settings.toleratedFailures = 1_000
        env.settings.checkpoints = options
        env.read(ManualSource(script), name: "numbers").write(
            to: .collect(output, visible: .whenCommitted), name: "out")
        return try env.makeExecution()
    }

    /// The disk stays full: after some attempts the job ends, and goes on later from what it had.
    @Test func aStopThatCannotBeDoneEndsAllTheSame() async throws {
        let (disk, output) = (FaultyFileSystem(MemoryFileSystem(), DiskFaults()), Collected<Int64>())
        let first = try job(disk, ManualScript([[.emit([1, 2])]]), output)
        let run = Task { try await first.run(on: StepScheduler(seed: 1)) }
        while first.total("numbers", \.recordsOut) < 2 { await Task.yield() }
        disk.faults.failsCreate = true
        let stop = StopAttempt(first, StopPolicy(isPossible: true), pause: .milliseconds(1))
        await stop.run()
        await #expect(throws: CancellationError.self) { try await run.value }
        let failure = try #require(stop.failure)
        #expect(failure.kind == .task && failure.primary == "the job has ended without a last checkpoint")
        #expect(failure.description.contains("3 attempts failed") && failure.description.contains("the disk is full"))
        #expect(failure.hint?.contains("--from latest") == true)
        #expect(first.checkpoints.failed.value == StopPolicy.attemptsMax && output.count == 0)
        disk.faults.failsCreate = false
        try await job(disk, ManualScript([[.emit([1, 2]), .end]]), output).run(on: StepScheduler(seed: 2))
        #expect(output.elements.sorted() == [1, 2])
    }

    /// There is room again before the attempts are used up.
    @Test func aStopIsTriedAgain() async throws {
        let (disk, output) = (FaultyFileSystem(MemoryFileSystem(), DiskFaults()), Collected<Int64>())
        let execution = try job(disk, ManualScript([[.emit([1, 2])]]), output)
        let observer = Holdup { _ in
            if execution.checkpoints.failed.value == 1 { disk.faults.failsCreate = false }
            return .go
        }
        let run = Task { try await execution.run(on: StepScheduler(seed: 1, observer: observer)) }
        while execution.total("numbers", \.recordsOut) < 2 { await Task.yield() }
        disk.faults.failsCreate = true
        let stop = StopAttempt(execution, StopPolicy(isPossible: true), pause: .milliseconds(1))
        await stop.run()
        guard case .stopped = try await run.value else { return #expect(Bool(false), "not stopped") }
        #expect(stop.failure == nil && output.elements.sorted() == [1, 2])
        #expect(execution.checkpoints.failed.value == 1)
    }
}
