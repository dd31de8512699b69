// SPDX-License-Identifier: Apache-2.0
//  The metadata of snapshots, and what is read because of it.

import ThalwegSavepoint

/// An input is the text of a `_metadata`, whose last line is made right. Its files are there, and intact: `$0` in the
/// text stands for the bytes of the first one, `#0` for its checksum, `$1` and so on for those of the others.
struct SnapshotTarget: FuzzTarget {
    private let files: [ForgedSnapshot.File]

    init() throws {
        files = try (0..<3).map { sequence in
            let disk = MemoryFileSystem()
            let output = try disk.create("s")
            let key = RecordSchema(root: .scalar(.int64))
            let writer = try SegmentWriter(
                output,
                states: [
                    StateDescriptor(operatorName: "op", name: "s0", kind: .value, key: key, value: key),
                    StateDescriptor(
                        operatorName: "op", name: "$time", kind: .split,
                        value: RecordSchema(
                            root: .record([
                                .init(name: "time", type: .scalar(.int64)),
                                .init(name: "keyGroups", type: .array(.scalar(.int64))),
                            ]))),
                ])
            try writer.begin(state: 0)
            let codec = DynamicCodec(key)
            let entries = try (0..<20 as Range<Int64>).map { number in
                let value = DynamicValue.integer(number * 3 + Int64(sequence))
                let group = KeyGroup.of(hash: try codec.hash(value), maxParallelism: 128)
                let bytes = [UInt8(group >> 8), UInt8(group & 255)] + (try codec.encodeKey(value))
                return (key: bytes, value: try codec.encode(value))
            }
            for entry in entries.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                try Self.add(entry.key, entry.value, writer)
            }
            try writer.begin(state: 1)
            for subtask in 0..<2 as Range<UInt8> where sequence == 0 {
                try Self.add(
                    [0, 0, 0, subtask, 0, 0, 0, 0], [UInt8](repeating: 0, count: 8) + [0], writer)
            }
            _ = try writer.finish()
            return ForgedSnapshot.File(
                name: "\(sequence).segment", bytes: disk["s"] ?? [], sequence: sequence, entries: 0)
        }
    }

    private static func add(_ key: [UInt8], _ value: [UInt8], _ writer: SegmentWriter) throws {
        try key.withUnsafeBytes { key in try value.withUnsafeBytes { try writer.add(key: key, value: $0) } }
    }

    func run(_ input: inout FuzzInput) throws {
        var described = input.text(input.rest.count)
        for (index, file) in files.enumerated() {
            described = described.replacing("$\(index)", with: "\(file.bytes.count)")
            described = described.replacing("#\(index)", with: ForgedSnapshot.checksum(of: file.bytes))
        }
        let text = Array(described.utf8)
        let disk = ForgedSnapshot.disk(files, metadata: text)
        for file in files { disk["store/chk-1/\(file.name)"] = file.bytes }
        disk["store/chk-1/_metadata"] = ForgedSnapshot.sealed(text)
        disk["store/_start"] = ForgedSnapshot.sealed(text)
        ForgedSnapshot.attempt { try ForgedSnapshot.look(at: disk) }
        let store = CheckpointStore(root: "store", fileSystem: disk)
        ForgedSnapshot.attempt { _ = try store.list() }
        ForgedSnapshot.attempt { _ = try store.loadLatest() }
        ForgedSnapshot.attempt { _ = try store.prune(keeping: 0) }
    }
}
