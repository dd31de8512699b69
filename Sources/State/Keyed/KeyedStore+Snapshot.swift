// SPDX-License-Identifier: Apache-2.0
//  The keys of a store, frozen at a barrier and read back.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension KeyTable where Key: Codable & Sendable {
    /// Freezes the keys of an operator's states.
    func freeze(
        under lease: PageLease, operatorName: String, maxParallelism: Int, schema: RecordSchema,
        encoder: KeyEncoder<Key>
    ) -> FrozenKeys {
        let frozen = FrozenHashes(freeze(under: lease))
        let raw = encoder.raw
        return FrozenKeys(
            operatorName: operatorName, maxParallelism: maxParallelism, schema: schema, lease: lease,
            hash: { frozen.hash($0) },
            build: {
                var slots: [Int] = []
                frozen.forEach { slots.append($0) }
                return try KeyOrder.make(
                    slots, maxParallelism: maxParallelism,
                    group: { KeyGroup.of(hash: frozen.hash($0), maxParallelism: maxParallelism) },
                    address: frozen.address,
                    encode: { slot, bytes in try raw.encode(frozen.address(slot), into: &bytes) })
            })
    }
}
