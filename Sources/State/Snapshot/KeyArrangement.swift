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
        var slots: [UInt32]
        var bounds: [Int]
    }

    private let known = Guarded<Known?>(nil)

    /// The order of all keys.
    ///
    /// - Parameters:
    ///   - version: of the table; equal versions have the same keys in the same slots.
    ///   - slots: those in use, asked for when they have to be sorted.
    func order<Source: KeyPlaces>(
        of source: Source, version: UInt64, maxParallelism: Int, slots: () -> [UInt32]
    ) throws -> OrderedPlaces<Source> where Source.Place == UInt32 {
        if let known = known.withLock({ $0 }), known.version == version, known.bounds.count == maxParallelism + 1 {
            return OrderedPlaces(arranged: known.slots, bounds: known.bounds, of: source)
        }
        let order = try OrderedPlaces(slots(), of: source, maxParallelism: maxParallelism)
        known.withLock { $0 = Known(version: version, slots: order.places, bounds: order.bounds) }
        return order
    }
}
