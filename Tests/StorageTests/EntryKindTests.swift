// SPDX-License-Identifier: Apache-2.0
//  Tombstones and rows in segments (FLIP-50 s2, s4), and what versions of the format mean for readers.

import Testing
import ThalwegBase
import ThalwegStorage

/// An entry with all that a segment says of it.
struct KindEntry: Hashable {
    var kind = EntryKind.put
    var key: [UInt8]
    var value: [UInt8] = []
    var rowBytes: Int
}

extension EntryWriter {
    func add(_ entry: KindEntry) throws {
        try entry.key.withUnsafeBytes { key in
            try entry.value.withUnsafeBytes { try add(entry.kind, key: key, value: $0, rowBytes: entry.rowBytes) }
        }
    }
}

extension SegmentCursor {
    func allKinds() throws -> [KindEntry] {
        var entries: [KindEntry] = []
        while try next() {
            entries.append(KindEntry(kind: kind, key: Array(key), value: Array(value), rowBytes: rowBytes))
        }
        return entries
    }
}

func segment(kinds states: [[KindEntry]], options: SegmentOptions = SegmentOptions()) throws -> [UInt8] {
    let disk = MemoryFileSystem()
    let table = states.indices.map { descriptor("op", "s\($0)") }
    let writer = try SegmentWriter(try disk.create("s.segment"), states: table, options: options)
    for (index, entries) in states.enumerated() where !entries.isEmpty {
        try writer.begin(state: index)
        for entry in entries { try writer.add(entry) }
    }
    _ = try writer.finish()
    return disk["s.segment"] ?? []
}

func reader(_ bytes: [UInt8]) throws -> SegmentReader {
    try SegmentReader(MemoryByteSource(bytes, name: "s.segment"), byteCount: Int64(bytes.count))
}

@Suite struct EntryKindTests {
    /// Rows of map entries, some with a tombstone of the whole row, and rows that are whole keys.
    private func entries(_ random: inout SeededRandom, count: Int) -> [KindEntry] {
        var entries: [KindEntry] = []
        for row in 0..<count {
            let prefix = keyed(row / 20, row)
            if random.below(3) == 0 {
                let value = random.bytes(random.below(50))
                entries.append(KindEntry(key: prefix, value: value, rowBytes: prefix.count))
                continue
            }
            if random.below(3) == 0 {
                entries.append(KindEntry(kind: .rowTombstone, key: prefix, rowBytes: prefix.count))
            }
            for userKey in 0..<random.below(6) {
                let isGone = random.below(4) == 0
                entries.append(
                    KindEntry(
                        kind: isGone ? .tombstone : .put, key: prefix + [UInt8(userKey), 1],
                        value: isGone ? [] : random.bytes(random.below(200)), rowBytes: prefix.count))
            }
        }
        return entries
    }

    @Test(arguments: 0..<30) func kindsAndRowsComeBack(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var options = SegmentOptions.run
        options.blockBytes = [1, 60, 4096][random.below(3)]
        options.compressionLevel = Int32(random.below(2))
        let states = (0..<3).map { _ in entries(&random, count: [0, 1, 200][random.below(3)]) }
        let reader = try reader(try segment(kinds: states, options: options))
        try reader.verify()
        for (state, entries) in states.enumerated() {
            #expect(try reader.cursor(state: state, isLayer: true).allKinds() == entries)
            let statistics = reader.footer.statistics[state]
            #expect(statistics.entries == UInt64(entries.count))
            #expect(statistics.tombstones == UInt64(entries.count { $0.kind != .put }))
            for entry in entries where entry.kind == .put {
                let value = try reader.value(of: state, key: entry.key, rowBytes: entry.rowBytes)
                #expect(value == entry.value)
            }
        }
    }

    /// Rows of random bytes, also such as begin with one another.
    @Test(arguments: 0..<30) func anyRowComesBack(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let entries = random.entries(200, keyBytesMax: 8, valueBytesMax: 3).map {
            KindEntry(key: $0.key, value: $0.value, rowBytes: random.below($0.key.count + 1))
        }
        var options = SegmentOptions()
        options.blockBytes = [20, 300, 4096][random.below(3)]
        let reader = try reader(try segment(kinds: [entries], options: options))
        #expect(try reader.cursor(state: 0).allKinds() == entries)
    }

    @Test func aPlainSegmentHasNoTombstones() throws {
        for kind in [EntryKind.tombstone, .rowTombstone] {
            let bytes = try segment(kinds: [[KindEntry(kind: kind, key: [1, 2], rowBytes: 2)]])
            let error = #expect(throws: ThalwegError.self) { _ = try reader(bytes).cursor(state: 0).allKinds() }
            #expect(error?.kind == .corrupt && error?.detail?.contains("s.segment, block 0") == true)
            #expect(try reader(bytes).cursor(state: 0, isLayer: true).allKinds().first?.kind == kind)
        }
    }

    @Test func impossibleEntriesAreRefused() throws {
        let impossible = [
            KindEntry(kind: .tombstone, key: [1], value: [1], rowBytes: 1),
            KindEntry(kind: .rowTombstone, key: [1, 2], rowBytes: 1), KindEntry(key: [1], rowBytes: 2),
        ]
        for entry in impossible {
            let error = #expect(throws: ThalwegError.self) { _ = try segment(kinds: [[entry]]) }
            #expect(error?.kind == .bug, "\(entry)")
        }
    }

    /// Nothing of version 1 was released; what has its number is refused by its number.
    @Test func anotherVersionIsRefused() throws {
        var bytes = try segment([[([1], [2])]]).bytes
        bytes[8] = 1
        bytes[bytes.count - 24] = 1
        let start = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: bytes.count - 40, as: UInt64.self) }
        let sealed = SegmentFormat.checksum(of: Array(bytes[Int(start)..<(bytes.count - 16)]))
        withUnsafeBytes(of: sealed.littleEndian) {
            bytes.replaceSubrange((bytes.count - 16)..<(bytes.count - 8), with: $0)
        }
        let error = #expect(throws: ThalwegError.self) { _ = try reader(bytes) }
        #expect(error?.kind == .input && error?.detail?.contains("version 1, this release reads 2") == true)
    }

    @Test func theMetadataKnowsLayers() throws {
        let disk = MemoryFileSystem()
        let store = try CheckpointStoreTests().store(disk)
        var listed = try CheckpointStoreTests().write(store, 1, perGroup: 1)
        listed.checkpoint = 2
        listed.files[0].sequence = 41
        listed.files[0].keyGroups = 3..<128
        try store.complete(listed)
        #expect(try store.load().metadata.files == listed.files)
        for (right, wrong) in [
            ("\"sequence\": 41", "\"sequence\": 0"), ("[3,128]", "[3,3]"), ("[3,128]", "[3]"), ("[3,128]", "[-1,5]"),
            ("[3,128]", "[0,65537]"), ("[3,128]", "7"),
        ] {
            let text = try #require(disk.text("ck/chk-2/_metadata"))
            #expect(text.contains(right), "\(text)")
            // The last line of 22 bytes is the checksum.
            let body = text.replacing(right, with: wrong).dropLast(22)
            let digits = String(SegmentFormat.checksum(of: Array(body.utf8)), radix: 16)
            let seal = "xxh3 " + String(repeating: "0", count: 16 - digits.count) + digits + "\n"
            let copy = MemoryFileSystem()
            for path in disk.paths { copy[path] = disk[path] }
            copy["ck/chk-2/_metadata"] = Array((body + seal).utf8)
            let error = #expect(throws: ThalwegError.self) {
                _ = try CheckpointStore(root: "ck", fileSystem: copy).load()
            }
            #expect(error?.kind == .corrupt, "\(wrong)")
        }
    }
}
