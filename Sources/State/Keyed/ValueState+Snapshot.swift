// SPDX-License-Identifier: Apache-2.0
//  Values frozen and read back.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension ValueState {
    public func freeze(_ name: String, _ keys: FrozenKeys) -> [StatePart] {
        guard let stored else { return [] }
        let encoder = stored.optional
        let form = form(name, stored, keys.owner)
        guard let expiry else {
            let values = FrozenValues(column.freeze(under: keys.lease))
            return [keys.part(form, values) { slot, bytes in try encoder.encode(values.address(slot), into: &bytes) }]
        }
        let cells = FrozenValues(cells.freeze(under: keys.lease))
        let (limit, offset) = (expiry.limit, StampedValue<Value>.valueOffset)
        return [
            keys.part(form, cells) { slot, bytes in
                let cell = cells.address(slot)
                let stamp = cell.load(as: Int64.self)
                if limit.isExpired(stamp) { return false }
                bytes.append(stamp)
                return try encoder.encode(cell + offset, into: &bytes)
            }
        ]
    }

    public func thaw(page: Int) {
        if isExpiring { cells.thaw(page: page) } else { column.thaw(page: page) }
    }

    public func unfreeze() {
        if isExpiring { cells.unfreeze() } else { column.unfreeze() }
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
                    address(slot).pointee = try stored.codec.decode(bytes)
                    if let expiry { self.stamp(cells.address(slot), slot, stamps.restored(stamp, expiry)) }
                }
            }
        ]
    }
}
