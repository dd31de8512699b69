// SPDX-License-Identifier: Apache-2.0
//  Lists frozen and read back, in chunks.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension ListState {
    /// The most values in one entry.
    static var chunkValuesMax: Int { 1024 }

    public func freeze(_ name: String, _ keys: FrozenKeys) -> [StatePart] {
        guard let stored else { return [] }
        let view = column.freeze(under: keys.lease)
        return [
            StatePart(keys.describe(name, .list, value: stored.schema)) { writer in
                let order = try keys.order()
                var entry = ByteWriter()
                var bytes = ByteWriter()
                for rank in 0..<order.count {
                    let values = view.address(order.places[rank]).pointee
                    if values.isEmpty { continue }
                    entry.removeAll()
                    order.withKey(rank) { entry.append($0) }
                    try Self.write(values, stored.codec, &entry, &bytes, to: writer)
                }
            }
        ]
    }

    /// Writes one list; `entry` holds the key.
    private static func write(
        _ values: [Value], _ codec: RecordCodec<Value>, _ entry: inout ByteWriter, _ bytes: inout ByteWriter,
        to writer: any EntryWriter
    ) throws {
        let keyCount = entry.count
        for start in stride(from: 0, to: values.count, by: chunkValuesMax) {
            let count = min(chunkValuesMax, values.count - start)
            entry.truncate(to: keyCount)
            entry.append(UInt32(truncatingIfNeeded: start / chunkValuesMax).bigEndian)
            bytes.removeAll()
            bytes.appendVarint(UInt64(count))
            try values.withUnsafeBufferPointer { values in
                guard let base = values.baseAddress else { return }
                try codec.encode(base + start, count: count, into: &bytes)
            }
            try entry.withBytes { key in try bytes.withBytes { try writer.add(key: key, value: $0) } }
        }
    }

    public func thaw(page: Int) { column.thaw(page: page) }
    public func unfreeze() { column.unfreeze() }

    public func restore(_ name: String, from source: KeyedRestore, into store: AnyKeyedStore) throws {
        guard let stored else { return }
        let memory = UnsafeMutablePointer<Value>.allocate(capacity: Self.chunkValuesMax)
        defer { memory.deallocate() }
        try source.entries(of: store.describe(name, .list, value: stored.schema, for: source)) { group, key, bytes in
            let slot = try store.slot(of: &key, in: group, source)
            var reader = ByteReader(bytes)
            var left = Int(clamping: try reader.readVarint())
            while left > 0 {
                let count = min(left, Self.chunkValuesMax)
                try stored.codec.decode(&reader, count: count, into: memory)
                column.address(slot).pointee.append(contentsOf: UnsafeBufferPointer(start: memory, count: count))
                memory.deinitialize(count: count)
                left -= count
            }
        }
    }
}
