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
        let frozen: FrozenTable<Key> = freeze(under: lease)
        return FrozenKeys(
            operatorName: operatorName, maxParallelism: maxParallelism, schema: schema, lease: lease,
            hash: { frozen.hash(at: $0) },
            build: {
                try KeyOrder.make(
                    (0..<frozen.slotLimit).filter { frozen.hash(at: $0) != .max }, maxParallelism: maxParallelism,
                    group: { KeyGroup.of(hash: frozen.hash(at: $0), maxParallelism: maxParallelism) },
                    encode: { slot, bytes in try encoder.encode(frozen.key(at: slot), into: &bytes) })
            })
    }
}
