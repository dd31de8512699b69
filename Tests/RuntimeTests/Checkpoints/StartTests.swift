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
        // The directory that it comes from has a newer one.
        job.from = "checkpoints/chk-2"
        #expect(try await refusal(job).contains("checkpoints/chk-4 lies beside it"))
        // A copy says nothing of that, but the output does.
        for path in job.disk.paths where path.hasPrefix("checkpoints/chk-2/") {
            job.disk["copies" + path.dropFirst("checkpoints".count)] = job.disk[path]
        }
        job.from = "copies/chk-2"
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

    /// A run of the other directory had gone back to the checkpoint: that is its newest, whatever the numbers say.
    @Test func whatAnotherDirectoryHadGoneBackTo() async throws {
        var job = PartsJob(try await killed())
        for path in job.disk.paths where path.hasPrefix("out/part-") && path > "out/part-0000000003" {
            job.disk[path] = nil
        }
        (job.from, job.repeatsOutput) = ("chk-2", true)
        var second = PartsJob(try await kill(PartsJob.copy(of: job), after: 0, turns: 20))
        (second.from, second.directory) = ("checkpoints/chk-2", "others")
        try await second.makeExecution().run(on: CountingJob.scheduler(1))
        #expect(second.published == second.expected)
    }

    /// A run that began with a snapshot from elsewhere has published what that had prepared, before it has a checkpoint
    /// of its own: nobody begins at the beginning after it unasked.
    @Test func aStartFromElsewhereIsRemembered() async throws {
        var job = PartsJob(try await killed())
        (job.from, job.directory) = ("checkpoints/chk-4", "others")
        let remains = try await kill(job, after: 0, turns: 40)
        var second = PartsJob(remains)
        second.directory = "others"
        #expect(try CheckpointStore(root: "others", fileSystem: remains).latestCheckpointID == nil)
        let text = try await refusal(second)
        #expect(text.contains("an earlier run began with a snapshot") && text.contains("checkpoints/chk-4"), "\(text)")
        var latest = PartsJob(remains.copy)
        (latest.directory, latest.from) = ("others", "latest")
        try await latest.makeExecution().run(on: CountingJob.scheduler(1))
        #expect(latest.published == latest.expected)
        // Asked for, it begins anew.
        for path in second.disk.paths where path.hasPrefix("out/part-") { second.disk[path] = nil }
        second.repeatsOutput = true
        try await second.makeExecution().run(on: CountingJob.scheduler(1))
        #expect(second.published == second.expected)
    }

    @Test func theSnapshotOfAnotherJob() async throws {
        var job = PartsJob(try await killed())
        (job.name, job.from) = ("sums", "latest")
        let before = job.disk.paths
        let error = await #expect(throws: ThalwegError.self) {
            try await job.makeExecution().run(on: CountingJob.scheduler(1))
        }
        #expect(error?.kind == .job && error?.primary == "the snapshot is that of another job")
        #expect(error?.detail?.contains("\"parts\", this job is \"sums\"") == true, "\(error as Any)")
        #expect(error?.hint?.contains("--allow-other-job") == true)
        #expect(job.disk.paths == before)
        job.allowsOtherJob = true
        try await job.makeExecution().run(on: CountingJob.scheduler(1))
        #expect(job.published == job.expected)
    }

    @Test func aNameThatIsNotThere() async throws {
        var job = PartsJob(try await killed())
        job.from = "chk-99"
        let error = await #expect(throws: ThalwegError.self) {
            try await job.makeExecution().run(on: CountingJob.scheduler(1))
        }
        #expect(error?.kind == .input && error?.hint == "name one of these, or latest")
        #expect(error?.detail == "chk-99 in checkpoints, which has chk-4, chk-3, chk-2, chk-1")
    }

    /// Two runs in one directory at a time: the second is told who has it, the first one notices nothing.
    @Test func aSecondRunInTheDirectory() async throws {
        let job = PartsJob()
        let first = try job.makeExecution()
        let refused = Mutex<(any Error)?>(nil)
        let hasTried = Mutex(false)
        let observer = Holdup { _ in
            let tries =
                first.checkpoints.completed.value >= 1
                && hasTried.withLock { tried in
                    defer { tried = true }
                    return !tried
                }
            if tries {
                do {
                    try CheckpointStore(root: "checkpoints", fileSystem: job.disk).prepare(for: "job parts")
                } catch { refused.withLock { $0 = error } }
            }
            return .go
        }
        try await first.run(on: CountingJob.scheduler(1, observer))
        let error = try #require(refused.withLock { $0 } as? ThalwegError)
        #expect(error.kind == .retry && error.detail?.contains("job parts") == true, "\(error)")
        #expect(job.published == job.expected)
        // It is let go of with the end of the run.
        try CheckpointStore(root: "checkpoints", fileSystem: job.disk).prepare()
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
