// SPDX-License-Identifier: Apache-2.0
//  Single entries of rows at rest.

import ThalwegBase
import ThalwegStorage

/// Finds entries of one state in rows that are too large to be in memory as a whole (FLIP-50). Used by one task.
final class RestingEntries {
    // unowned: what rows are loaded with holds the states, which hold this.
    private unowned let tier: RowTier
    private let layers: RowLayers
    private let lookups: RunLookups
    private let state: Int
    private let buffer = RowBuffer()

    init(_ tier: RowTier, _ layers: RowLayers, _ lookups: RunLookups, state: Int) {
        self.tier = tier
        self.layers = layers
        self.lookups = lookups
        self.state = state
    }

    /// From how many bytes in memory on a map is no longer kept as part of its row.
    var largeBytes: Int { tier.largeBytes }

    /// What layers have, as it is now.
    func view() throws -> RunView {
        try tier.refresh(layers.chain)
        return lookups.view(of: state)
    }

    /// Calls `body` with the value of an entry, if there is one.
    ///
    /// - Parameters:
    ///   - key: row and what follows it.
    ///   - runs: of the row.
    func value<Result>(
        _ key: UnsafeRawBufferPointer, rowBytes: Int, runs: inout RowRuns,
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result? {
        try tier.refresh(layers.chain)
        return try lookups.value(state, key: key, rowBytes: rowBytes, runs: &runs, into: buffer).map(body)
    }

    /// The first key behind all entries of a row; nil: there is none.
    static func end(of row: [UInt8]) -> [UInt8]? {
        var end = row
        while let last = end.popLast() {
            if last < .max { return end + [last + 1] }
        }
        return nil
    }
}
