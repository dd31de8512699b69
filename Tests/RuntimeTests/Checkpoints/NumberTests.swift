// SPDX-License-Identifier: Apache-2.0
//  A task that ends ahead of a checkpoint prepares its output under a number that nobody uses again.

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct NumberTests {
    private struct Phase {
        var isReleased = false
        var isCommitted = false
        var hasFailed = false
        var hasAdded = false
    }

    /// Two splits; the first one ends while checkpoint 1 is under way, and its subtask of the sink takes part in that
    /// with its last state only. The second one goes on behind the checkpoint.
    private func execution(
        _ script: ManualScript<String>, _ disk: MemoryFileSystem, from: String?
    ) throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.parallelism = 2
        env.settings.batchCapacity = 16
        env.settings.restart = .fixedDelay(attempts: 10, delay: 1)
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: disk, from: from)
        options.settings.interval = 1_000
        env.settings.checkpoints = options
        let lines = env.read(ManualSource(script), name: "lines")
        lines.map(name: "raw") { $0 }.startNewChain()
            .write(to: FileSink("out/", format: .lines, fileSystem: disk), name: "parts")
        try lines.keyed(by: { $0 }).aggregate(Count(), name: "counts") { "\($0) \($1)" }
            .write(to: .collect(Collected<String>(), visible: .whenCommitted), name: "rows")
        return try env.makeExecution()
    }

    /// The job goes back to the checkpoint, by a restart or in another process, and the subtask that had ended gets the
    /// other split: what it published stays.
    @Test(arguments: [false, true])
    func aPartIsNeverReplaced(_ isKilled: Bool) async throws {
        let disk = MemoryFileSystem()
        let script = ManualScript<String>([[.emit(["a1", "a2", "a3"]), .end], [.emit(["b1"])]])
        let execution = try execution(script, disk, from: nil)
        let phase = Mutex(Phase())
        let observer = Holdup(
            hear: { text in
                phase.withLock { phase in
                    // The other subtask of the source has passed the barrier.
                    if text.hasPrefix("checkpoint 1: lines/1 acknowledged") { phase.isReleased = true }
                    if text == "checkpoint 1: committed" { phase.isCommitted = true }
                }
            },
            decide: { turn in
                let isRestarted = execution.checkpoints.failovers.value > 0
                let (adds, decision) = phase.withLock { phase -> (Bool, StepDecision) in
                    if isRestarted, !phase.hasAdded {
                        phase.hasAdded = true
                        return (true, .go)
                    }
                    guard case .task(let name, let subtask, _) = turn else { return (false, .go) }
                    if name.hasPrefix("raw"), subtask == 0, !phase.isReleased { return (false, .skip) }
                    if phase.isCommitted, !phase.hasFailed {
                        phase.hasFailed = true
                        let mishap = Mishap(text: "after the checkpoint")
                        return (false, isKilled ? .die(mishap) : .fail(mishap))
                    }
                    return (false, .go)
                }
                if adds { script.add(.emit(["b2", "b3"]), .end, to: 1) }
                return decision
            })
        if isKilled {
            await #expect(throws: Mishap.self) { try await execution.run(on: CountingJob.scheduler(1, observer)) }
            script.add(.emit(["b2", "b3"]), .end, to: 1)
            try await self.execution(script, disk, from: "latest").run(on: CountingJob.scheduler(2))
        } else {
            try await execution.run(on: CountingJob.scheduler(1, observer))
        }
        let parts = disk.paths.filter { $0.hasPrefix("out/part-") }
        let lines = parts.flatMap { (disk.text($0) ?? "").split(separator: "\n").map(String.init) }
        #expect(lines.sorted() == ["a1", "a2", "a3", "b1", "b2", "b3"], "\(parts)")
        // The trial is one: the part of the task that had ended bears a number ahead of its checkpoint.
        #expect(parts.contains("out/part-0000000002-000-0000.lines"), "\(parts)")
        #expect(disk.paths.filter { $0.contains(".inprogress") } == [])
    }
}
