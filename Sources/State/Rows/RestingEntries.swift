// SPDX-License-Identifier: Apache-2.0
//  Single entries of rows at rest.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Finds entries of one state in rows that are too large to be in memory as a whole (FLIP-50). Used by one task.
@usableFromInline
final class RestingEntries {
    // unowned: what rows are loaded with holds the states, which hold this.
    private unowned let tier: RowTier
    private let layers: RowLayers
    private let lookups: RunLookups
    private let state: Int
    private let buffer = RowBuffer()
    /// The key that is looked for: row and what follows it.
    @usableFromInline var key = ByteWriter(capacity: 64)

    init(_ tier: RowTier, _ layers: RowLayers, _ lookups: RunLookups, state: Int) {
        self.tier = tier
        self.layers = layers
        self.lookups = lookups
        self.state = state
    }

    /// From how many bytes in memory on a map is no longer kept as part of its row.
    var largeBytes: Int { tier.largeBytes }

    /// What layers have, as it is now.
    @usableFromInline
    func view() throws -> RunView {
        try tier.refresh(layers.chain)
        return lookups.view(of: state)
    }

    /// The value of ``key``, lent until the next look-up; nil when there is none.
    ///
    /// - Parameter runs: of the row.
    @usableFromInline
    func value(rowBytes: Int, runs: inout RowRuns) throws -> UnsafeRawBufferPointer? {
        try tier.refresh(layers.chain)
        return try key.withBytes {
            try lookups.value(state, key: $0, rowBytes: rowBytes, runs: &runs, into: buffer)
        }
    }

    /// The first key behind all entries of a row; nil: there is none.
    @usableFromInline
    static func end(of row: [UInt8]) -> [UInt8]? {
        var end = row
        while let last = end.popLast() {
            if last < .max { return end + [last + 1] }
        }
        return nil
    }
}
