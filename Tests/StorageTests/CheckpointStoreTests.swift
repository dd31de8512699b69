// SPDX-License-Identifier: Apache-2.0
//  Snapshots are complete or none, and what is restored is what was stored.

import Testing
import ThalwegBase
import ThalwegStorage
import ThalwegTesting

@Suite struct CheckpointStoreTests {
    /// Writes a checkpoint of `op` with two subtasks that own half of 128 key groups each.
    @discardableResult
    func write(_ store: CheckpointStore, _ checkpoint: Int64, salt: Int = 0, perGroup: Int = 3) throws
        -> SnapshotMetadata
    {
        var files: [SegmentFile] = []
        for subtask in 0..<2 {
            let entries: [Entry] = (subtask * 64..<subtask * 64 + 64).flatMap { group in
                (0..<perGroup).map { (keyed(group, $0), [UInt8(salt), UInt8(group)]) }
            }
            let file = try store.writeSegment(
                checkpoint: checkpoint, name: "op/\(subtask)", operators: ["op"], subtask: subtask,
                parts: [
                    part(descriptor("op", "sum"), entries), part(descriptor("op", "empty"), []),
                    part(descriptor("op", "rules", .broadcast), [([1], [1]), ([2], [2])]),
                    part(descriptor("op", "offsets", .split), [([0, 0, 0, UInt8(subtask)], [9])]),
                ], isCancelled: { false })
            if let file { files.append(file) }
        }
        let metadata = metadata(checkpoint, files)
        try store.complete(metadata)
        return metadata
    }

    func store(_ disk: any FileSystem) throws -> CheckpointStore {
        let store = CheckpointStore(root: "ck", fileSystem: disk)
        try store.prepare()
        return store
    }

    /// The last state of a task lies in the directory of a checkpoint to come, and may be part of one that is complete.
    @Test func aFileThatIsThereIsNeverWrittenOver() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        let paths = try (UInt8(1)...2).map { value in
            try store.writeSegment(
                checkpoint: 6, name: "op-0-final", operators: ["op"], subtask: 0,
                parts: [part(descriptor("op", "rules", .broadcast), [([1], [value])])], isCancelled: { false })?.path
        }
        #expect(paths == ["chk-6/op-0-final.segment", "chk-6/op-0-final-2.segment"])
    }

    @Test func whatIsStoredIsRestored() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        #expect(try store.latestCheckpointID == nil)
        let written = try write(store, 7)
        #expect(try store.latestCheckpointID == 7)
        let snapshot = try store.load()
        #expect(snapshot.metadata == written)
        try snapshot.verify()
        let state = try #require(try snapshot.restoredState(of: "op"))
        #expect(state.states.map(\.name) == ["empty", "offsets", "rules", "sum"])
        #expect(state.states.first { $0.name == "sum" } == descriptor("op", "sum"))
        #expect(state.parallelism == 2)
        #expect(try state.all("sum").count == 384)
        #expect(try state.all("sum", 60..<70).map { Int($0.key[1]) } == (60..<70).flatMap { [$0, $0, $0] })
        #expect(try state.all("sum", 5..<5).isEmpty)
        #expect(try state.all("rules", 60..<70).map(\.key) == [[1], [2]])
        #expect(try state.all("offsets").count == 2)
        #expect(try state.all("empty").isEmpty && state.all("unknown").isEmpty)
        #expect(try snapshot.restoredState(of: "other") == nil)
    }

    private func fails(_ kind: ThalwegError.Kind, _ texts: String..., body: () throws -> Void) {
        let error = #expect(throws: ThalwegError.self, performing: body)
        #expect(error?.kind == kind && texts.allSatisfy { error?.description.contains($0) == true }, "\(error as Any)")
    }

    @Test func aSnapshotIsFoundByNameAndPath() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        fails(.input, "ck") { _ = try store.load() }
        for checkpoint in [2, 10, 9] as [Int64] { try write(store, checkpoint, salt: Int(checkpoint)) }
        #expect(try store.list().map(\.checkpoint) == [10, 9, 2])
        for path in ["chk-9", "ck/chk-9", "ck/chk-9/", "ck/chk-9/_metadata"] {
            #expect(try store.load(path).metadata.checkpoint == 9, "\(path)")
        }
        for path in ["latest", "ck", nil] { #expect(try store.load(path).metadata.checkpoint == 10) }
        fails(.input, "chk-3") { _ = try store.load("chk-3") }
        // A store that was moved, and a directory with another name.
        let moved = MemoryFileSystem()
        for path in disk.paths { moved["x/y" + path.dropFirst(2)] = disk[path] }
        for path in disk.paths where path.hasPrefix("ck/chk-9/") { moved["mine" + path.dropFirst(8)] = disk[path] }
        let other = CheckpointStore(root: "elsewhere", fileSystem: moved)
        for path in ["x/y/chk-9", "mine"] {
            let snapshot = try other.load(path)
            try snapshot.verify()
            #expect(try snapshot.restoredState(of: "op")?.all("sum").first?.value == [9, 0])
        }
        fails(.job, "chk-9") { try write(store, 9) }
    }

    @Test func removingKeepsWhatOthersReferTo() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        let first = try write(store, 1)
        var second = try write(store, 2)
        second = metadata(3, second.files.dropLast() + [first.files[0]])
        try store.complete(second)
        try store.complete(metadata(4, [], kind: "savepoint"))
        try store.discard(checkpoint: 1)
        #expect(disk.paths.filter { $0.hasPrefix("ck/chk-1/") } == ["ck/" + first.files[0].path])
        try store.retain(newest: 1)
        #expect(try store.list().map(\.checkpoint) == [4, 3])
        // Left-overs: files of a checkpoint that was not completed, but not those that another one needs.
        disk["ck/chk-5/a.segment"] = [1]
        disk["ck/chk-5/_metadata.unfinished"] = [1]
        disk["ck/notes"] = [1]
        try store.prepare()
        #expect(
            disk.paths == [
                "ck/chk-1/op%2f0.segment", "ck/chk-2/op%2f0.segment", "ck/chk-3/_metadata", "ck/chk-4/_metadata",
                "ck/notes",
            ])
        try store.load("chk-3").verify()
        try store.discard(checkpoint: 3)
        #expect(disk.paths == ["ck/chk-4/_metadata", "ck/notes"])
        try store.discard(checkpoint: 77)
    }

    /// The last snapshot of an attempt that was over lies beside the files of a checkpoint that did without it.
    @Test func strayFilesOfCompleteCheckpointsGo() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        let written = try write(store, 2)
        try store.complete(metadata(3, [written.files[0]]))
        let kept = disk.paths
        for name in ["chk-2/op-0-final.segment", "chk-3/op-1-final.segment"] { disk["ck/" + name] = [1] }
        disk["ck/chk-3/remarks"] = [1]
        try store.prepare()
        #expect(disk.paths == (kept + ["ck/chk-3/remarks"]).sorted())
        for checkpoint in ["chk-2", "chk-3"] { try store.load(checkpoint).verify() }
    }

    /// What a damaged checkpoint refers to is not known, and it may be mended: nothing that it may need goes.
    @Test func filesOfADamagedCheckpointStay() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        let written = try write(store, 2)
        try store.complete(metadata(3, [written.files[0]]))
        try store.discard(checkpoint: 2)
        let kept = disk.paths
        #expect(kept == ["ck/" + written.files[0].path, "ck/chk-3/_metadata"])
        let copy = disk["ck/chk-3/_metadata"]
        disk["ck/chk-3/_metadata"] = [1]
        try store.prepare()
        fails(.corrupt, "chk-3") { _ = try store.load() }
        disk["ck/chk-3/_metadata"] = copy
        try store.prepare()
        #expect(disk.paths == kept)
        try store.load().verify()
    }

    /// The last state of a task that has ended lies in a directory of a checkpoint that is given up: it is kept for
    /// those to come, and the numbers of another run begin above that directory.
    @Test func lastFilesOutliveTheirCheckpoint() throws {
        let disk = MemoryFileSystem()
        let store = try store(disk)
        try write(store, 2)
        let last = try #require(
            try store.writeSegment(
                checkpoint: 5, name: "op-0-final", operators: ["op"], subtask: 0,
                parts: [part(descriptor("op", "rules", .broadcast), [([1], [2])])], isCancelled: { false }))
        disk["ck/chk-5/op-1.segment"] = [1]
        try store.discard(checkpoint: 5, keeping: [last.path])
        #expect(disk.paths.filter { $0.hasPrefix("ck/chk-5/") } == ["ck/" + last.path])
        try store.complete(metadata(4, [last]))
        try store.prepare()
        #expect(disk["ck/" + last.path] != nil)
        #expect(try store.latestCheckpointID == 4 && store.highestNumber == 5)
        try store.discard(checkpoint: 4)
        #expect(try store.highestNumber == 2)
    }

    /// A process made the directory and failed before it was durable; the next one finds it there.
    @Test func aDirectoryThatIsThereIsMadeDurable() throws {
        let disk = CrashDisk()
        try disk.makeDirectory("jobs/ck")
        let store = CheckpointStore(root: "jobs/ck", fileSystem: disk)
        try store.prepare()
        try write(store, 1)
        let left = CheckpointStore(root: "jobs/ck", fileSystem: disk.survivor(.least))
        #expect(try left.latestCheckpointID == 1)
        try left.load().verify()
    }

    @Test func aCancelledOrFailedWriteLeavesNothing() throws {
        let memory = MemoryFileSystem()
        let faulty = FaultyFileSystem(memory, DiskFaults())
        let store = try store(faulty)
        var random = SeededRandom(seed: 3)
        let entries: [Entry] = (0..<2_000).map { (keyed(0, $0), random.bytes(100)) }
        func write(cancelled: Bool = false, _ entries: [Entry]) throws -> SegmentFile? {
            try store.writeSegment(
                checkpoint: 1, name: "op-0", operators: ["op"], subtask: 0,
                parts: [part(descriptor("op", "sum"), entries)], isCancelled: { cancelled })
        }
        #expect(throws: CancellationError.self) { _ = try write(cancelled: true, entries) }
        #expect(try write([]) == nil)
        #expect(memory.paths.isEmpty)
        faulty.faults.spaceBytes = 100_000
        fails(.retry, "full", "op-0.segment") { _ = try write(entries) }
        #expect(memory.paths.isEmpty)
        faulty.faults.spaceBytes = nil
        faulty.faults.failsSync = true
        fails(.retry, "sync") { _ = try write(entries) }
        #expect(memory.paths.isEmpty)
        faulty.faults.failsSync = false
        let file = try #require(try write(entries))
        faulty.faults.spaceBytes = 10
        fails(.retry, "full") { try store.complete(metadata(1, [file])) }
        #expect(try store.list().isEmpty)
        faulty.faults.spaceBytes = nil
        // The directory vanishes between the write and the end.
        try memory.removeTree("ck")
        fails(.corrupt, file.path) { try store.complete(metadata(1, [file])) }
        #expect(try store.list().isEmpty && store.latestCheckpointID == nil)
        let twice = part(descriptor("op", "sum"), entries)
        fails(.bug, "sum") {
            _ = try store.writeSegment(
                checkpoint: 1, name: "x", operators: ["op"], subtask: 0, parts: [twice, twice], isCancelled: { false })
        }
    }

    @Test func aRootThatCannotBeWrittenIsRefused() throws {
        var faults = DiskFaults()
        faults.failsCreate = true
        fails(.retry, "directory ck", "hint: name a directory") {
            _ = try store(FaultyFileSystem(MemoryFileSystem(), faults))
        }
        let local = CheckpointStore(root: "/dev/null/ck", fileSystem: LocalFileSystem())
        fails(.retry, "/dev/null/ck", "hint: name a directory") { try local.prepare() }
    }

    /// FLIP-41: a restore of 1/32 of the key groups reads its share of the bytes.
    @Test func aRangeReadsItsShare() throws {
        let store = try store(MemoryFileSystem())
        var random = SeededRandom(seed: 4)
        let entries: [Entry] = (0..<128 * 200).map { (keyed($0 / 200, $0), random.bytes(40)) }
        let file = try store.writeSegment(
            checkpoint: 1, name: "op", operators: ["op"], subtask: 0, parts: [part(descriptor("op", "sum"), entries)],
            isCancelled: { false })
        try store.complete(metadata(1, [try #require(file)]))
        let state = try #require(try store.load().restoredState(of: "op"))
        let footers = state.bytesRead
        var found = 0
        for share in 0..<32 {
            let before = state.bytesRead
            let part = try state.all("sum", share * 4..<share * 4 + 4)
            #expect(part.allSatisfy { Int($0.key[1]) / 4 == share })
            found += part.count
            #expect(state.bytesRead - before <= (file?.byteCount ?? 0) / 32 + 2 * 70_000)
        }
        #expect(found == entries.count)
        #expect(footers < 10_000)
    }

    /// The same broadcast entries from several subtasks count once; other states must not overlap.
    @Test func onlyBroadcastStateMayBeThereTwice() throws {
        let store = try store(MemoryFileSystem())
        func file(_ subtask: Int, _ kind: StateKind) throws -> SegmentFile {
            try #require(
                try store.writeSegment(
                    checkpoint: 1, name: "\(kind)-\(subtask)", operators: ["op"], subtask: subtask,
                    parts: [
                        part(descriptor("op", "\(kind)", kind), [([1], [UInt8(subtask)]), ([2 + UInt8(subtask)], [])])
                    ], isCancelled: { false }))
        }
        try store.complete(
            metadata(1, [try file(0, .broadcast), try file(1, .broadcast), try file(0, .union), try file(1, .union)]))
        let state = try #require(try store.load().restoredState(of: "op"))
        #expect(isEqual(try state.all("broadcast"), [([1], [0]), ([2], []), ([3], [])]))
        fails(.corrupt, "another file") { _ = try state.all("union") }
    }
}
