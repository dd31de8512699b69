// SPDX-License-Identifier: Apache-2.0
//  Only the owner removes a snapshot, and only what nobody needs (FLIP-47 b2, b4, b6, d3).

import Testing
import ThalwegBase
import ThalwegStorage
import ThalwegTesting

@Suite struct OwnershipTests {
    private func store(_ disk: any FileSystem, _ root: String = "ck") throws -> CheckpointStore {
        let store = CheckpointStore(root: root, fileSystem: disk)
        try store.prepare()
        return store
    }

    @discardableResult
    private func write(
        _ store: CheckpointStore, _ checkpoint: Int64, kind: SnapshotKind = .checkpoint, files count: Int = 1,
        sharing shared: [SegmentFile] = []
    ) throws -> SnapshotMetadata {
        var files = shared
        for index in 0..<count {
            let entries: [Entry] = (0..<4).map { (keyed(index, Int(checkpoint) * 10 + $0), [UInt8(index), 7]) }
            let file = try store.writeSegment(
                checkpoint: checkpoint, name: "op-\(index)", operators: ["op"], subtask: index,
                parts: [part(descriptor("op", "sum \(checkpoint) \(index)"), entries)], isCancelled: { false })
            if let file { files.append(file) }
        }
        var metadata = metadata(checkpoint, files)
        metadata.kind = kind.rawValue
        try store.complete(metadata)
        return metadata
    }

    private func numbers(_ store: CheckpointStore) throws -> [Int64] { try store.list().map(\.checkpoint).sorted() }

    /// A directory may have been somebody's before it was named as one for checkpoints.
    @Test func filesOfOthersStay() throws {
        let disk = MemoryFileSystem()
        let paths = ["ck/shared/important.txt", "ck/chk-5/notes.txt", "ck/chk-6/photos/one.jpg"]
        for path in paths { disk[path] = [1, 2, 3] }
        disk["ck/chk-5/op-0.segment"] = [1]
        disk["ck/chk-7/op-0.segment"] = [1]
        disk["ck/shared/op-0.segment"] = [1]
        let store = try store(disk)
        try write(store, 8)
        try store.prepare()
        #expect(paths.allSatisfy { disk[$0] == [1, 2, 3] })
        #expect(!disk.paths.contains { $0.hasSuffix("op-0.segment") && !$0.hasPrefix("ck/chk-8/") })
        try store.load("chk-8").verify()
    }

    @Test func whatIsTheUsersStays() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        for checkpoint in 1...4 as ClosedRange<Int64> { try write(store, checkpoint) }
        try write(store, 5, kind: .savepoint)
        #expect(try store.load("chk-5").owner == .user && store.load("chk-4").owner == .job)
        try store.give("ck/chk-2", to: .user)
        try store.give("chk-5", to: .job)
        #expect(try store.load("chk-2").owner == .user && store.load("chk-5").owner == .job)
        try store.load("chk-2").verify()
        try store.retain(newest: 2)
        #expect(try numbers(store) == [2, 4, 5])
        try store.release(checkpoint: 2)
        try store.release(checkpoint: 4)
        #expect(try numbers(store) == [2, 5])
        try store.give("chk-2", to: .job)
        try store.release(checkpoint: 2)
        #expect(try numbers(store) == [5])
        disk["ck/kept/_metadata"] = disk["ck/chk-5/_metadata"]
        for path in disk.paths where path.hasPrefix("ck/chk-5/") {
            disk["ck/kept/" + path.dropFirst("ck/chk-5/".count)] = disk[path]
        }
        // The job does not look there.
        #expect(throws: ThalwegError.self) { try store.give("ck/kept", to: .job) }
        #expect(throws: ThalwegError.self) { try store.give("ck/none", to: .user) }
    }

    /// What a directory must hold: each snapshot's metadata and the files that they refer to, and nothing else.
    private func check(
        _ disk: MemoryFileSystem, _ root: String, _ place: String, and others: Set<String> = []
    ) throws {
        let store = CheckpointStore(root: root, fileSystem: disk)
        var expected = others
        for listing in try store.list() {
            let snapshot = try store.load(listing.path)
            try snapshot.verify()
            expected.insert(snapshot.path + "/_metadata")
            expected.formUnion(snapshot.metadata.files.map { root + "/" + $0.path })
        }
        #expect(Set(disk.paths.filter { $0.hasPrefix(root + "/") }) == expected, "\(place)")
    }

    /// FLIP-47 d3: three jobs whose checkpoints share files, fifty of them, and prunes at random.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func pruneLeavesWhatIsReferredTo(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let disk = MemoryFileSystem()
        let stores = try (0..<3).map { try store(disk, "job-\($0)") }
        var newest = [Int64](repeating: 0, count: 3)
        var last = [SnapshotMetadata?](repeating: nil, count: 3)
        for _ in 0..<50 {
            let job = random.below(3)
            newest[job] += 1 + Int64(random.below(2))
            let shared = last[job]?.files.filter { _ in random.below(3) > 0 } ?? []
            let kind: SnapshotKind = random.below(6) == 0 ? .savepoint : .checkpoint
            last[job] = try write(
                stores[job], newest[job], kind: kind, files: random.below(4), sharing: shared)
            if random.below(8) == 0 {
                let listed = try stores[job].list()
                try stores[job].give(
                    listed[random.below(listed.count)].path, to: random.below(2) == 0 ? .user : .job)
            }
            if random.below(10) == 0 {
                // What was never completed.
                disk["job-\(job)/chk-\(newest[job] + 1)/op.segment"] = [1, 2, 3]
                newest[job] += 1
            }
            guard random.below(6) == 0 else { continue }
            let keep = random.below(4)
            let before = try stores[job].list()
            let trial = try stores[job].prune(keeping: keep, isTrial: true)
            #expect(try numbers(stores[job]) == before.map(\.checkpoint).sorted())
            let report = try stores[job].prune(keeping: keep)
            #expect(report == trial, "seed \(seed)")
            #expect(try numbers(stores[job]) == report.kept, "seed \(seed)")
            let owned = before.filter { $0.metadata?.owner == .job }.map(\.checkpoint)
            // Savepoints are not what latest stands for.
            let latest = before.first { $0.metadata?.kind == "checkpoint" }?.checkpoint
            #expect(Set(report.checkpoints) == Set(owned.dropFirst(keep)).subtracting([latest].compactMap { $0 }))
            try check(disk, "job-\(job)", "seed \(seed)")
        }
        for (job, store) in stores.enumerated() {
            _ = try store.prune(keeping: 1)
            try check(disk, "job-\(job)", "seed \(seed), at the end")
        }
    }

    /// A power cut at any moment of a prune: what looks complete is complete, and the next one cleans up.
    @Test func pruneAndPower() throws {
        let start = MemoryFileSystem()
        var last: [SegmentFile] = []
        let first = try store(start)
        for checkpoint in 1...5 as ClosedRange<Int64> {
            last = try write(first, checkpoint, files: 2, sharing: Array(last.suffix(2))).files
        }
        let whole = CrashDisk(start)
        _ = try CheckpointStore(root: "ck", fileSystem: whole).prune(keeping: 2)
        for limit in 0..<whole.operations {
            let disk = CrashDisk(start)
            disk.crashAfterOperations = limit
            #expect(throws: (any Error).self) {
                try CheckpointStore(root: "ck", fileSystem: disk).prune(keeping: 2)
            }
            for fate in CrashTests.fates {
                let rest = disk.survivor(fate)
                let store = CheckpointStore(root: "ck", fileSystem: rest)
                for listing in try store.list() { try store.load(listing.path).verify() }
                _ = try store.prune(keeping: 2)
                #expect(try numbers(store) == [4, 5], "operation \(limit) \(fate)")
                try check(rest, "ck", "operation \(limit) \(fate)")
            }
        }
    }

    @Test func whatIsDamagedStopsAPrune() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        for checkpoint in 1...4 as ClosedRange<Int64> { try write(store, checkpoint) }
        disk["ck/chk-2/_metadata"]?[3] ^= 1
        let before = disk.paths
        let error = #expect(throws: ThalwegError.self) { try store.prune(keeping: 1) }
        #expect(error?.kind == .corrupt && error?.detail?.contains("chk-2") == true)
        #expect(disk.paths == before)
        #expect(throws: ThalwegError.self) {
            try CheckpointStore(root: "none", fileSystem: disk).prune(keeping: 1)
        }
    }

    /// A job has gone back before what is damaged: that can be given up, with the files that only it needs.
    @Test func whatIsDamagedCanBeGivenUp() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        let three = try write(store, 3, files: 2)
        try write(store, 4, files: 2, sharing: [three.files[0]])
        disk["ck/chk-4/_metadata"]?[3] ^= 1
        // Nobody has gone back yet.
        var before = disk.paths
        let early = #expect(throws: ThalwegError.self) { try store.prune(keeping: 1, givesUpDamaged: true) }
        #expect(early?.kind == .corrupt && early?.hint?.contains("--from chk-3") == true, "\(early as Any)")
        try store.noteStart(from: try store.load("chk-3"), repeatsOutput: true)
        #expect(throws: ThalwegError.self) { try store.prune(keeping: 1) }
        before = disk.paths
        let trial = try store.prune(keeping: 1, givesUpDamaged: true, isTrial: true)
        #expect(trial.damaged == ["chk-4"] && trial.files.count == 2 && disk.paths == before)
        #expect(try store.prune(keeping: 1, givesUpDamaged: true) == trial)
        #expect(try numbers(store) == [3] && !disk.paths.contains { $0.contains("chk-4") })
        try store.load("chk-3").verify()
        // The next checkpoint of the run that went back is its newest, though the numbers before are free again.
        #expect(try store.highestNumber == 4 && store.loadLatest()?.metadata.checkpoint == 3)
        try write(store, 5)
        #expect(try store.loadLatest()?.metadata.checkpoint == 5)
        try check(disk, "ck", "at the end", and: ["ck/_start"])
    }

    /// Data is damaged too when only its checksums tell, but what the job would go on from is not given up.
    @Test func whatLatestStandsForIsNotGivenUp() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        for checkpoint in 1...3 as ClosedRange<Int64> { try write(store, checkpoint) }
        func damage(_ name: String) { disk["ck/\(name)/op-0.segment"]?[9] ^= 1 }
        damage("chk-3")
        let before = disk.paths
        let error = #expect(throws: ThalwegError.self) { try store.prune(keeping: 5, givesUpDamaged: true) }
        #expect(error?.kind == .corrupt && error?.detail == "ck/chk-3", "\(error as Any)")
        #expect(error?.hint?.contains("--from chk-2 --repeat-output") == true && disk.paths == before)
        damage("chk-3")
        damage("chk-1")
        let report = try store.prune(keeping: 5, givesUpDamaged: true)
        #expect(report.damaged == ["chk-1"] && report.kept == [2, 3] && report.checkpoints.isEmpty)
        try check(disk, "ck", "at the end")
    }

    /// A start that was refused leaves no directory that it has made, and none of somebody else's behind.
    @Test func whatWasMadeIsTakenAway() throws {
        let disk = MemoryFileSystem(["there/file": "x"])
        let store = CheckpointStore(root: "there/a/b", fileSystem: disk)
        let made = store.missingDirectories
        #expect(made == ["there/a/b", "there/a"] && store.place == "/there/a/b")
        try store.prepare()
        #expect(disk.isDirectory("there/a/b") && store.missingDirectories.isEmpty)
        disk["there/a/other"] = [1]
        store.withdraw(made)
        #expect(!disk.isDirectory("there/a/b") && disk.isDirectory("there/a"))
        try store.prepare()
        try write(store, 1)
        store.withdraw(made)
        #expect(try numbers(store) == [1])
    }

    /// While a job is at work its checkpoint under way has files that nothing refers to yet.
    @Test func notWhileAJobIsAtWork() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        for checkpoint in 1...3 as ClosedRange<Int64> { try write(store, checkpoint) }
        let lock = try store.prepare(for: "a job")
        let error = #expect(throws: ThalwegError.self) { try store.prune(keeping: 1) }
        #expect(error?.kind == .retry)
        #expect(try store.prune(keeping: 1, isTrial: true).checkpoints == [1, 2])
        lock?.release()
        #expect(try store.prune(keeping: 1).checkpoints == [1, 2])
    }

    /// A snapshot under another name needs its shared files still; where a run began stays.
    @Test func renamedOnesAndTheStartCount() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        let one = try write(store, 1, files: 2)
        let two = try write(store, 2, sharing: one.files)
        for path in disk.paths where path.hasPrefix("ck/chk-2/") {
            disk["ck/kept/" + path.dropFirst("ck/chk-2/".count)] = disk[path]
        }
        try write(store, 3)
        try write(store, 4)
        try store.noteStart(from: try store.load("chk-3"), repeatsOutput: true)
        let report = try store.prune(keeping: 1)
        #expect(report.checkpoints == [1, 2] && report.kept == [3, 4])
        let kept = try store.load("ck/kept")
        try kept.verify()
        #expect(kept.metadata.files == two.files)
        #expect(try store.loadLatest()?.metadata.checkpoint == 3)
        #expect(try store.prune(keeping: 0).checkpoints == [4])
        try kept.verify()
    }

    // MARK: Claims

    @Test func aClaimedSnapshotHasOneClaimer() throws {
        let disk = MemoryFileSystem()
        let source = try store(disk, "old")
        let one = try write(source, 1, files: 2)
        try write(source, 2, sharing: one.files)
        try write(source, 3)
        let (first, second) = (try store(disk, "first"), try store(disk, "second"))
        let snapshot = try source.load("chk-2")
        try first.claim(snapshot, jobName: "a", time: 1)
        // The same job again, after a failure.
        try first.claim(snapshot, jobName: "a", time: 2)
        let error = #expect(throws: ThalwegError.self) { try second.claim(snapshot, jobName: "b", time: 1) }
        #expect(error?.detail?.contains("\"a\"") == true && error?.kind == .job)
        try second.removeClaimed()
        #expect(try numbers(source) == [1, 2, 3])
        try first.removeClaimed()
        #expect(try numbers(source) == [1, 3])
        for listing in try source.list() { try source.load(listing.path).verify() }
        #expect(!disk.paths.contains { $0.hasPrefix("old/chk-2/") || $0.contains("_claim") })
        try first.removeClaimed()
        // In the job's own directory, it becomes the job's.
        try write(source, 4, kind: .savepoint)
        try source.claim(try source.load("chk-4"), jobName: "a", time: 1)
        #expect(try source.load("chk-4").owner == .job)
    }

    /// Elsewhere and under another name: only what is the snapshot's goes.
    @Test func aClaimedCopyGoes() throws {
        let disk = MemoryFileSystem()
        let source = try store(disk, "old")
        try write(source, 3, files: 2)
        for path in disk.paths { disk["copy/" + path.dropFirst("old/chk-3/".count)] = disk[path] }
        disk["copy/notes.txt"] = [1]
        let job = try store(disk, "job")
        try job.claim(try job.load("copy"), jobName: "a", time: 1)
        try job.removeClaimed()
        #expect(disk.paths.filter { $0.hasPrefix("copy/") } == ["copy/notes.txt"])
        #expect(try numbers(source) == [3])
    }

    /// A power cut at any moment of a claim and of its end: nobody else can take it, or it is still whole and free.
    @Test func claimsAndPower() throws {
        let start = MemoryFileSystem()
        try write(try store(start, "old"), 3, files: 2)
        _ = try store(start, "job")
        start["job/x"] = []
        func live(_ disk: any FileSystem) throws {
            let job = CheckpointStore(root: "job", fileSystem: disk)
            try job.claim(try job.load("old/chk-3"), jobName: "a", time: 1)
            try job.removeClaimed()
        }
        let whole = CrashDisk(start)
        try live(whole)
        for limit in 0..<whole.operations {
            let disk = CrashDisk(start)
            disk.crashAfterOperations = limit
            #expect(throws: (any Error).self) { try live(disk) }
            for fate in CrashTests.fates {
                let rest = disk.survivor(fate)
                let job = CheckpointStore(root: "job", fileSystem: rest)
                // The job goes on: with the snapshot, which is whole, or without it, as it has its own by then.
                if let snapshot = try? job.load("old/chk-3") {
                    try snapshot.verify()
                    try job.claim(snapshot, jobName: "a", time: 2)
                }
                try job.removeClaimed()
                #expect(
                    !rest.paths.contains { $0.hasPrefix("old/chk-3/_") || $0.contains("_claim") },
                    "operation \(limit) \(fate): \(rest.paths)")
            }
        }
    }
}
