// SPDX-License-Identifier: Apache-2.0
//  Jobs that are stopped, cancelled or die, and go on in another process (FLIP-45).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

/// What was answered, in order.
private final class Answers: Sendable {
    private let list = Mutex<[Bool]>([])
    var all: [Bool] { list.withLock { $0 } }
    func add(_ answer: Bool) { list.withLock { $0.append(answer) } }
}

@Suite struct StopTests {
    /// Ends a run at a step of virtual time: by a stop, a drain, or as a process dies.
    enum Ending: String, CaseIterable, Sendable { case stop, die, savepointThenDie }

    /// Runs until the job's own end, interrupted again and again, at changing parallelism.
    @Test(arguments: Ending.allCases, 0..<6 as Range<UInt64>)
    func interruptedRunsCommitEverythingOnce(_ ending: Ending, _ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        var job = CountingJob()
        job.isUnaligned = seed % 2 == 1
        let collected = Collected<CountingJob.Row>()
        for attempt in 0..<40 {
            job.parallelism = [1, 3, 2, 4][attempt % 4]
            job.from = "latest"
            let execution = try job.build(collected).makeExecution()
            let moment = Int.random(in: 30...600, using: &random)
            let steps = Mutex(0)
            let pending = Mutex<Task<Void, Never>?>(nil)
            let scheduler = StepScheduler(
                seed: seed &+ UInt64(attempt),
                afterStep: { clock in
                    clock.advance(to: clock.now + 1)
                    guard attempt < 30,
                        steps.withLock({
                            $0 += 1; return $0 == moment
                        })
                    else { return }
                    pending.withLock {
                        $0 = Task {
                            switch ending {
                            case .stop: _ = try? await execution.stop()
                            case .die: execution.cancel()
                            case .savepointThenDie:
                                _ = try? await execution.savepoint()
                                execution.cancel()
                            }
                        }
                    }
                })
            var outcome: JobOutcome?
            do { outcome = try await execution.run(on: scheduler) } catch is CancellationError {}
            await pending.withLock { $0 }?.value
            if case .finished? = outcome { break }
            if ending == .stop, let outcome {
                guard case .stopped(let report) = outcome else { break }
                #expect(report.kind == .suspend && report.path?.hasPrefix("checkpoints/chk-") == true)
            }
        }
        #expect(tally(collected.elements) == job.expected)
    }

    /// A stop fires nothing; a drain fires everything, once (45.d3).
    @Test func onlyADrainFiresWindows() async throws {
        for mode in [StopMode.suspend, .drain] {
            let env = StreamEnvironment()
            let disk = MemoryFileSystem()
            env.settings.checkpoints = CheckpointOptions(directory: "checkpoints", fileSystem: disk)
            let script = ManualScript<Int64>([[.emit([1, 2, 3])]])
            let collected = Collected<Int64>()
            let windows = try env.read(ManualSource(script)).timestamps(
                by: { EventTime(milliseconds: $0) }, watermark: .ascending
            ).keyed { $0 % 2 }.window(.tumbling(.seconds(1)))
            try windows.aggregate(Count()) { _, count, _ in count }.write(
                to: .collect(collected, visible: .whenCommitted))
            let execution = try env.makeExecution()
            let run = Task { try await execution.run(on: StepScheduler(seed: 5)) }
            while execution.metrics.total(of: 2, \.recordsIn) < 3 { await Task.yield() }
            let report = try await execution.stop(mode)
            let outcome = try await run.value
            #expect(outcome == .stopped(report))
            #expect(collected.elements.sorted() == (mode == .drain ? [1, 2] : []))
        }
    }

    @Test func stopWithoutADirectorySaysWhatToDo() async throws {
        let env = StreamEnvironment()
        let script = ManualScript<Int64>([[.emit([1])]])
        env.read(ManualSource(script)).write(to: .blackHole())
        let execution = try env.makeExecution()
        let run = Task { try await execution.run(on: StepScheduler(seed: 5)) }
        while execution.metrics.total(of: 1, \.recordsIn) < 1 { await Task.yield() }
        let error = await #expect(throws: ThalwegError.self) { try await execution.stop() }
        #expect(error?.hint?.contains("--checkpoint-dir") == true)
        execution.cancel()
        await #expect(throws: CancellationError.self) { try await run.value }
    }

    /// The disk fails while the last snapshot is written: the job goes on, and can be stopped later (45.d4).
    @Test func aStopThatFailsLetsTheJobGoOn() async throws {
        let disk = FaultyFileSystem(MemoryFileSystem(), DiskFaults())
        var job = CountingJob()
        job.numbers = 20_000
        job.disk = disk
        let collected = Collected<CountingJob.Row>()
        let execution = try job.build(collected).makeExecution()
        let steps = Mutex(0)
        let answers = Answers()
        let scheduler = StepScheduler(
            seed: 3,
            afterStep: { clock in
                clock.advance(to: clock.now + 1)
                let step = steps.withLock {
                    $0 += 1; return $0
                }
                if step == 200 {
                    disk.faults.failsCreate = true
                    Task {
                        do {
                            try await execution.stop()
                            answers.add(true)
                        } catch {
                            answers.add(false)
                            disk.faults.failsCreate = false
                        }
                    }
                }
            })
        let outcome = try await execution.run(on: scheduler)
        guard case .finished = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(answers.all == [false])
        #expect(tally(collected.elements) == job.expected)
    }
}
