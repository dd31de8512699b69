// SPDX-License-Identifier: Apache-2.0
//  Rows that are too large for memory: what changes in them is written, and found again, entry by entry.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// What states with large values ask of their store.
protocol WideStore: AnyObject {
    /// Key group and key, as rows are stored.
    func row(of slot: Int) throws -> [UInt8]
    /// Where a state's entries rest; nil when rows rest as a whole.
    func restingEntries(of column: any KeyedColumn) -> RestingEntries?
    /// Writes what has changed in large rows, if it takes too much memory.
    ///
    /// - Parameter isInCall: whether a function is at work on a row.
    func restWideRows(isInCall: Bool) throws
}

extension AnyKeyedStore {
    final var wideStore: (any WideStore)? { self as? any WideStore }

    final var wideColumns: [(name: String, column: any WideColumn)] {
        columns.compactMap { name, column in (column as? any WideColumn).map { (name, $0) } }
    }

    final func updateWideRows() {
        wideRows = SlotBits()
        for (_, column) in wideColumns { wideRows.formUnion(column.wideSlots) }
    }

    /// State could not be read or written in the middle of a call, which cannot throw.
    final func fail(_ error: any Error) {
        if failure == nil { failure = error }
    }

    final func throwFailure() throws {
        if let failure { throw failure }
    }
}

extension KeyedStore: WideStore {
    func row(of slot: Int) throws -> [UInt8] {
        guard let layers else { return [] }
        var row = ByteWriter(capacity: 64)
        row.append(rowPrefix(table.hash(at: slot), layers.owner))
        try encoder.raw.encode(UnsafeRawPointer(table.keys.address(slot)), into: &row)
        return row.bytes()
    }

    func restingEntries(of column: any KeyedColumn) -> RestingEntries? {
        guard let tier, let layers, let rows = tier.cold as? SegmentRows,
            let name = columns.first(where: { $0.column === column })?.name
        else { return nil }
        return rows.entries(of: name, tier, layers)
    }

    /// Has maps rest entry by entry that have become too large for a row, and writes what has changed in them.
    func tendWideRows(_ tier: RowTier, _ layers: RowLayers) throws {
        if mayHaveLarge {
            mayHaveLarge = false
            for (_, column) in wideColumns {
                for slot in column.takeLargeSlots() where table.isUsed(slot) {
                    try column.makeWide(slot)
                    if wideRows.contains(slot) { tier.place.metrics.largeRows.add(1) }
                }
            }
        }
        if wideRows.isEmpty { return }
        tier.hasWideRows = true
        tier.hasCold = true
        layers.becomePartial(usedSlots)
        try restWideRows(isInCall: false)
        if mayHaveEmptied && testsEmptied { try releaseEmptiedWideRows() }
        testsEmptied = false
    }

    /// Large maps that hold nothing any more are part of their rows again, which may be gone.
    private func releaseEmptiedWideRows() throws {
        mayHaveEmptied = false
        for (_, column) in wideColumns {
            for slot in column.takeEmptiedSlots() {
                noteChanged(slot)
                open(slot)
                column.clear(slot)
                releaseIfEmpty(slot)
            }
        }
        try throwFailure()
    }

    func restWideRows(isInCall: Bool) throws {
        guard let tier, let layers else { return }
        let columns = wideColumns.filter { !$0.column.wideSlots.isEmpty }
        guard columns.reduce(0, { $0 + $1.column.wideByteCount }) > tier.wideBytesMax else { return }
        let (place, owner) = (tier.place, layers.owner)
        let path = place.names.next("\(owner.operatorName)-\(owner.subtask)")
        let lease = place.leases.take(path)
        // That rows are gone is said by a layer of whole rows.
        let kept = gone
        gone = KeyTable()
        // Only what is large: a call may be at work on other values of these rows.
        let parts = columns.flatMap { name, column in
            peek(
                operatorName: owner.operatorName, maxParallelism: owner.maxParallelism, changed: column.wideSlots,
                only: [name])
        }
        gone = kept
        let store = place.store
        let sequence = layers.nextSequence(checkpoint: 0)
        let layer = RowLayer(
            sequence: sequence, rowCount: wideRows.count, states: Set(columns.map(\.name)),
            sync: { try store.syncRun(path) })
        let run = try store.writeRun(
            path, operators: [owner.operatorName], subtask: owner.subtask, sequence: sequence, parts: parts,
            filteredRows: layer.rowCount, blockBytes: tier.blockBytes)
        layer.written(run.map { HeldSegment($0.file, lease) }, run: run)
        // The other states of these rows are as they were.
        layers.add(layer, holding: SlotBits())
        layers.stored.formUnion(wideRows)
        place.metrics.spilledBytes.add(Int(run?.byteCount ?? 0))
        tier.changed(layers.chain, added: layer)
        for (_, column) in columns { column.rested() }
        // Between calls that is done anyway.
        if isInCall { try tier.tend(layers, filter: { keptAtRest }) }
    }
}
