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

    /// Every state of the snapshot, its keys in their new groups.
    func reshardedStates(_ copy: SnapshotCopy, maxParallelism: Int) throws -> [String: [NewState]] {
        var states: [String: [NewState]] = [:]
        for known in source.operators {
            guard let restored = source.states[known.name] else { continue }
            states[known.name] = try known.states.map { state in
                let layout = try EntryLayout(state.descriptor)
                let descriptor = described([state.descriptor])[0]
                if state.name == StoredTimes.name {
                    let times = try StoredTimes(known, source).resharded(to: maxParallelism)
                    return NewState(descriptor: descriptor) { try Self.write(times, restored, to: $0) }
                }
                return NewState(descriptor: descriptor) { writer in
                    let cursor = try restored.cursor(of: state.name)
                    guard state.kind.isKeyed else {
                        while try cursor.next() {
                            try writer.add(key: cursor.key, value: cursor.value, rowBytes: cursor.rowBytes)
                        }
                        return
                    }
                    try reshard(cursor, layout, copy, maxParallelism: maxParallelism, to: writer)
                }
            }
        }
        return states
    }

    private static func write(
        _ times: [Int: [UInt8]], _ restored: RestoredSnapshotState, to writer: SegmentWriter
    ) throws {
        let cursor = try restored.cursor(of: StoredTimes.name)
        while try cursor.next() {
            guard let bytes = times[try StoredTimes.subtask(cursor.key)] else { continue }
            try bytes.withUnsafeBytes { try writer.add(key: cursor.key, value: $0) }
        }
    }

    private func reshard(
        _ cursor: SnapshotEntries, _ layout: EntryLayout, _ copy: SnapshotCopy, maxParallelism: Int,
        to writer: SegmentWriter
    ) throws {
        let sorter = sorter(copy)
        defer { sorter.remove() }
        var key = ByteWriter()
        while try cursor.next() {
            let group = try newGroup(try layout.entry(cursor.key, nil), layout, maxParallelism)
            key.removeAll()
            key.append(UInt16(truncatingIfNeeded: group).byteSwapped)
            key.append(UnsafeRawBufferPointer(rebasing: cursor.key.dropFirst(2)))
            try key.withBytes { try sorter.add(key: $0, value: cursor.value) }
        }
        try sorter.forEach { try writer.add(key: $0, value: $1, rowBytes: try layout.rowBytes(of: $0)) }
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
