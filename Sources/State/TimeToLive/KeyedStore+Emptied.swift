// SPDX-License-Identifier: Apache-2.0
//  Many slots given back at a time.

extension KeyedStore {
    /// Gives back those of the slots for whose keys nothing is stored any more.
    @inlinable
    public func releaseIfEmpty(_ slots: [Int32]) {
        let table = table
        for index in slots.indices {
            // Memory is asked for while other keys are removed.
            if index + 24 < slots.count { table.prefetch(slot: Int(slots[index + 24])) }
            if index + 8 < slots.count { table.prefetchNext(slot: Int(slots[index + 8])) }
            releaseIfEmpty(Int(slots[index]))
        }
    }
}
