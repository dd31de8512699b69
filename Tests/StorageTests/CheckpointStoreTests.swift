// SPDX-License-Identifier: Apache-2.0
//  Snapshots are complete or none, and what is restored is what was stored.

import Testing
import ThalwegBase
import ThalwegStorage

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
        #expect(state.unreadStates.map(\.name) == ["offsets", "rules", "sum"])
        #expect(try state.all("sum").count == 384)
        #expect(try state.all("sum", 60..<70).map { Int($0.key[1]) } == (60..<70).flatMap { [$0, $0, $0] })
        #expect(try state.all("sum", 5..<5).isEmpty)
        #expect(try state.all("rules", 60..<70).map(\.key) == [[1], [2]])
        #expect(try state.all("offsets").count == 2)
        #expect(try state.all("empty").isEmpty && state.all("unknown").isEmpty)
        #expect(state.unreadStates.isEmpty)
        #expect(try snapshot.restoredState(of: "other") == nil)
    }
}
