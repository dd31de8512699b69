// SPDX-License-Identifier: Apache-2.0
//  Timers frozen and read back.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension TimerQueue: KeyedColumn {
    public func reserve(_ count: Int) {}
    public func isEmpty(_ slot: Int) -> Bool { count(of: slot) == 0 }
    public func clear(_ slot: Int) { deleteAll(of: slot) }

    /// Freezes the set of timers, which has no dead ones; their order by time is found when they are written.
    public func freeze(_ name: String, _ keys: FrozenKeys) -> [StatePart] {
        let timers = live.freeze(under: keys.lease)
        return [
            StatePart(keys.describe(name, .timers)) { writer in
                guard timers.count > 0 else { return }
                let order = try keys.order()
                var ranks = Array(repeating: 0, count: (order.places.max() ?? -1) + 1)
                for (rank, slot) in order.places.enumerated() { ranks[slot] = rank }
                let places = (0..<timers.slotLimit).filter { timers.hash(at: $0) != .max }
                let sorted = try KeyOrder.make(
                    places, maxParallelism: keys.maxParallelism,
                    group: { keys.keyGroup(ofSlot: Int(timers.key(at: $0).slot)) },
                    address: { UnsafeRawPointer(timers.address($0)) },
                    encode: { place, bytes in
                        let timer = timers.key(at: place)
                        bytes.appendOrdered(timer.time)
                        order.withKey(ranks[Int(timer.slot)]) {
                            bytes.append(UnsafeRawBufferPointer(rebasing: $0.dropFirst(2)))
                        }
                    })
                let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
                for rank in 0..<sorted.count {
                    try sorted.withKey(rank) { try writer.add(key: $0, value: nothing) }
                }
            }
        ]
    }

    public func unfreeze() { live.unfreeze() }

    public func restore(_ name: String, from source: KeyedRestore, into store: AnyKeyedStore) throws {
        try source.entries(of: store.describe(name, .timers, for: source)) { group, key, _ in
            let time = try key.readOrdered()
            register(time: time, slot: try store.slot(of: &key, in: group, source))
        }
    }
}
