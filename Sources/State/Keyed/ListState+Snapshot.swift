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
            keys.part(form(name, stored, keys.owner)) { slot, entries in
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

    private func form(_ name: String, _ stored: StoredType<Value>, _ owner: StateOwner) -> StateDescriptor {
        owner.describe(name, .list, value: stored.schema).with(expiry?.ttl)
    }

    public func forms(_ name: String, _ owner: StateOwner) -> [StoredForm] {
        guard let stored else { return [] }
        return [
            StoredForm(form(name, stored, owner), of: Value.self) { [self] found in
                let stamps = try StoredStamps(found, wanted: expiry?.ttl)
                return { [self] slot, _, bytes in
                    var reader = ByteReader(bytes)
                    let count = Int(clamping: try reader.readVarint())
                    // Values may take no bytes: only the limit of a chunk bounds them.
                    guard count <= Self.chunkValuesMax else {
                        throw ThalwegError(
                            .corrupt, "a stored list is damaged",
                            detail: "state \"\(name)\": \(count) values in a chunk")
                    }
                    if stamps.areStored || expiry != nil {
                        for _ in 0..<count { restoreStamp(try stamps.read(&reader), stamps, slot) }
                    }
                    try withUnsafeTemporaryAllocation(of: Value.self, capacity: count) { memory in
                        guard let base = memory.baseAddress, count > 0 else { return }
                        try stored.codec.decode(&reader, count: count, into: base)
                        column.address(slot).pointee.append(contentsOf: UnsafeBufferPointer(start: base, count: count))
                        base.deinitialize(count: count)
                    }
                }
            }
        ]
    }

    private func restoreStamp(_ stamp: Int64, _ storedStamps: StoredStamps, _ slot: Int) {
        guard let expiry else { return }
        let stamp = storedStamps.restored(stamp, expiry)
        stamps.address(slot).pointee.append(stamp)
        expiry.note(stamp, at: slot)
    }
}
