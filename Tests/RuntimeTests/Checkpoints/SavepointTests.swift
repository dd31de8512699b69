// SPDX-License-Identifier: Apache-2.0
//  Savepoints publish nothing and are not restored by themselves, whatever fails after them (FLIP-47).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct SavepointTests {
    /// What the observer of a life has seen.
    private struct Sight {
        var turns = 0
        var hasAsked = false
        var isHeard = false
        /// The number of the savepoint.
        var taken: Int64?
        var failures = 0
        var survivor: MemoryFileSystem?
    }

    /// What a killed process leaves.
    private struct Remains {
        let disk: MemoryFileSystem
        let savepoint: Int64
    }

    /// Takes a savepoint, fails a task after it, and kills the process some turns after the restart.
    private func live(_ job: PartsJob, seed: UInt64, killAfter turns: Int, fails: Bool) async throws -> Remains {
        let sight = Mutex(Sight())
        let execution = try job.makeExecution()
        let observer = Holdup(
            hear: { text in
                if text == "a wish: savepoint" { sight.withLock { $0.isHeard = true } }
                guard text.hasSuffix(": complete") else { return }
                let store = CheckpointStore(root: "checkpoints", fileSystem: job.disk)
                let taken = (try? store.list())?.first { $0.metadata?.kind == "savepoint" }
                sight.withLock { $0.taken = taken?.checkpoint }
            },
            decide: { turn in
                let (asks, decision) = sight.withLock { sight -> (Bool, StepDecision) in
                    if !sight.hasAsked, execution.checkpoints.completed.value == 2 {
                        sight.hasAsked = true
                        return (true, .go)
                    }
                    // The tasks stand still until the wish has come from the thread of whoever has it.
                    if sight.hasAsked, !sight.isHeard, case .task = turn { return (false, .skip) }
                    guard sight.taken != nil else { return (false, .go) }
                    if fails, sight.failures == 0, case .task = turn {
                        sight.failures = 1
                        return (false, .fail(Mishap(text: "after the savepoint")))
                    }
                    guard !fails || execution.checkpoints.failovers.value > 0 else { return (false, .go) }
                    sight.turns += 1
                    guard sight.turns > turns else { return (false, .go) }
                    sight.survivor = job.disk.copy
                    return (false, .die(Mishap(text: "killed")))
                }
                if asks { Task { _ = try? await execution.savepoint() } }
                return decision
            })
        await #expect(throws: Mishap.self) { try await execution.run(on: CountingJob.scheduler(seed, observer)) }
        let (survivor, savepoint) = sight.withLock { ($0.survivor, $0.taken) }
        return Remains(disk: try #require(survivor), savepoint: try #require(savepoint))
    }

    /// The job goes back behind the savepoint in this process, and another process goes on from the newest checkpoint.
    @Test(arguments: 0..<12 as Range<UInt64>)
    func aFailureAndAKillAfterASavepoint(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        var job = PartsJob()
        job.parallelism = 1 + Int(seed % 2)
        job.interval = 30
        let turns = Int.random(in: 0...60, using: &random)
        var second = PartsJob(try await live(job, seed: seed, killAfter: turns, fails: seed % 4 != 0).disk)
        second.from = "latest"
        second.parallelism = job.parallelism
        try await second.makeExecution().run(on: CountingJob.scheduler(seed))
        #expect(second.published == second.expected)
    }

    /// A process that was started from a savepoint publishes what it holds: `latest` means the savepoint then.
    @Test(arguments: [1, 3, 10, 30])
    func aKillAfterAStartFromASavepoint(_ turns: Int) async throws {
        var job = PartsJob()
        job.interval = 30
        let remains = try await live(job, seed: 3, killAfter: 0, fails: false)
        var second = PartsJob(remains.disk)
        second.from = "chk-\(remains.savepoint)"
        second.interval = nil
        let execution = try second.makeExecution()
        let seen = Mutex(0)
        let survivor = Mutex<MemoryFileSystem?>(nil)
        let disk = second.disk
        let observer = Holdup { _ in
            let isDue = seen.withLock { seen in
                seen += 1
                return seen > turns
            }
            guard isDue else { return .go }
            survivor.withLock { $0 = $0 ?? disk.copy }
            return .die(Mishap(text: "killed"))
        }
        await #expect(throws: Mishap.self) { try await execution.run(on: CountingJob.scheduler(1, observer)) }
        var third = PartsJob(try #require(survivor.withLock { $0 }))
        third.from = "latest"
        try await third.makeExecution().run(on: CountingJob.scheduler(2))
        #expect(third.published == third.expected)
    }

    /// Whoever meant the savepoint is told.
    @Test func aNewerSavepointIsNamed() async throws {
        var job = PartsJob()
        job.interval = 30
        let remains = try await live(job, seed: 3, killAfter: 0, fails: false)
        var second = PartsJob(remains.disk)
        second.from = "latest"
        let execution = try second.makeExecution()
        try await execution.run(on: CountingJob.scheduler(1))
        #expect(execution.notices.lines.contains { $0.contains("savepoint checkpoints/chk-\(remains.savepoint),") })
    }
}
