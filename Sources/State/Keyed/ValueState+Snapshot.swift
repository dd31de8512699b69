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
            keys.part(keys.describe(name, .value, value: stored.schema).with(expiry?.ttl), values) { slot, bytes in
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

    public func restore(_ name: String, from source: KeyedRestore, into store: AnyKeyedStore) throws {
        guard let stored else { return }
        let stamps = try StoredStamps(name, in: source, wanted: expiry?.ttl)
        try source.entries(of: store.describe(name, .value, value: stored.schema, for: source)) { group, key, bytes in
            let slot = try store.slot(of: &key, in: group, source)
            let (stamp, bytes) = try stamps.split(bytes)
            column.address(slot).pointee = try stored.codec.decode(bytes)
            if let expiry { expiry.set(stamps.restored(stamp, expiry), at: slot) }
        }
    }
}
