// SPDX-License-Identifier: Apache-2.0
//  A range of keys.

import ThalwegBase

/// The keys from `from`, included, to `to`, excluded; nil: without an end on that side.
struct KeyBounds: Hashable, Sendable {
    var from: [UInt8]?
    var to: [UInt8]?

    /// Only those of some key groups: the first two bytes of keys of keyed states.
    func clipped(to keyGroups: Range<Int>?) -> KeyBounds {
        guard let keyGroups else { return self }
        let start = keyGroups.lowerBound == 0 ? nil : Self.prefix(keyGroups.lowerBound)
        let end = keyGroups.upperBound > Int(UInt16.max) ? nil : Self.prefix(keyGroups.upperBound)
        var clipped = self
        if let start, from.map({ compare($0, start) < 0 }) ?? true { clipped.from = start }
        if let end, to.map({ compare(end, $0) < 0 }) ?? true { clipped.to = end }
        return clipped
    }

    /// Whether entries of a state can lie in the range, or say something about what others have there: a row tombstone
    /// may lie before.
    func mayMeet(_ state: SegmentFooter.Statistics) -> Bool {
        guard state.entries > 0 else { return false }
        if let from, compare(state.lastKey, from) < 0 {
            let isOtherRow = from.count <= 2 || !state.lastKey.starts(with: from[..<2])
            if state.tombstones == 0 || isOtherRow { return false }
        }
        if let to, compare(state.firstKey, to) >= 0 { return false }
        return true
    }

    static func prefix(_ keyGroup: Int) -> [UInt8] {
        [UInt8(truncatingIfNeeded: keyGroup >> 8), UInt8(truncatingIfNeeded: keyGroup)]
    }
}
