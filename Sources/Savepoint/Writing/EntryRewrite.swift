// SPDX-License-Identifier: Apache-2.0
//  Every entry of a state, written anew with another value.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// How the values of a state become others. Keys stay, and so does the order.
struct EntryRewrite {
    /// The state as it will be.
    let descriptor: StateDescriptor
    /// Whether `body` looks at where an entry stands.
    let needsPlace: Bool
    /// Reads one value (of a list, one element) and appends what takes its place; false drops it. The first argument is
    /// the values of ``EntryLayout/parts``.
    let body: (_ place: [DynamicValue], _ old: inout ByteReader, _ new: inout ByteWriter) throws -> Bool

    /// Writes what becomes of all entries.
    func write(_ entries: SnapshotEntries, _ layout: EntryLayout, to writer: any EntryWriter) throws {
        var value = ByteWriter()
        while try entries.next() {
            value.removeAll()
            guard try rewrite(entries.key, entries.value, layout, into: &value) else { continue }
            try value.withBytes { try writer.add(key: entries.key, value: $0, rowBytes: entries.rowBytes) }
        }
    }

    private func rewrite(
        _ key: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer, _ layout: EntryLayout,
        into value: inout ByteWriter
    ) throws -> Bool {
        let place = needsPlace ? try layout.entry(key, nil).place.map(\.value) : []
        do {
            var reader = ByteReader(bytes)
            let isKept: Bool
            if layout.descriptor.kind == .list {
                isKept = try rewriteChunk(&reader, place, layout, into: &value)
            } else {
                if layout.hasStamps { value.append(try reader.read(Int64.self)) }
                isKept = try body(place, &reader, &value)
            }
            guard reader.remaining == 0 else {
                throw ThalwegError(.corrupt, "damaged entry bytes", detail: "bytes follow the value")
            }
            return isKept
        } catch {
            throw ThalwegError(
                (error as? ThalwegError)?.kind ?? .input, "an entry cannot be changed",
                detail: "state \"\(layout.descriptor.name)\" of \"\(layout.descriptor.operatorName)\" at "
                    + DynamicValue.record(try layout.entry(key, nil).place).json, cause: error)
        }
    }

    /// Values of a chunk that are dropped leave room in it; a chunk without any is no entry.
    private func rewriteChunk(
        _ reader: inout ByteReader, _ place: [DynamicValue], _ layout: EntryLayout, into value: inout ByteWriter
    ) throws -> Bool {
        let count = try reader.readVarint()
        guard count <= UInt64(EntryLayout.chunkValuesMax) else {
            throw ThalwegError(.corrupt, "damaged entry bytes", detail: "a chunk of \(count) values")
        }
        var stamps: [Int64] = []
        if layout.hasStamps { for _ in 0..<count { stamps.append(try reader.read(Int64.self)) } }
        var kept = 0
        var keptStamps: [Int64] = []
        var elements = ByteWriter()
        for index in 0..<Int(count) {
            guard try body(place, &reader, &elements) else { continue }
            kept += 1
            if layout.hasStamps { keptStamps.append(stamps[index]) }
        }
        value.appendVarint(UInt64(kept))
        for stamp in keptStamps { value.append(stamp) }
        elements.withBytes { value.append($0) }
        return kept > 0
    }
}

extension EntryLayout {
    /// What an expression about an entry may speak of: where it stands, and its value; of a list each element.
    var expressionNames: [RecordSchema.Field] {
        var names = parts.map { RecordSchema.Field(name: $0.name, type: $0.codec.schema.root) }
        if let value { names.append(RecordSchema.Field(name: "value", type: value.schema.root)) }
        return names
    }
}
