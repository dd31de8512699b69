// SPDX-License-Identifier: Apache-2.0
//  Values frozen and read back.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension ValueState {
    public func freeze(_ name: String, _ keys: FrozenKeys) -> [StatePart] {
        guard let stored else { return [] }
        let values = FrozenValues(column.freeze(under: keys.lease))
        let encoder = stored.optional
        let stamps = expiry?.freeze(under: keys.lease)
        return [
            keys.part(form(name, stored, keys.owner), values) { slot, bytes in
                if let stamps {
                    let stamp = stamps.stamp(slot)
                    if stamps.isExpired(stamp: stamp) { return false }
                    bytes.append(stamp)
                }
                return try encoder.encode(values.address(slot), into: &bytes)
            }
        ]
    }

    public func thaw(page: Int) { column.thaw(page: page) }

    public func unfreeze() {
        column.unfreeze()
        expiry?.unfreeze()
    }

    private func form(_ name: String, _ stored: StoredType<Value>, _ owner: StateOwner) -> StateDescriptor {
        owner.describe(name, .value, value: stored.schema).with(expiry?.ttl)
    }

    public func forms(_ name: String, _ owner: StateOwner) -> [StoredForm] {
        guard let stored else { return [] }
        return [
            StoredForm(form(name, stored, owner), of: Value.self) { [self] found in
                let stamps = try StoredStamps(found, wanted: expiry?.ttl)
                return { [self] slot, _, bytes in
                    let (stamp, bytes) = try stamps.split(bytes)
                    column.address(slot).pointee = try stored.codec.decode(bytes)
                    if let expiry { expiry.set(stamps.restored(stamp, expiry), at: slot) }
                }
            }
        ]
    }
}
