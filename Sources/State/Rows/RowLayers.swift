// SPDX-License-Identifier: Apache-2.0
//  The layers of files below the rows of a keyed store, and which rows have changed since the newest.

import ThalwegBase
import ThalwegStorage

/// What a keyed store knows of its rows at rest, so that a checkpoint writes only what has changed since the one before
/// (FLIP-47, FLIP-50).
///
/// A row is all that the states of an operator hold for one key. Used by one task.
public final class RowLayers {
    /// The oldest first.
    private(set) var chain: [RowLayer] = []
    /// The slots of rows that may have changed since the newest layer.
    @exclusivity(unchecked) var changed = SlotBits()
    /// The slots of rows that a layer may have.
    @exclusivity(unchecked) var stored = SlotBits()
    /// Whether the next layer must hold all rows.
    private var needsWhole = true
    private var lastSequence: Int64 = 0

    /// The most layers: each costs a file to open at a restore.
    private static let layersMax = 1

    public init() {}

    /// Whether the next layer holds all rows, so that those below are needed no more.
    ///
    /// - Parameter rowCount: how many rows there are.
    func isWholeNext(rowCount: Int) -> Bool {
        if needsWhole || chain.isEmpty || chain.count >= Self.layersMax { return true }
        let waiting = changed.count
        let above = chain.dropFirst().reduce(0) { $0 + $1.rowCount }
        return (waiting + above) * 2 > rowCount
    }

    /// A sequence for a layer that belongs to a checkpoint or comes after it: higher than all before.
    func nextSequence(checkpoint: Int64) -> Int64 {
        lastSequence = max(lastSequence + 1, checkpoint << 20)
        return lastSequence
    }

    /// A snapshot has been frozen: what changes from now on belongs to the next.
    ///
    /// - Returns: the slots that were marked as changed.
    func begin(_ layer: RowLayer, isWhole: Bool) -> SlotBits {
        let frozen = changed
        chain = isWhole ? [layer] : chain + [layer]
        needsWhole = false
        changed.removeAll()
        return frozen
    }

    /// The layer was written.
    func end(_ layer: RowLayer) {
        // Nothing had changed: there is no file.
        if let file = try? layer.file(), file != nil { return }
        if chain.count > 1 { chain.removeAll { $0 === layer } }
    }

    /// The layer could not be written: its rows wait for the next.
    func fail(_ layer: RowLayer, isWhole: Bool, _ frozen: SlotBits) {
        changed.formUnion(frozen)
        guard chain.contains(where: { $0 === layer }) else { return }
        if isWhole {
            chain = []
            needsWhole = true
        } else {
            chain.removeAll { $0 === layer }
        }
    }
}
