// SPDX-License-Identifier: Apache-2.0
//  Maps frozen and read back.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension MapState {
    public func freeze(_ name: String, _ keys: FrozenKeys) -> [StatePart] {
        guard let stored, let userKeys else { return [] }
        let layout = MapEntryLayout(UserKey.self, Value.self)
        let frozen = FrozenMaps(
            heads: heads.freeze(under: keys.lease), entries: FrozenValues(entries.freeze(under: keys.lease)),
            keys: FrozenHashes(table.freeze(under: keys.lease)))
        let (keyEncoder, valueEncoder) = (userKeys.encoder.raw, stored.optional)
        let stamps = expiry?.freeze(under: keys.lease)
        let descriptor = form(name, userKeys, stored, keys.owner)
        return [
            StatePart(descriptor) { writer in
                var sorter = KeySorter()
                var entryKey = ByteWriter()
                var bytes = ByteWriter()
                try keys.forEachRow(of: writer, prefetching: { UnsafeRawPointer(frozen.heads.address($0)) }) {
                    slot, row in
                    sorter.removeAll()
                    var entry = Int(frozen.heads.address(slot).pointee.first)
                    while entry >= 0 {
                        let isAdded = try sorter.add(entry) { key in
                            try keyEncoder.encode(frozen.keys.address(entry) + layout.key, into: &key)
                        }
                        guard isAdded else {
                            throw ThalwegError(
                                .job, "the entries of one key in a map state are too large to be stored",
                                detail: "\(descriptor.name): their keys take more than 4 GiB",
                                hint: "keep fewer entries for each key")
                        }
                        entry = Int(
                            frozen.entries.address(entry).load(fromByteOffset: layout.next, as: Int32.self))
                    }
                    try sorter.forEach { userKey, entry in
                        bytes.removeAll()
                        if let stamps {
                            let stamp = stamps.stamp(entry)
                            if stamps.isExpired(stamp: stamp) { return }
                            bytes.append(stamp)
                        }
                        let address = frozen.entries.address(entry) + layout.value
                        guard try valueEncoder.encode(address, into: &bytes) else { return }
                        entryKey.removeAll()
                        entryKey.append(row)
                        entryKey.append(userKey)
                        try entryKey.withBytes { key in
                            try bytes.withBytes { try writer.add(key: key, value: $0, rowBytes: row.count) }
                        }
                    }
                }
            }
        ]
    }

    public func thaw(page: Int) { heads.thaw(page: page) }

    public func unfreeze() {
        heads.unfreeze()
        entries.unfreeze()
        table.unfreeze()
        expiry?.unfreeze()
    }

    private func form(
        _ name: String, _ userKeys: StoredKey<UserKey>, _ stored: StoredType<Value>, _ owner: StateOwner
    ) -> StateDescriptor {
        owner.describe(name, .map, userKey: userKeys.schema, value: stored.schema).with(expiry?.ttl)
    }

    public func forms(_ name: String, _ owner: StateOwner) -> [StoredForm] {
        guard let stored, let userKeys else { return [] }
        return [
            StoredForm(form(name, userKeys, stored, owner), of: Value.self, under: UserKey.self) { [self] found in
                let stamps = try StoredStamps(found, wanted: expiry?.ttl)
                return { [self] slot, key, bytes in
                    let entry = findOrInsert(try userKeys.encoder.decode(&key), slot: slot)
                    let (stamp, bytes) = try stamps.split(bytes)
                    entries.address(entry).pointee.value = try stored.codec.decode(bytes)
                    if let expiry { expiry.set(stamps.restored(stamp, expiry), at: entry) }
                }
            }
        ]
    }
}

/// A map's user keys as stored: in an order of their own.
struct StoredKey<UserKey: Codable & Sendable>: Sendable {
    let encoder: KeyEncoder<UserKey>
    let schema: RecordSchema
}

/// All maps of an operator as they were at a barrier.
private struct FrozenMaps: Sendable {
    let heads: FrozenColumn<MapHead>
    let entries: FrozenValues
    let keys: FrozenHashes
}

/// Where the parts of a map's entry lie, in bytes.
private struct MapEntryLayout {
    let key: Int
    let value: Int
    let next: Int

    init<UserKey: Hashable, Value>(_: UserKey.Type, _: Value.Type) {
        guard let key = MemoryLayout<MapEntryKey<UserKey>>.offset(of: \.key),
            let value = MemoryLayout<MapEntry<Value>>.offset(of: \.value),
            let next = MemoryLayout<MapEntry<Value>>.offset(of: \.next)
        else { preconditionFailure("a stored property of a struct has an offset") }
        (self.key, self.value, self.next) = (key, value, next)
    }
}
