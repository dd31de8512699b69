// SPDX-License-Identifier: Apache-2.0
//  States and entries for the tests of storage.

import ThalwegBase
import ThalwegData
import ThalwegStorage

typealias Entry = (key: [UInt8], value: [UInt8])

/// A key of a keyed state: the key group, then the key.
func keyed(_ group: Int, _ key: Int) -> [UInt8] {
    withUnsafeBytes(of: UInt16(group).bigEndian) { Array($0) }
        + withUnsafeBytes(of: UInt64(key).bigEndian) { Array($0) }
}

func descriptor(_ operatorName: String, _ name: String, _ kind: StateKind = .value) -> StateDescriptor {
    StateDescriptor(
        operatorName: operatorName, name: name, kind: kind, key: RecordSchema(root: .scalar(.int64)),
        value: RecordSchema(
            root: .record([
                .init(name: "a", type: .optional(.scalar(.string))),
                .init(name: "b \"\n", type: .array(.scalar(.int64))),
                .init(name: "c", type: .rawValue(.string)), .init(name: "d", type: .codable("Odd.Type")),
            ])), properties: ["ttl": "1 h", "note": "ü \u{1} \\"])
}

func part(_ descriptor: StateDescriptor, _ entries: [Entry]) -> StatePart {
    StatePart(descriptor) { writer in
        for entry in entries {
            try entry.key.withUnsafeBytes { key in
                try entry.value.withUnsafeBytes { try writer.add(key: key, value: $0) }
            }
        }
    }
}

extension SegmentWriter {
    func add(_ entries: [Entry]) throws {
        for entry in entries {
            try entry.key.withUnsafeBytes { key in
                try entry.value.withUnsafeBytes { try add(key: key, value: $0) }
            }
        }
    }
}

extension SegmentCursor {
    func all() throws -> [Entry] {
        var entries: [Entry] = []
        while try next() { entries.append((Array(key), Array(value))) }
        return entries
    }
}

extension RestoredSnapshotState {
    func all(_ state: String, _ keyGroups: Range<Int>? = nil) throws -> [Entry] {
        var found: [Entry] = []
        try entries(of: state, keyGroups: keyGroups) { found.append((Array($0), Array($1))) }
        return found
    }
}

func isEqual(_ left: [Entry], _ right: [Entry]) -> Bool {
    left.count == right.count && zip(left, right).allSatisfy { $0.key == $1.key && $0.value == $1.value }
}

extension SeededRandom {
    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }

    /// Entries in ascending order, no key twice. Keys share beginnings; values are sometimes dull.
    mutating func entries(_ count: Int, keyBytesMax: Int, valueBytesMax: Int) -> [Entry] {
        var all: [[UInt8]: [UInt8]] = [:]
        var last: [UInt8] = []
        for _ in 0..<count {
            var key = Array(last.prefix(below(last.count + 1)))
            key += bytes(below(keyBytesMax + 1 - min(key.count, keyBytesMax)))
            last = key
            let size = below(valueBytesMax + 1)
            all[key] = below(2) == 0 ? [UInt8](repeating: 7, count: size) : bytes(size)
        }
        return all.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
    }
}

/// A segment of one or more states, in memory.
func segment(
    _ states: [[Entry]], options: SegmentOptions = SegmentOptions(), chunkBytesMax: Int = .max
) throws -> (bytes: [UInt8], reader: SegmentReader) {
    let disk = MemoryFileSystem()
    let output = try disk.create("s.segment")
    let table = states.indices.map { descriptor("op", "s\($0)") }
    let writer = try SegmentWriter(output, states: table, options: options)
    for (index, entries) in states.enumerated() where !entries.isEmpty {
        try writer.begin(state: index)
        try writer.add(entries)
    }
    _ = try writer.finish()
    let bytes = disk["s.segment"] ?? []
    let source = MemoryByteSource(bytes, name: "s.segment", chunkBytesMax: chunkBytesMax)
    return (bytes, try SegmentReader(source, byteCount: Int64(bytes.count)))
}

func metadata(
    _ checkpoint: Int64, _ files: [SegmentFile], kind: String = "checkpoint", operators: [String] = ["op"]
) -> SnapshotMetadata {
    SnapshotMetadata(
        checkpoint: checkpoint, kind: kind, timeMilliseconds: 1_700_000_000_000, jobName: "job", maxParallelism: 128,
        operators: operators.map { .init(name: $0, parallelism: 2) }, files: files, properties: ["plan": "{\"a\": 1}"])
}
