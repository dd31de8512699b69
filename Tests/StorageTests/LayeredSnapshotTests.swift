// SPDX-License-Identifier: Apache-2.0
//  Snapshots whose files lie over one another give what a naive twin gives (FLIP-50 s4, s7).

import Testing
import ThalwegBase
import ThalwegData
import ThalwegStorage

@Suite struct LayeredSnapshotTests {
    private func write(
        _ store: CheckpointStore, _ layers: [[KindEntry]]
    ) throws -> [SegmentFile] {
        try layers.enumerated().compactMap { index, entries in
            let part = StatePart(descriptor("op", "m", .map)) { writer in for entry in entries { try writer.add(entry) }
            }
            var file = try store.writeSegment(
                checkpoint: 1, name: "op-\(index)", operators: ["op"], subtask: 0, parts: [part],
                isCancelled: { false })
            file?.sequence = Int64(layers.count - index)
            return file
        }
    }

    @Test(arguments: 0..<60) func layersEqualANaiveTwin(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var options = SegmentOptions()
        options.blockBytes = [1, 40, 200, 4096][random.below(4)]
        let disk = MemoryFileSystem()
        let store = CheckpointStore(root: "ck", fileSystem: disk, options: options)
        try store.prepare()
        let isMap = random.below(4) > 0
        var twin = NaiveLayers()
        for _ in 0..<(1 + random.below(6)) { twin.layers.append(random.layer(1 + random.below(60), isMap: isMap)) }
        var files = try write(store, twin.layers)
        // The order in which files are listed says nothing; a file may count for some key groups only.
        for index in files.indices where random.below(3) == 0 {
            let groups = random.below(4)..<(4 + random.below(2))
            files[index].keyGroups = groups
            twin.layers[index].removeAll { !groups.contains(Int($0.key[1])) }
        }
        try store.complete(metadata(1, files.shuffled(using: &random)))
        let snapshot = try store.load()
        try snapshot.verify()
        let state = try #require(try snapshot.restoredState(of: "op"))
        let merged = twin.merged
        #expect(try state.entryCount(of: "m") == merged.count)
        #expect(try state.hasEntries(of: "m") == !merged.isEmpty)
        #expect(isEqual(try state.all("m"), merged))
        for first in 0..<4 {
            let groups = first..<(first + 1 + random.below(3))
            #expect(isEqual(try state.all("m", groups), merged.filter { groups.contains(Int($0.key[1])) }))
        }
        for _ in 0..<60 {
            let (from, to) = (random.bound(twin.layers), random.bound(twin.layers))
            let entries = try state.cursor(of: "m", from: from, to: to)
            var found: [Entry] = []
            while try entries.next() { found.append((Array(entries.key), Array(entries.value))) }
            let isRight = isEqual(found, twin.merged(from: from, to: to))
            #expect(isRight, "\(String(describing: from)) ..< \(String(describing: to))")
        }
    }

    /// Of one age, a key stands in one file.
    @Test func aKeyTwiceInOneAgeIsDamage() throws {
        let store = CheckpointStore(root: "ck", fileSystem: MemoryFileSystem())
        try store.prepare()
        let entry = KindEntry(key: [0, 1, 7], value: [1], rowBytes: 3)
        var files = try write(store, [[entry], [entry], [entry]])
        files[1].sequence = 1
        try store.complete(metadata(1, files))
        let state = try #require(try store.load().restoredState(of: "op"))
        let error = #expect(throws: ThalwegError.self) { try state.all("m") }
        #expect(error?.kind == .corrupt && error?.detail?.contains("another file of its age has it too") == true)
    }

    @Test func aLayerIsRefusedWithoutItsSequence() throws {
        let store = CheckpointStore(root: "ck", fileSystem: MemoryFileSystem())
        try store.prepare()
        var files = try write(store, [[KindEntry(kind: .tombstone, key: [0, 1, 7], rowBytes: 3)]])
        files[0].sequence = 0
        try store.complete(metadata(1, files))
        let state = try #require(try store.load().restoredState(of: "op"))
        let error = #expect(throws: ThalwegError.self) { try state.all("m") }
        #expect(error?.kind == .corrupt && error?.detail?.contains("no older file is listed") == true)
    }

    /// Entries of a state are read in one way: files that ask for several are no snapshot.
    @Test func filesOfOtherSchemasAreDamage() throws {
        var (wide, lasting, other) = (descriptor("op", "m"), descriptor("op", "m"), descriptor("op", "m"))
        wide.value = RecordSchema(root: .scalar(.int64))
        lasting.properties = [:]
        other.properties["note"] = "another time to live is read alike"
        other.properties["ttl"] = "2 h"
        for (state, text) in [(wide, "value int64 int64 with stamps"), (lasting, "value int64 {"), (other, nil)] {
            let store = CheckpointStore(root: "ck", fileSystem: MemoryFileSystem())
            try store.prepare()
            let files = try [descriptor("op", "m"), state].enumerated().compactMap { index, state in
                let part = StatePart(state) { try $0.add(KindEntry(key: [0, UInt8(index)], value: [1], rowBytes: 2)) }
                var file = try store.writeSegment(
                    checkpoint: 1, name: "op-\(index)", operators: ["op"], subtask: 0, parts: [part],
                    isCancelled: { false })
                file?.sequence = Int64(index + 1)
                return file
            }
            try store.complete(metadata(1, files))
            let snapshot = try store.load()
            guard let text else {
                #expect(try snapshot.restoredState(of: "op")?.entryCount(of: "m") == 2)
                continue
            }
            let error = #expect(throws: ThalwegError.self) { _ = try snapshot.restoredState(of: "op") }
            #expect(error?.kind == .corrupt && error?.detail?.contains("op-1.segment") == true)
            #expect(error?.detail?.contains("state 'm' of 'op' is \(text)") == true, "\(String(describing: error))")
        }
    }
}
