// SPDX-License-Identifier: Apache-2.0
//  Deals keys into another number of key groups.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension SavepointWriter {
    /// - Throws: kind `input` when a state holds what only the job's own code can divide.
    func checkReshard(to maxParallelism: Int) throws {
        for known in source.operators {
            for state in known.states where state.entries > 0 {
                // An identity is the engine's own here: the key group follows from the value.
                let isOpaque = state.kind == .keyedList && state.name.hasPrefix("$")
                guard state.kind == .inFlight || isOpaque else { continue }
                throw ThalwegError(
                    .input, "records on their way cannot be dealt into other key groups",
                    detail: "operator \"\(known.name)\", state \"\(state.name)\": \(state.entries) entries",
                    hint: "take a savepoint; of a job with calls under way, one by --drain")
            }
            if known.states.contains(where: { $0.name == StoredTimes.name }) {
                _ = try StoredTimes(known, source).resharded(to: maxParallelism)
            }
        }
    }

    func reshardedFiles(_ copy: SnapshotCopy, maxParallelism: Int) throws -> [SegmentFile] {
        var times: [String: [Int: [UInt8]]] = [:]
        for known in source.operators where known.states.contains(where: { $0.name == StoredTimes.name }) {
            times[known.name] = try StoredTimes(known, source).resharded(to: maxParallelism)
        }
        return try source.metadata.files.flatMap { file in
            try reshard(file, copy, times, maxParallelism: maxParallelism)
        }
    }

    private func reshard(
        _ file: SegmentFile, _ copy: SnapshotCopy, _ times: [String: [Int: [UInt8]]], maxParallelism: Int
    ) throws -> [SegmentFile] {
        let reader = try source.snapshot.segment(file)
        let states = described(reader.footer.states)
        var files: [SegmentFile] = []
        var run = EntryRun()
        func flush() throws {
            let written = try copy.write(like: file, states: states, operators: renamed(file.operators)) {
                try run.write(to: $0)
            }
            if let written { files.append(written) }
            run = EntryRun()
        }
        for (index, state) in reader.footer.states.enumerated() {
            let layout = try EntryLayout(state)
            let cursor = reader.cursor(state: index)
            while try cursor.next() {
                if state.kind.isKeyed {
                    let place = try layout.entry(cursor.key, nil)
                    let group = try newGroup(place, layout, maxParallelism)
                    run.add(index, group: group, key: cursor.key, value: cursor.value)
                } else if state.name == StoredTimes.name, let new = times[state.operatorName] {
                    guard let bytes = new[try StoredTimes.subtask(cursor.key)] else { continue }
                    bytes.withUnsafeBytes { run.add(index, group: nil, key: cursor.key, value: $0) }
                } else {
                    run.add(index, group: nil, key: cursor.key, value: cursor.value)
                }
                if run.byteCount >= runBytesMax { try flush() }
            }
        }
        try flush()
        return files
    }

    private func newGroup(_ entry: SavepointEntry, _ layout: EntryLayout, _ maxParallelism: Int) throws -> Int {
        let old = try layout.keyGroup(of: entry.place, maxParallelism: source.maxParallelism)
        guard let old, old == entry.keyGroup,
            let new = try layout.keyGroup(of: entry.place, maxParallelism: maxParallelism)
        else {
            throw ThalwegError(
                .corrupt, "a stored key lies in the wrong key group",
                detail: "operator \"\(layout.descriptor.operatorName)\", state \"\(layout.descriptor.name)\", "
                    + DynamicValue.record(entry.place).json, hint: "thalweg state verify tells what else is damaged")
        }
        return new
    }
}

/// Entries of a file's states, to be sorted.
private struct EntryRun: ~Copyable {
    private var bytes = ByteWriter(capacity: 1 << 16)
    private var items: [(state: Int, start: Int, keyCount: Int, valueCount: Int)] = []

    var byteCount: Int { bytes.count }

    /// - Parameter group: takes the place of the first two bytes of the key.
    mutating func add(_ state: Int, group: Int?, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        let start = bytes.count
        if let group {
            bytes.append(UInt16(truncatingIfNeeded: group).byteSwapped)
            bytes.append(UnsafeRawBufferPointer(rebasing: key.dropFirst(2)))
        } else {
            bytes.append(key)
        }
        bytes.append(value)
        items.append((state, start, key.count, value.count))
    }

    mutating func write(to writer: SegmentWriter) throws {
        try bytes.withBytes { bytes in
            items.sort { left, right in
                if left.state != right.state { return left.state < right.state }
                return bytes[left.start..<left.start + left.keyCount]
                    .lexicographicallyPrecedes(bytes[right.start..<right.start + right.keyCount])
            }
            var state = -1
            for item in items {
                if item.state != state {
                    state = item.state
                    try writer.begin(state: state)
                }
                let end = item.start + item.keyCount
                try writer.add(
                    key: UnsafeRawBufferPointer(rebasing: bytes[item.start..<end]),
                    value: UnsafeRawBufferPointer(rebasing: bytes[end..<end + item.valueCount]))
            }
        }
    }
}
