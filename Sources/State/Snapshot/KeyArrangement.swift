// SPDX-License-Identifier: Apache-2.0
//  The order of a table's keys, remembered from one snapshot to the next.

import Synchronization
import ThalwegBase
import ThalwegData

/// In which order the slots of a table's keys stand in snapshots. As long as no key comes or goes a snapshot need not
/// sort them again; four bytes a key are kept for that.
final class KeyArrangement: Sendable {
    private struct Known {
        var version: UInt64
        var slots: [Int32]
        var bounds: [Int]
    }

    private let known = Guarded<Known?>(nil)

    /// The order of all keys.
    ///
    /// - Parameters:
    ///   - version: of the table; equal versions have the same keys in the same slots.
    ///   - places: the slots in use, asked for when they have to be sorted.
    ///   - group, address, encode: see `KeyOrder`.
    func order(
        ofVersion version: UInt64, maxParallelism: Int, places: () -> [Int], group: (Int) -> Int,
        address: (Int) -> UnsafeRawPointer, encode: (Int, inout ByteWriter) throws -> Void
    ) throws -> KeyOrder {
        if let known = known.withLock({ $0 }), known.version == version, known.bounds.count == maxParallelism + 1 {
            return try KeyOrder.make(
                arranged: known.slots.map(Int.init), bounds: known.bounds, address: address, encode: encode)
        }
        let order = try KeyOrder.make(
            places(), maxParallelism: maxParallelism, group: group, address: address, encode: encode)
        let slots = order.places.map { Int32(truncatingIfNeeded: $0) }
        known.withLock { $0 = Known(version: version, slots: slots, bounds: order.bounds) }
        return order
    }
}
