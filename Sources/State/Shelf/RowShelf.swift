// SPDX-License-Identifier: Apache-2.0
//  The rows of a keyed store that rest in a store of bytes.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// The first byte of keys in a store says what they are.
enum ShelfSpace {
    /// A row → its states' entries (``RowSection``).
    static let rows: UInt8 = 1
    /// The time of a timer (8 bytes that sort as moments do), its row → nothing.
    static let eventTimers: UInt8 = 2
    static let processingTimers: UInt8 = 3
    /// An epoch (8 bytes, big-endian), a row → nothing.
    static let notes: UInt8 = 4
}

/// Rows at rest in a ``RowStore``: each is one value, its timers are found by their time, and which of them have
/// changed since the newest layer is noted.
///
/// A row in memory counts, whatever the store has of it: ``changed`` tells whether that is the same. Used by one task.
final class RowShelf: ColdRows {
    /// How many bytes of changes are written together.
    static let batchBytesMax = 1 << 20
    /// The part of the budget that the store may take; the rest is for rows in memory.
    static let share = 0.25

    private let place: RowPlace
    private let makeForms: () -> [StoredForm]
    private lazy var forms = makeForms()
    private lazy var loaders: [EntryLoader]? = nil
    /// By state, where its timers are found; nil: it has none.
    private lazy var timerSpaces = forms.map { form -> UInt8? in
        switch form.descriptor.name {
        case TimerQueue.eventName: ShelfSpace.eventTimers
        case TimerQueue.processingName: ShelfSpace.processingTimers
        default: nil
        }
    }
    private let store: any RowStore
    /// The slots of rows in memory that are not as the store has them.
    @exclusivity(unchecked) var changed = SlotBits()
    /// The slots of rows in memory that have timers in the store.
    private var timed = SlotBits()
    private var notes = ShelfNotes()
    /// No timer in the store is due before.
    private var nextTimes: (event: Int64, processing: Int64) = (.max, .max)
    private var hasTimers = false
    /// Whether rows that come are those of layers that are there: they are not noted.
    var isRestoring = false
    private var key = ByteWriter(capacity: 64)
    private var value = ByteWriter()
    /// The row from which on rows are looked at that may be needed no more.
    private var hand: [UInt8] = [ShelfSpace.rows]
    /// By layer. Each holds its layer: the identity of one that is gone may come again with another.
    private var runs: [ObjectIdentifier: (layer: RowLayer, run: Run)] = [:]

    /// Opens a store for the rows of one subtask.
    ///
    /// - Parameter forms: asked for once, when the first row leaves memory.
    /// - Throws: what the store says.
    init(
        of owner: RowOwner, _ forms: @escaping () -> [StoredForm], in place: RowPlace, _ stores: any RowStores
    ) throws {
        self.place = place
        makeForms = forms
        store = try stores.open(
            "\(owner.operatorName)-\(owner.subtask)", budgetBytes: Int(Double(place.budgetBytes) * Self.share))
    }

    // MARK: Slots

    /// A slot has been given to another key.
    func begin(_ slot: Int) { timed.remove(slot) }
    /// A row comes back to memory before the store has heard that it was gone.
    func revive(_ slot: Int) { if hasTimers { timed.insert(slot) } }
    /// A row has left memory.
    func drop(_ slot: Int) {
        changed.remove(slot)
        timed.remove(slot)
    }

    // MARK: Writing

    /// Writes changes, if there are enough or if they are the last.
    func write(_ batch: inout RowBatch, isLast: Bool) throws {
        guard batch.byteCount >= (isLast ? 1 : Self.batchBytesMax) else { return }
        try store.write(batch)
        place.metrics.spilledBytes.add(batch.byteCount)
        batch.removeAll()
    }

    /// Puts a row, or removes it when no state has anything for it.
    ///
    /// - Parameter isUnsaved: whether no layer has it as it is.
    func put(
        _ row: UnsafeRawBufferPointer, _ sections: [RowSection], _ rank: Int, slot: Int, isUnsaved: Bool,
        into batch: inout RowBatch
    ) throws {
        if timed.contains(slot) { try removeTimers(of: row, into: &batch) }
        value.removeAll()
        var isThere = false
        for (state, section) in sections.enumerated() {
            try section.withBytes(rank) { section in
                value.appendVarint(UInt64(section.count))
                value.append(section)
                if section.isEmpty { return }
                isThere = true
                guard let space = timerSpaces[state] else { return }
                try forEachTimer(section, of: row, space) { key, time in
                    key.withBytes { batch.put($0, value: UnsafeRawBufferPointer(start: nil, count: 0)) }
                    hasTimers = true
                    note(time, space)
                }
            }
        }
        setKey(row)
        key.withBytes { key in
            if isThere { value.withBytes { batch.put(key, value: $0) } } else { batch.remove(key) }
        }
        if isUnsaved { noteChange(row, into: &batch) }
    }

    /// Removes a row.
    ///
    /// - Parameter isUnsaved: whether layers may have it.
    func remove(_ row: UnsafeRawBufferPointer, isUnsaved: Bool, into batch: inout RowBatch) throws {
        if hasTimers { try removeTimers(of: row, into: &batch) }
        setKey(row)
        key.withBytes { batch.remove($0) }
        if isUnsaved { noteChange(row, into: &batch) }
    }

    private func noteChange(_ row: UnsafeRawBufferPointer, into batch: inout RowBatch) {
        if place.isSnapshotted && !isRestoring { notes.note(row, into: &batch) }
    }

    private func setKey(_ row: UnsafeRawBufferPointer) {
        key.removeAll()
        key.append(ShelfSpace.rows)
        key.append(row)
    }

    // MARK: Loading

    func load(_ row: UnsafeRawBufferPointer, into slot: Int) throws -> Bool {
        let loaders = try loaders ?? forms.map { try $0.loader($0.descriptor) }
        self.loaders = loaders
        return try get(row) { value in
            try RowSections.forEach(value) { state, section in
                if timerSpaces[state] != nil { timed.insert(slot) }
                try RowSections.entries(section) { suffix, value in
                    var suffix = ByteReader(suffix)
                    try loaders[state](slot, &suffix, value)
                }
            }
        }
    }

    private func get(_ row: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool {
        setKey(row)
        do {
            return try key.withBytes { try store.get($0, body) }
        } catch let error as ThalwegError where error.kind == .corrupt {
            // What the checkpoints have is not touched by it.
            throw ThalwegError(.task, "a row came back damaged from the store that it rested in", cause: error)
        }
    }

    // MARK: Timers

    /// When a row in the store may have a timer that is due, not before; `Int64.max`: none has.
    func nextTime(_ domain: StateTTL.Domain) -> Int64 {
        domain == .eventTime ? nextTimes.event : nextTimes.processing
    }

    private func note(_ time: Int64, _ space: UInt8) {
        if space == ShelfSpace.eventTimers {
            nextTimes.event = min(nextTimes.event, time)
        } else {
            nextTimes.processing = min(nextTimes.processing, time)
        }
    }

    /// Calls `body` with the timers that are due, in the order of their times, and forgets them.
    ///
    /// - Parameter body: says whether it counts as one of `countMax`, after which there is a stop.
    /// - Returns: up to when timers were taken, and whether more are due.
    func takeDue(
        _ domain: StateTTL.Domain, upTo limit: Int64, countMax: Int, _ body: (UnsafeRawBufferPointer) throws -> Bool
    ) throws -> (upTo: Int64, isMore: Bool) {
        let space = domain == .eventTime ? ShelfSpace.eventTimers : ShelfSpace.processingTimers
        var from = ByteWriter(capacity: 16)
        var to = ByteWriter(capacity: 16)
        from.append(space)
        // What lay before has been taken, and is not gone over again.
        from.appendOrdered(nextTime(domain))
        to.append(space + 1)
        let cursor = try from.withBytes { from in try to.withBytes { try store.cursor(from: from, to: $0) } }
        var batch = RowBatch()
        var (count, last, next) = (0, limit, Int64.max)
        // At the end of all input the limit is as late as a time can be.
        var isMore = false
        while try cursor.next() {
            var reader = ByteReader(cursor.key)
            _ = try reader.read(count: 1)
            let time = try reader.readOrdered()
            if time > limit || count >= countMax || batch.byteCount >= Self.batchBytesMax {
                next = time
                isMore = time <= limit
                break
            }
            if try body(try reader.read(count: reader.remaining)) { count += 1 }
            batch.remove(cursor.key)
            last = time
        }
        if domain == .eventTime { nextTimes.event = next } else { nextTimes.processing = next }
        try write(&batch, isLast: true)
        return isMore ? (last, true) : (limit, false)
    }

    private func removeTimers(of row: UnsafeRawBufferPointer, into batch: inout RowBatch) throws {
        _ = try get(row) { value in
            try RowSections.forEach(value) { state, section in
                guard let space = timerSpaces[state] else { return }
                try forEachTimer(section, of: row, space) { key, _ in key.withBytes { batch.remove($0) } }
            }
        }
    }

    private func forEachTimer(
        _ section: UnsafeRawBufferPointer, of row: UnsafeRawBufferPointer, _ space: UInt8,
        _ body: (borrowing ByteWriter, Int64) throws -> Void
    ) throws {
        var key = ByteWriter(capacity: 64)
        try RowSections.entries(section) { suffix, _ in
            var reader = ByteReader(suffix)
            let time = try reader.readOrdered()
            key.removeAll()
            key.append(space)
            key.append(suffix)
            key.append(row)
            try body(key, time)
        }
    }

    func timers(
        of state: String, in layer: RowLayer, from: [UInt8], to: [UInt8]?,
        _ body: (UnsafeRawBufferPointer, Int64) throws -> Void
    ) throws {
        throw ThalwegError(.bug, "timers of a store of rows were looked for in layers")
    }

    // MARK: Rows that nobody asks for again

    /// Looks at the next rows, and removes those of which nothing is to be kept; begins anew at the end.
    ///
    /// Layers have such rows until they are made one, and then no more: nothing is noted.
    func sweep(_ countMax: Int, _ filter: MergeFilter) throws {
        let filters = forms.map { filter($0.descriptor) }
        var batch = RowBatch()
        var count = 0
        let cursor = try hand.withUnsafeBytes { from in
            try [ShelfSpace.rows + 1].withUnsafeBytes { try store.cursor(from: from, to: $0) }
        }
        hand = [ShelfSpace.rows]
        while try cursor.next() {
            if count >= countMax || batch.byteCount >= Self.batchBytesMax {
                hand = Array(cursor.key)
                break
            }
            count += 1
            let row = UnsafeRawBufferPointer(rebasing: cursor.key.dropFirst())
            if try !isKept(row, cursor.value, filters) { batch.remove(cursor.key) }
        }
        try write(&batch, isLast: true)
    }

    private func isKept(
        _ row: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ filters: [RunMerge.Filter?]
    ) throws -> Bool {
        var isKept = false
        var entry = ByteWriter(capacity: 64)
        try RowSections.forEach(value) { state, section in
            guard let filter = filters[state] else { return isKept = true }
            try RowSections.entries(section) { suffix, value in
                if isKept { return }
                entry.removeAll()
                entry.append(row)
                entry.append(suffix)
                isKept = entry.withBytes { filter($0, value) }
            }
        }
        return isKept
    }

    // MARK: Checkpoints

    /// Freezes the rows that have changed since the newest layer and are in memory no more.
    ///
    /// - Returns: nil when there are none, or none are noted.
    func freeze(sequence: Int64) throws -> NewLayer? {
        try notes.tidy(store)
        let epochs = notes.waiting.filter { notes.counts[$0] != nil }
        if epochs.isEmpty { return nil }
        let count = epochs.reduce(0) { $0 + (notes.counts[$1] ?? 0) }
        return NewLayer(
            parts: NotedRows(store.snapshot(), epochs).parts(forms.map(\.descriptor)),
            layer: RowLayer(sequence: sequence, rowCount: count, states: Set(forms.map(\.descriptor.name))))
    }

    /// A checkpoint has been frozen: what is noted now belongs to the next.
    func begin() -> Range<UInt64> { notes.begin() }
    func end(_ epochs: Range<UInt64>) { notes.end(epochs) }
    func fail(_ epochs: Range<UInt64>) { notes.fail(epochs) }

    // MARK: Layers

    /// Nothing is looked up in layers; they are opened when they are merged.
    func show(_ chain: [RowLayer]) {
        let shown = Set(chain.map { ObjectIdentifier($0) })
        runs = runs.filter { shown.contains($0.key) }
    }

    func run(of layer: RowLayer) throws -> Run? {
        if let open = runs[ObjectIdentifier(layer)] { return open.run }
        guard let file = try layer.file() else { return nil }
        let run = try layer.run ?? place.store.run(file.file)
        runs[ObjectIdentifier(layer)] = (layer, run)
        return run
    }

    var filterBytes: Int { 0 }

    var byteCount: Int64 { runs.values.reduce(0) { $0 + $1.run.byteCount } }

    var blocksRead: Int { 0 }
    /// The store keeps to its own part of the budget; of layers there is only what it takes to merge them.
    var indexBytes: Int { runs.values.reduce(0) { $0 + $1.run.memoryBytes } }
}
