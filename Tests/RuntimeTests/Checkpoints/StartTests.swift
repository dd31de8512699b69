// SPDX-License-Identifier: Apache-2.0
//  A start that would write output again is refused unless it is asked for (FLIP-47).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct StartTests {
    /// A job that was killed with checkpoints 1 to 4 on the disk.
    private func killed(retained: Int = 4) async throws -> MemoryFileSystem {
        var job = PartsJob()
        job.retained = retained
        return try await kill(job, after: 4)
    }

    /// Kills a job when so many checkpoints are complete.
    private func kill(_ job: PartsJob, after checkpoints: Int, turns: Int = 0) async throws -> MemoryFileSystem {
        let execution = try job.makeExecution()
        let seen = Mutex(0)
        let survivor = Mutex<MemoryFileSystem?>(nil)
        let observer = Holdup { _ in
            guard execution.checkpoints.completed.value >= checkpoints,
                seen.withLock({ seen in
                    seen += 1
                    return seen > turns
                })
            else { return .go }
            survivor.withLock { $0 = $0 ?? job.disk.copy }
            return .die(Mishap(text: "killed"))
        }
        await #expect(throws: Mishap.self) { try await execution.run(on: CountingJob.scheduler(1, observer)) }
        return try #require(survivor.withLock { $0 })
    }

    private func refusal(_ job: PartsJob) async throws -> String {
        let before = job.disk.copy
        let error = await #expect(throws: ThalwegError.self) {
            try await job.makeExecution().run(on: CountingJob.scheduler(1))
        }
        #expect(error?.kind == .job && error?.hint?.contains("--repeat-output") == true, "\(error as Any)")
        #expect(job.published == PartsJob(before).published, "something was published")
        #expect(job.disk.paths == before.paths, "the disk is not as it was")
        return "\(error as Any)"
    }

    @Test func aFreshStartBesideCheckpoints() async throws {
        var job = PartsJob(try await killed())
        #expect(try await refusal(job).contains("chk-4"))
        // Asked for, it begins at the beginning, and what was published stays.
        let before = job.published
        job.repeatsOutput = true
        try await job.makeExecution().run(on: CountingJob.scheduler(1))
        #expect(job.published == job.expected.merging(before, uniquingKeysWith: +))
    }

    /// Killed before its first checkpoint, the new run does not go on from the old one's.
    @Test func aFreshStartIsRemembered() async throws {
        var job = PartsJob(try await killed())
        for path in job.disk.paths where path.hasPrefix("out/part") { job.disk[path] = nil }
        job.repeatsOutput = true
        var second = PartsJob(try await kill(job, after: 0, turns: 40))
        #expect(second.published.isEmpty)
        second.from = "latest"
        try await second.makeExecution().run(on: CountingJob.scheduler(1))
        #expect(second.published == second.expected)
    }

    @Test func anOlderCheckpoint() async throws {
        var job = PartsJob(try await killed())
        job.from = "chk-2"
        #expect(try await refusal(job).contains("chk-4"))
        // With what is newer taken away, going back is exact, and stays so over a kill before the next checkpoint.
        for path in job.disk.paths where path.hasPrefix("out/part-") && path > "out/part-0000000003" {
            job.disk[path] = nil
        }
        job.repeatsOutput = true
        for turns in [0, 20, 200] {
            var second = PartsJob(try await kill(PartsJob.copy(of: job), after: 0, turns: turns))
            second.from = "latest"
            try await second.makeExecution().run(on: CountingJob.scheduler(1))
            #expect(second.published == second.expected, "after \(turns) turns")
        }
        try await job.makeExecution().run(on: CountingJob.scheduler(1))
        #expect(job.published == job.expected)
    }

    /// The directory of checkpoints is new, but the output is not.
    @Test func outputOfAnotherRun() async throws {
        var job = PartsJob(try await killed())
        job.directory = "others"
        #expect(try await refusal(job).contains("out/part-0000000001"))
        job.from = "checkpoints/chk-2"
        #expect(try await refusal(job).contains("newer than checkpoint 2"))
        // From the newest one it goes on, with checkpoints in the new directory.
        job.from = "checkpoints/chk-4"
        try await job.makeExecution().run(on: CountingJob.scheduler(1))
        #expect(job.published == job.expected)
    }

    /// The newest checkpoint by its name is as good as `latest`.
    @Test func theNewestByName() async throws {
        var job = PartsJob(try await killed())
        job.from = "chk-4"
        try await job.makeExecution().run(on: CountingJob.scheduler(1))
        #expect(job.published == job.expected)
        #expect(!job.disk.paths.contains("checkpoints/_start"))
    }

    /// A copy of the newest one, or the same under another path, is not an older one.
    @Test func theNewestElsewhere() async throws {
        var job = PartsJob(try await killed())
        for path in job.disk.paths where path.hasPrefix("checkpoints/chk-4/") {
            job.disk["copies" + path.dropFirst("checkpoints".count)] = job.disk[path]
        }
        job.from = "copies/chk-4"
        try await job.makeExecution().run(on: CountingJob.scheduler(1))
        #expect(job.published == job.expected)
    }

    @Test func aDamagedRecordIsRefused() async throws {
        var job = PartsJob(try await killed())
        job.repeatsOutput = true
        job.from = "chk-2"
        var second = PartsJob(try await kill(job, after: 0, turns: 10))
        var bytes = try #require(second.disk["checkpoints/_start"])
        bytes[3] ^= 1
        second.disk["checkpoints/_start"] = bytes
        second.from = "latest"
        let error = await #expect(throws: ThalwegError.self) {
            try await second.makeExecution().run(on: CountingJob.scheduler(1))
        }
        #expect(error?.kind == .corrupt && error?.detail?.contains("checkpoints/_start") == true)
    }
}

extension PartsJob {
    /// The same job on a disk of its own.
    fileprivate static func copy(of job: PartsJob) -> PartsJob {
        var copy = PartsJob(job.disk.copy)
        (copy.from, copy.repeatsOutput, copy.interval) = (job.from, job.repeatsOutput, nil)
        return copy
    }
}
