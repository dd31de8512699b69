// SPDX-License-Identifier: Apache-2.0
//  Which rows of a keyed store stay in memory.

import ThalwegBase
import ThalwegStorage

/// The memory of a keyed store's rows: how many it may have, and which of them were used lately (FLIP-50).
///
/// Rows leave by a clock: a hand goes round over the slots. Those used since it came by last rise, up to the third
/// level; the others fall, and leave from the lowest one. So a row that is used again and again outlasts those that
/// were used once of late. Used by one task.
final class RowTier {
    let place: RowPlace
    let cold: any ColdRows
    /// The store of bytes in which rows rest, also known as `cold`; nil: they rest in layers.
    let shelf: RowShelf?
    /// The slots of rows used since the hand passed.
    @exclusivity(unchecked) var heat = SlotBits()
    /// The levels of rows, two bits for each.
    private var lowBits = SlotBits()
    private var highBits = SlotBits()
    /// How often the hand comes by at most until a row leaves that is not used.
    static let passesMax = 5
    /// Where the hand stands.
    var hand = 0
    /// The most rows in memory; known once some have been measured.
    private(set) var rowsMax = Int.max
    /// How many rows more than necessary leave memory at a time.
    private(set) var evictedMin = 1
    /// Rows are measured when there are so many.
    private var measureAt: Int
    /// Whether rows may be at rest that are not in memory.
    var hasCold = false
    /// Layers that are being made one.
    var merging: [RowMerging] = []
    /// Whether the layers have changed since it was thought of merging some.
    var mayMerge = false
    /// From how many layers on merging is thought of.
    var mergeAt = 2
    var eventTimers = ColdTimers()
    var processingTimers = ColdTimers()

    /// Rows that have left memory since rows were measured.
    var evicted = 0
    /// Whether it is noted which rows are used: as long as all fit by far, nobody asks.
    var notesHeat = false
    private var memory: RowMemory?

    /// The parts of the budget: blocks of files, filters that spare looking into them, and where blocks lie. About as
    /// much again is taken while files are written and merged. The rest is for rows.
    static let blockShare = 0.03
    static let filterShare = 0.1
    private static let indexShare = 0.07
    private static let writeShare = 0.2
    private var rowShare: Double {
        shelf == nil
            ? 1 - Self.blockShare - Self.filterShare - Self.indexShare - Self.writeShare : 1 - RowShelf.share - 0.05
    }
    /// Of rows that are too large for memory: what has changed in them since it was written.
    private static let wideShare = 1.0 / 8
    var wideBytesMax: Int { max(4 << 10, Int(Double(place.budgetBytes) * Self.wideShare)) }
    /// Whether there are such rows.
    var hasWideRows = false {
        didSet { if hasWideRows != oldValue { setRowsMax() } }
    }
    /// From how many bytes on what a state has for a key is too large to be in memory.
    var largeBytes: Int { place.largeBytes }
    /// What blocks of files have, in bytes.
    private static let blockBytesMax = 16 << 10
    /// The most rows that leave memory at a time, and about the most bytes of them: the task waits for it.
    private static let evictedMax = 8 << 10
    private static let evictedBytesMax = 1 << 20

    /// The memory of columns comes in extents of so many bytes: huge ones are quicker, but are taken as a whole.
    let extentBytes: Int
    private static let extentShare = 1.0 / 64
    private static let smallExtentBytes = 64 << 10

    init(_ cold: any ColdRows, in place: RowPlace) {
        self.cold = cold
        shelf = cold as? RowShelf
        self.place = place
        measureAt = Self.firstMeasure(place)
        let isLarge = Double(place.budgetBytes) * Self.extentShare >= Double(PageMemory.hugeBytes)
        extentBytes = isLarge ? PageMemory.hugeBytes : Self.smallExtentBytes
    }

    /// Early enough even if rows are large.
    private static func firstMeasure(_ place: RowPlace) -> Int { min(1024, max(1, place.budgetBytes >> 12)) }

    /// Rows are to be measured anew: they have grown.
    func forgetMeasure() {
        measureAt = Self.firstMeasure(place)
        evicted = 0
    }

    /// Whether rows are to be measured: there are many more than the last time, or others, or a column has got slots.
    func isMeasureDue(rowCount: Int, slotBytes: Int) -> Bool {
        if rowCount >= measureAt { return true }
        guard let memory else { return false }
        return memory.encodedBytes > 0 && evicted >= 4 * rowsMax || memory.slotBytes != slotBytes
    }

    /// Sets how many rows fit.
    func measure(_ memory: RowMemory, rowCount: Int) {
        self.memory = memory
        measureAt = max(measureAt, rowCount * 2)
        evicted = 0
        setRowsMax()
    }

    private func setRowsMax() {
        guard let memory else { return }
        let indexBytes = Double(place.budgetBytes) * Self.indexShare
        var bytes = Double(place.budgetBytes) * rowShare - max(0, Double(cold.indexBytes) - indexBytes)
        if hasWideRows { bytes -= Double(wideBytesMax) }
        // While a snapshot is written, there may be another copy of what is used meanwhile.
        if place.isSnapshotted { bytes /= 2 }
        rowsMax = memory.rowsMax(within: Int(max(0, bytes)), batchCapacity: place.batchCapacity)
        let some = min(max(rowsMax / 32, 1024), Self.evictedMax, Self.evictedBytesMax / memory.rowBytes)
        evictedMin = max(1, min(some, rowsMax / 4))
    }

    /// Of what size blocks of files are written: so small that little is read for a row, as far as where they lie takes
    /// no more than its part of the memory.
    var blockBytes: Int {
        let blocksMax = max(1, Int(Double(place.budgetBytes) * Self.indexShare) / Run.indexBytesPerBlock)
        return min(max(Int(cold.byteCount) / blocksMax, SegmentOptions.run.blockBytes), Self.blockBytesMax)
    }

    /// Rows that were looked up since the oldest file was made: those that were there, and new ones.
    var lookups = (found: 0, vain: 0)

    /// The most bytes of a filter over the rows of a file that is made of others.
    ///
    /// Newer files get theirs first: each spares looking into one more of them. A row that is in none of these is in
    /// the oldest, unless it is new: only where many are, a filter over all rows is worth what it takes.
    func filterBytesMax(replacing merged: [Run], isOldest: Bool) -> Int {
        let kept = cold.filterBytes - merged.reduce(0) { $0 + $1.filterBytes }
        let share = Int(Double(place.budgetBytes) * Self.filterShare)
        guard isOldest else { return share - kept }
        defer { lookups = (0, 0) }
        return lookups.vain * 2 > lookups.found ? min(share - kept, share / 2) : 0
    }

    /// Whether the layers have changed since they were shown.
    private(set) var isStale = false

    /// The layers have changed: the timers of those that are gone are forgotten, those of the one that has come known.
    func changed(_ chain: [RowLayer], added layer: RowLayer) {
        isStale = true
        mayMerge = true
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
        setRowsMax()
    }

    // MARK: The hand

    /// Moves the hand over 64 slots.
    ///
    /// - Parameter word: which ones: those from `64 * word` on.
    /// - Returns: those on the lowest level whose rows were not used since the hand came by last, the first one lowest.
    func pass(_ word: Int) -> UInt64 {
        let (used, low, high) = (heat.word(word), lowBits.word(word), highBits.word(word))
        heat.set(word: word, 0)
        lowBits.set(word: word, used & (~low | high) | ~used & ~low & high)
        highBits.set(word: word, used & (low | high) | ~used & low & high)
        return ~(used | low | high)
    }

    /// A row has come: it rises when it is used a second time. One that is not has no better claim than others.
    func begin(_ slot: Int) {
        heat.remove(slot)
        lowBits.remove(slot)
        highBits.remove(slot)
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
