// SPDX-License-Identifier: Apache-2.0
//  The keys of a store, frozen at a barrier and read back.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension KeyTable where Key: Codable & Sendable {
    /// Freezes the keys of an operator's states.
    ///
    /// - Parameters:
    ///   - changed: the slots wanted; nil: all.
    ///   - gone: further keys, which have no slots.
    func freeze(
        under lease: PageLease, owner: StateOwner, maxParallelism: Int, encoder: KeyEncoder<Key>,
        changed: SlotBits?, gone: FrozenHashes?
    ) -> FrozenKeys {
        let frozen = FrozenHashes(freeze(under: lease))
        let raw = encoder.raw
        let limit = frozen.slotLimit
        let (arrangement, version) = (arrangement, version)
        return FrozenKeys(
            owner: owner, maxParallelism: maxParallelism, lease: lease, slotLimit: limit, isLayer: changed != nil,
            build: {
                guard let changed, let gone else {
                    return try arrangement.order(
                        ofVersion: version, maxParallelism: maxParallelism,
                        places: {
                            var places: [Int] = []
                            frozen.forEach { places.append($0) }
                            return places
                        },
                        group: { KeyGroup.of(hash: frozen.hash($0), maxParallelism: maxParallelism) },
                        address: frozen.address,
                        encode: { slot, bytes in try raw.encode(frozen.address(slot), into: &bytes) })
                }
                var places: [Int] = []
                changed.forEach { if $0 < limit && frozen.hash($0) != .max { places.append($0) } }
                gone.forEach { places.append(limit + $0) }
                return try KeyOrder.make(
                    places, maxParallelism: maxParallelism,
                    group: { place in
                        let hash = place < limit ? frozen.hash(place) : gone.hash(place - limit)
                        return KeyGroup.of(hash: hash, maxParallelism: maxParallelism)
                    },
                    address: { $0 < limit ? frozen.address($0) : gone.address($0 - limit) },
                    encode: { place, bytes in
                        let address = place < limit ? frozen.address(place) : gone.address(place - limit)
                        try raw.encode(address, into: &bytes)
                    })
            })
    }
}
