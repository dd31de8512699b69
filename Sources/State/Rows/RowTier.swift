// SPDX-License-Identifier: Apache-2.0
//  Which rows of a keyed store stay in memory.

import ThalwegBase
import ThalwegStorage

/// The memory of a keyed store's rows: how many it may have, and which of them were used lately (FLIP-50).
///
/// Rows leave by a clock: a hand goes round over the slots, passes over those used since it came by last, and takes
/// the others. Used by one task.
final class RowTier {
    let place: RowPlace
    let cold: any ColdRows
    /// The store of bytes in which rows rest, also known as `cold`; nil: they rest in layers.
    let shelf: RowShelf?
    /// The slots of rows used since the hand passed.
    @exclusivity(unchecked) var heat = SlotBits()
    /// Where the hand stands.
    var hand = 0
    /// The most rows in memory; known once some have been measured.
    private(set) var rowsMax = Int.max
    /// Rows are measured when there are so many.
    private(set) var measureAt: Int
    /// Whether rows may be at rest that are not in memory.
    var hasCold = false
    /// Layers that are being made one.
    var merging: RowMerging?
    /// From how many layers on merging is thought of.
    var mergeAt = 2
    var eventTimers = ColdTimers()
    var processingTimers = ColdTimers()

    /// How many bytes of memory a byte of an encoded entry takes where values are not kept in the slot itself: boxes,
    /// spare capacity, tables.
    private static let heapFactor = 3
    /// The parts of the budget: rows in memory, blocks of files, and filters that spare looking into them.
    private static let rowShare = 0.75
    static let blockShare = 0.125
    static let filterShare = 0.125

    init(_ cold: any ColdRows, in place: RowPlace) {
        self.cold = cold
        shelf = cold as? RowShelf
        self.place = place
        measureAt = Self.firstMeasure(place)
    }

    /// Early enough even if rows are large.
    private static func firstMeasure(_ place: RowPlace) -> Int { min(1024, max(1, place.budgetBytes >> 12)) }

    /// Rows are to be measured anew.
    func forgetMeasure() { measureAt = Self.firstMeasure(place) }

    /// Sets how many rows fit.
    ///
    /// - Parameters:
    ///   - slotBytes: what a row takes in tables and columns.
    ///   - encodedBytes: what it takes at rest, of states that are not kept in their slots.
    func measure(slotBytes: Int, encodedBytes: Int, rowCount: Int) {
        let rowBytes = max(1, slotBytes + Self.heapFactor * encodedBytes)
        rowsMax = max(1, Int(Double(place.budgetBytes) * Self.rowShare) / rowBytes)
        measureAt = max(measureAt, rowCount * 2)
    }

    /// Whether the layers have changed since they were shown.
    private(set) var isStale = false

    /// The layers have changed: the timers of those that are gone are forgotten, those of the one that has come known.
    func changed(_ chain: [RowLayer], added layer: RowLayer) {
        isStale = true
        eventTimers.keep(chain)
        processingTimers.keep(chain)
        guard chain.contains(where: { $0 === layer }) else { return }
        for stretch in layer.timers {
            var stretch = stretch
            stretch.layer = layer
            if stretch.state == TimerQueue.eventName {
                eventTimers.add(stretch)
            } else {
                processingTimers.add(stretch)
            }
        }
    }

    /// Looks into the layers as they are now.
    func refresh(_ chain: [RowLayer]) throws {
        guard isStale else { return }
        try cold.show(chain.filter(\.isWritten))
        isStale = false
    }

    // MARK: Restored layers

    /// How a file of another store is brought into this one.
    func takeIn(_ segments: RestoredSegments) -> (RestoredSegments.File) throws -> HeldSegment {
        { [place] file in
            let path = place.names.next("restored")
            let lease = place.leases.take(path)
            var copy = file.file
            copy.path = path
            try place.store.takeIn(file.path, as: path)
            return HeldSegment(copy, lease)
        }
    }

    /// Goes on from layers that were restored: all rows are at rest.
    func begin(with chain: [RowLayer], _ states: [StateDescriptor], of owner: RowOwner) throws {
        hasCold = true
        for layer in chain {
            guard let file = try layer.file()?.file else { continue }
            let reader = try place.store.open(file)
            for (index, state) in reader.footer.states.enumerated()
            where state.kind == .timers && states.contains(state) {
                let notes = TimerNotes(state.name)
                let cursor = reader.cursor(state: index, isLayer: true)
                while try cursor.next() {
                    if cursor.kind == .put { try notes.add(cursor.key) }
                }
                layer.add(notes)
            }
            changed(chain, added: layer)
        }
    }
}
