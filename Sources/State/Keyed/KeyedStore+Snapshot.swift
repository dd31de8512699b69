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
        let (arrangement, version) = (arrangement, version)
        let gone = changed == nil ? nil : gone
        let source = FrozenPlaces(
            present: frozen, gone: gone, slotLimit: UInt32(frozen.slotLimit), maxParallelism: maxParallelism,
            encoder: encoder.raw)
        return FrozenKeys(
            owner: owner, maxParallelism: maxParallelism, lease: lease, slotLimit: frozen.slotLimit,
            isLayer: changed != nil,
            build: {
                var places: [UInt32] = []
                guard let changed, let gone else {
                    return try arrangement.order(of: source, version: version, maxParallelism: maxParallelism) {
                        frozen.forEach { places.append(UInt32(truncatingIfNeeded: $0)) }
                        return places
                    }
                }
                changed.forEach { slot in
                    if slot < frozen.slotLimit && frozen.hash(slot) != .max {
                        places.append(UInt32(truncatingIfNeeded: slot))
                    }
                }
                gone.forEach { places.append(source.slotLimit &+ UInt32(truncatingIfNeeded: $0)) }
                return try OrderedPlaces(places, of: source, maxParallelism: maxParallelism)
            })
    }
}

/// The slots of a frozen table, and after them those of the keys that are gone.
struct FrozenPlaces: KeyPlaces {
    let present: FrozenHashes
    let gone: FrozenHashes?
    let slotLimit: UInt32
    let maxParallelism: Int
    let encoder: RawKeyEncoder

    func group(_ place: UInt32) -> Int {
        let hash = gone(place).map { $0.hash(Int(place &- slotLimit)) } ?? present.hash(Int(place))
        return KeyGroup.of(hash: hash, maxParallelism: maxParallelism)
    }

    @inline(__always)
    func address(_ place: UInt32) -> UnsafeRawPointer {
        gone(place).map { $0.address(Int(place &- slotLimit)) } ?? present.address(Int(place))
    }

    @inline(__always)
    func encode(_ place: UInt32, into bytes: inout ByteWriter) throws {
        try encoder.encode(address(place), into: &bytes)
    }

    @inline(__always)
    private func gone(_ place: UInt32) -> FrozenHashes? { place < slotLimit ? nil : gone }
}
