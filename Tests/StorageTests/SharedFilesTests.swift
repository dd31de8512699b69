// SPDX-License-Identifier: Apache-2.0
//  Files of a checkpoint store that somebody still needs stay, and those that nobody needs go.

import Testing
import ThalwegBase
import ThalwegStorage
import ThalwegTesting

@Suite struct SharedFilesTests {
    private let disk = MemoryFileSystem()

    private func store(_ root: String = "ck") throws -> CheckpointStore {
        let store = CheckpointStore(root: root, fileSystem: disk)
        try store.prepare()
        return store
    }

    private func entries(_ number: Int64) -> [Entry] { (0..<4).map { (keyed(0, Int(number) * 10 + $0), [7]) } }

    @discardableResult
    private func write(
        _ store: CheckpointStore, _ checkpoint: Int64, sharing shared: [SegmentFile] = []
    ) throws -> SnapshotMetadata {
        let file = try store.writeSegment(
            checkpoint: checkpoint, name: "op", operators: ["op"], subtask: 0,
            parts: [part(descriptor("op", "sum \(checkpoint)"), entries(checkpoint))], isCancelled: { false })
        let metadata = metadata(checkpoint, shared + [try #require(file)])
        try store.complete(metadata)
        return metadata
    }

    private func writeRun(_ store: CheckpointStore, _ path: String, _ number: Int64) throws -> SegmentFile {
        let run = try store.writeRun(
            path, operators: ["op"], subtask: 0, sequence: number,
            parts: [part(descriptor("op", "sum"), entries(number))], filteredRows: nil)
        let found = try #require(run).file
        try store.syncRun(path)
        return found
    }

    /// `mv chk-2 kept`, or `cp -r`: what it shares with others is kept by starts and releases as by a prune.
    @Test func whatARenamedSnapshotRefersToStays() throws {
        let store = try store()
        let one = try write(store, 1)
        try write(store, 2, sharing: one.files)
        for path in disk.paths where path.hasPrefix("ck/chk-2/") {
            disk["ck/kept/" + path.dropFirst("ck/chk-2/".count)] = disk[path]
        }
        try write(store, 3)
        try store.retain(newest: 1)
        try store.load("ck/kept").verify()
        try store.removeUnreferenced()
        try store.load("ck/kept").verify()
        try disk.removeTree("ck/kept")
        try store.removeUnreferenced()
        #expect(!disk.paths.contains { $0.hasPrefix("ck/chk-1/") || $0.hasPrefix("ck/chk-2/") })
    }

    /// A run may write while the next one waits for the lock: the next one then knows its files.
    @Test func noNameIsGivenOutTwice() throws {
        let first = CheckpointStore(root: "ck", fileSystem: disk)
        let lock = try first.prepare(for: "the first")
        let (names, waiting) = (try first.runNames(), RunNames())
        let path = names.next("op-0")
        try first.complete(metadata(1, [try writeRun(first, path, 1)]))
        let second = CheckpointStore(root: "ck", fileSystem: disk)
        #expect(throws: ThalwegError.self) { try second.prepare(for: "the second") }
        lock?.release()
        try second.prepare(for: "the second")
        try second.skipTaken(waiting)
        let next = waiting.next("op-0")
        #expect(next != path)
        _ = try writeRun(second, next, 2)
        try second.load("chk-1").verify()
    }

    /// A run that was let go of while an older checkpoint referred to it goes with that.
    @Test(arguments: 1...4) func runsGoWithTheLastCheckpointThatNamesThem(_ retained: Int64) throws {
        let store = try store()
        let leases = RunLeases()
        let names = try store.runNames()
        var held: RunLease?
        for checkpoint in 1...40 as ClosedRange<Int64> {
            let path = names.next("op-0")
            let lease = leases.take(path)
            let file = try writeRun(store, path, checkpoint)
            // One takes the place of the one before.
            held = lease
            try store.complete(metadata(checkpoint, [file]))
            guard checkpoint > retained else { continue }
            let released = leases.takeReleased()
            let left = try store.release(checkpoint: checkpoint - retained, released: released, keeping: leases.paths)
            leases.remain(left)
            for listing in try store.list() { try store.load(listing.path).verify() }
        }
        withExtendedLifetime(held) {}
        #expect(disk.paths.filter { $0.hasPrefix("ck/shared/") }.count == Int(retained))
    }

    /// A job that runs builds on its checkpoints: nobody takes them over.
    @Test func nothingIsClaimedOfAJobThatRuns() throws {
        let owner = CheckpointStore(root: "theirs", fileSystem: disk)
        let lock = try owner.prepare(for: "job theirs")
        try write(owner, 1)
        let own = try store("ours")
        let snapshot = try own.load("theirs/chk-1")
        let error = #expect(throws: ThalwegError.self) { try own.claim(snapshot, jobName: "ours", time: 1) }
        #expect(error?.kind == .retry && error?.detail?.contains("job theirs") == true, "\(String(describing: error))")
        lock?.release()
        try own.claim(snapshot, jobName: "ours", time: 1)
        // It has begun to run again since: what was claimed stays until it has ended.
        let again = try owner.prepare(for: "job theirs")
        #expect(throws: ThalwegError.self) { try own.removeClaimed() }
        try owner.load("chk-1").verify()
        again?.release()
        try own.removeClaimed()
        #expect(try owner.list().isEmpty)
    }
}
