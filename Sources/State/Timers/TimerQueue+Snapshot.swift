// SPDX-License-Identifier: Apache-2.0
//  Timers frozen and read back.

import ThalwegBase
import ThalwegData
import ThalwegStorage

extension TimerQueue: KeyedColumn {
    /// Heads come with the first timer.
    public var slotBytes: Int { heads.capacity == 0 ? 0 : MemoryLayout<Head>.stride }
    public func limitExtents(to byteCount: Int) {
        heads.limitExtents(to: byteCount)
        links.limitExtents(to: byteCount)
        live.limitExtents(to: byteCount)
    }
    public func reserve(_ count: Int) {}
    public func isEmpty(_ slot: Int) -> Bool { count(of: slot) == 0 }
    public var isVacant: Bool { count == 0 }
    public func clear(_ slot: Int) { deleteAll(of: slot) }

    /// Freezes the timers; those of one key are put in order when they are written.
    public func freeze(_ name: String, _ keys: FrozenKeys) -> [StatePart] {
        let (heads, links) = (heads.freeze(under: keys.lease), links.freeze(under: keys.lease))
        let timers = live.freeze(under: keys.lease)
        // A layer says of each of its keys that those below it no longer count, even if there are no timers.
        if timers.count == 0 && !keys.isLayer { return [StatePart(keys.owner.describe(name, .timers)) { _ in }] }
        return [
            keys.part(keys.owner.describe(name, .timers)) { slot, entries in
                guard slot < heads.capacity else { return }
                var times: [Int64] = []
                var entry = heads.address(slot).pointee.first
                while entry >= 0 {
                    times.append(timers.key(at: Int(entry)).time)
                    entry = links.address(Int(entry)).pointee.next
                }
                times.sort()
                for time in times { try entries.add({ $0.appendOrdered(time) }, value: { _ in }) }
            }
        ]
    }

    public func unfreeze() {
        heads.unfreeze()
        links.unfreeze()
        live.unfreeze()
    }

    public func forms(_ name: String, _ owner: StateOwner) -> [StoredForm] {
        [
            StoredForm(owner.describe(name, .timers)) { _ in
                { [self] slot, key, _ in register(time: try key.readOrdered(), slot: slot) }
            }
        ]
    }
}
