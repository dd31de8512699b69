// SPDX-License-Identifier: Apache-2.0
//  Sorted maps frozen and read back.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension SortedMapState {
    public func freeze(_ name: String, _ keys: FrozenKeys) -> [StatePart] {
        guard let stored, let userKeys, let order else { return [] }
        let trees = column.freeze(under: keys.lease)
        let stamps = expiry?.freeze(under: keys.lease)
        let (keyEncoder, valueEncoder) = (userKeys.encoder.raw, stored.raw)
        let (keyStride, valueStride) = (MemoryLayout<UserKey>.stride, MemoryLayout<Value>.stride)
        let levels = frozenLevels(isAll: keys.lease.isMomentary)
        return [
            keys.part(
                form(name, userKeys, stored, keys.owner), hidesBelow: { levels[$0]?.hidesBelow ?? true }
            ) { slot, entries in
                if let levels = levels[slot] {
                    return try levels.write(to: &entries, userKeys, order, stored)
                }
                // The order in memory is the order of the entries.
                try trees.address(slot).pointee.forEachLeaf { leaf in
                    let (keys, values) = (UnsafeRawPointer(leaf.keys), UnsafeRawPointer(leaf.payloads))
                    for index in 0..<leaf.count {
                        if let stamps, stamps.isExpired(stamp: leaf.stamps[index]) { continue }
                        try entries.add(
                            { try keyEncoder.encode(keys + index * keyStride, into: &$0) },
                            value: { bytes in
                                if stamps != nil { bytes.append(leaf.stamps[index]) }
                                _ = try valueEncoder.encode(values + index * valueStride, into: &bytes)
                            })
                    }
                    return true
                }
            }
        ]
    }

    public func thaw(page: Int) { column.thaw(page: page) }

    public func unfreeze() {
        column.unfreeze()
        expiry?.unfreeze()
    }

    private func form(
        _ name: String, _ userKeys: StoredKey<UserKey>, _ stored: StoredType<Value>, _ owner: StateOwner
    ) -> StateDescriptor {
        owner.describe(name, .map, userKey: userKeys.schema, value: stored.schema).with(expiry?.ttl)
    }

    /// The entries of a sorted map stand in snapshots as those of a `MapState` do.
    public func forms(_ name: String, _ owner: StateOwner) -> [StoredForm] {
        guard let stored, let userKeys, let order else { return [] }
        return [
            StoredForm(
                form(name, userKeys, stored, owner), leave: isExpiring ? nil : { [self] in try leaveAtRest($0) }
            ) { [self] found in
                let stamps = try StoredStamps(found, wanted: expiry?.ttl)
                return { [self] slot, key, bytes in
                    let userKey = try userKeys.encoder.decode(&key)
                    let (stamp, bytes) = try stamps.split(bytes)
                    let value = try stored.codec.decode(bytes)
                    if column.isShared { column.thaw(page: slot >> 10) }
                    let (place, isNew) = column.address(slot).pointee.findOrInsert(
                        userKey, value, order, hasStamps: isExpiring)
                    if !isNew { place.value.pointee = value }
                    if isNew && column.address(slot).pointee.count & 63 == 0 { noteGrown(slot) }
                    guard let expiry else { return }
                    place.stamp.pointee = stamps.restored(stamp, expiry)
                    expiry.note(place.stamp.pointee, at: slot)
                }
            }
        ]
    }
}
