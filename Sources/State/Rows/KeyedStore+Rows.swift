// SPDX-License-Identifier: Apache-2.0
//  A keyed store whose snapshots hold only what has changed.

import ThalwegBase
import ThalwegStorage

/// A snapshot of a store's rows that is being written.
struct RowFlight<Key: Hashable & Codable & Sendable> {
    /// The lowest first.
    let added: [RowLayer]
    let isWhole: Bool
    /// The rows that it holds, unless it holds all: they rest nowhere until it is written.
    let changed: SlotBits
    /// The keys that it says are gone.
    let gone: KeyTable<Key>
    /// The epochs of the shelf that it has.
    let epochs: Range<UInt64>?

    var isWritten: Bool { added.allSatisfy(\.isWritten) }
}

extension KeyedStore {
    /// New keys of a batch: those that were gone have come back, over what layers have of them.
    @usableFromInline @inline(never)
    func revive() {
        guard let layers else { return }
        // A bit may be left of the row that had the slot before.
        for slot in fresh {
            layers.stored.remove(Int(slot))
            tier?.shelf?.begin(Int(slot))
        }
        guard gone.count > 0 || flights.contains(where: { $0.gone.count > 0 }) else { return }
        for slot in fresh {
            let slot = Int(slot)
            guard table.isUsed(slot) else { continue }
            let (key, hash) = (table.key(at: slot), table.hash(at: slot))
            // Should a snapshot fail that says that it is gone, it is not gone all the same.
            for table in CollectionOfOne(gone) + flights.map(\.gone) {
                guard let place = table.find(key, hash: hash) else { continue }
                table.remove(slot: place)
                layers.stored.insert(slot)
                tier?.shelf?.revive(slot)
            }
        }
    }

    /// A slot is given back: if a layer may have its row, the next one says that it is gone.
    @usableFromInline @inline(never)
    func noteGone(_ slot: Int) {
        guard let layers else { return }
        layers.changed.remove(slot)
        guard layers.stored.contains(slot) else { return }
        layers.stored.remove(slot)
        _ = gone.findOrInsert(table.key(at: slot), hash: table.hash(at: slot))
    }

    // MARK: Snapshots

    func freezeRows(
        in layers: RowLayers, operatorName: String, maxParallelism: Int, checkpoint: Int64, isSelfContained: Bool
    ) throws -> RowSnapshot {
        try throwFailure()
        let isWhole = isSelfContained && !layers.isPartial || layers.isWholeNext(rowCount: table.count)
        if !isSelfContained, let shelf = tier?.shelf { try removeGone(from: shelf) }
        let below = try tier?.shelf?.freeze(sequence: layers.nextSequence(checkpoint: checkpoint))
        var parts = freeze(
            operatorName: operatorName, maxParallelism: maxParallelism, changed: isWhole ? nil : layers.changed,
            isOverNotes: below != nil)
        let layer = RowLayer(
            sequence: layers.nextSequence(checkpoint: checkpoint),
            rowCount: isWhole ? table.count : layers.changed.count + gone.count,
            states: isWhole
                ? Set(columns.filter { !$0.column.isVacant }.map(\.name)) : Set(parts.map(\.descriptor.name)))
        let base = isWhole ? [] : layers.chain
        let isLookedInto = tier != nil && tier?.shelf == nil && !isSelfContained
        if isLookedInto { parts = parts.map { $0.noting(in: layer) } }
        let added = [below, NewLayer(parts: parts, layer: layer)].compactMap(\.self)
        if isSelfContained {
            return RowSnapshot(added: added, base: base, isSelfContained: true, isLookedInto: false)
        }
        let changed = layers.begin(added.map(\.layer), isWhole: isWhole, limit: table.slotLimit)
        if !wideRows.isEmpty { for (_, column) in wideColumns { column.seal(layer.sequence) } }
        flights.append(
            RowFlight(
                added: added.map(\.layer), isWhole: isWhole, changed: changed, gone: gone, epochs: tier?.shelf?.begin())
        )
        gone = KeyTable()
        return RowSnapshot(added: added, base: base, isSelfContained: false, isLookedInto: isLookedInto)
    }

    /// All rows in memory.
    var usedSlots: SlotBits {
        var slots = SlotBits()
        for slot in 0..<table.slotLimit where table.isUsed(slot) { slots.insert(slot) }
        return slots
    }

    /// Whether a row rests nowhere yet, or only in a file that may never be there.
    func isUnsaved(_ slot: Int, _ layers: RowLayers) -> Bool {
        assert(!layers.hasAllChanged, "asked only of stores that are partial")
        return layers.changed.contains(slot) || flights.contains { $0.isWhole || $0.changed.contains(slot) }
    }

    /// A snapshot has been written or given up.
    func land(_ snapshot: RowSnapshot) {
        guard let layers, let layer = snapshot.added.last?.layer,
            let index = flights.firstIndex(where: { $0.added.last === layer })
        else { return }
        let flight = flights.remove(at: index)
        defer { tier?.changed(layers.chain, added: layer) }
        if flight.isWritten {
            if let epochs = flight.epochs { tier?.shelf?.end(epochs) }
            landWideRows(flight, isWritten: true)
            return flight.added.forEach(layers.end)
        }
        for layer in flight.added { layer.failed() }
        takeBack(flight, layers)
    }

    /// What snapshots under way hold is the next one's as well: it need not build on any that may still fail.
    func takeBackFlights() {
        guard let layers else { return }
        var left: [RowFlight<Key>] = []
        for flight in flights {
            if flight.isWritten {
                left.append(flight)
            } else {
                takeBack(flight, layers)
                if let layer = flight.added.last { tier?.changed(layers.chain, added: layer) }
            }
        }
        flights = left
    }

    private func landWideRows(_ flight: RowFlight<Key>, isWritten: Bool) {
        guard !wideRows.isEmpty, let sequence = flight.added.last?.sequence else { return }
        for (_, column) in wideColumns { column.land(sequence, isWritten: isWritten) }
    }

    /// The rows of a snapshot rest nowhere.
    private func takeBack(_ flight: RowFlight<Key>, _ layers: RowLayers) {
        if let epochs = flight.epochs { tier?.shelf?.fail(epochs) }
        landWideRows(flight, isWritten: false)
        layers.fail(flight.added, flight.isWhole ? usedSlots : flight.changed.filter(table.isUsed))
        for place in 0..<flight.gone.slotLimit where flight.gone.isUsed(place) {
            let (key, hash) = (flight.gone.key(at: place), flight.gone.hash(at: place))
            _ = gone.findOrInsert(key, hash: hash)
        }
    }
}
