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
        let stampView = expiry == nil ? nil : stamps.freeze(under: keys.lease)
        let expiry = expiry?.freeze(under: keys.lease)
        return [
            keys.part(keys.describe(name, .list, value: stored.schema).with(self.expiry?.ttl)) { slot, entries in
                var values = view.address(slot).pointee
                var stamps: [Int64] = []
                if let expiry, let stampView {
                    let all = stampView.address(slot).pointee
                    let living = all.indices.filter { !expiry.isExpired(stamp: all[$0]) }
                    if living.count < all.count { values = living.map { values[$0] } }
                    stamps = living.map { all[$0] }
                }
                for start in stride(from: 0, to: values.count, by: Self.chunkValuesMax) {
                    let count = min(Self.chunkValuesMax, values.count - start)
                    try entries.add(
                        { $0.append(UInt32(truncatingIfNeeded: start / Self.chunkValuesMax).bigEndian) },
                        value: { bytes in
                            bytes.appendVarint(UInt64(count))
                            if !stamps.isEmpty { for stamp in stamps[start..<start + count] { bytes.append(stamp) } }
                            try values.withUnsafeBufferPointer { values in
                                guard let base = values.baseAddress else { return }
                                try stored.codec.encode(base + start, count: count, into: &bytes)
                            }
                        })
                }
            }
        ]
    }

    public func thaw(page: Int) {
        column.thaw(page: page)
        stamps.thaw(page: page)
    }

    public func unfreeze() {
        column.unfreeze()
        stamps.unfreeze()
        expiry?.unfreeze()
    }

    public func restore(_ name: String, from source: KeyedRestore, into store: AnyKeyedStore) throws {
        guard let stored else { return }
        let memory = UnsafeMutablePointer<Value>.allocate(capacity: Self.chunkValuesMax)
        defer { memory.deallocate() }
        let storedStamps = try StoredStamps(name, in: source, wanted: expiry?.ttl)
        try source.entries(of: store.describe(name, .list, value: stored.schema, for: source)) { group, key, bytes in
            let slot = try store.slot(of: &key, in: group, source)
            var reader = ByteReader(bytes)
            var left = Int(clamping: try reader.readVarint())
            if storedStamps.areStored || expiry != nil {
                for _ in 0..<left { restoreStamp(try storedStamps.read(&reader), storedStamps, slot) }
            }
            while left > 0 {
                let count = min(left, Self.chunkValuesMax)
                try stored.codec.decode(&reader, count: count, into: memory)
                column.address(slot).pointee.append(contentsOf: UnsafeBufferPointer(start: memory, count: count))
                memory.deinitialize(count: count)
                left -= count
            }
        }
    }

    private func restoreStamp(_ stamp: Int64, _ storedStamps: StoredStamps, _ slot: Int) {
        guard let expiry else { return }
        let stamp = storedStamps.restored(stamp, expiry)
        stamps.address(slot).pointee.append(stamp)
        expiry.note(stamp, at: slot)
    }
}
