// SPDX-License-Identifier: Apache-2.0
//  Rows at rest, asked for one by one.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Finds the rows of one keyed store that are not in memory. Used by one task.
protocol ColdRows: AnyObject {
    /// The layers have changed: looks into these from now on, the oldest first.
    func show(_ chain: [RowLayer]) throws
    /// Loads the newest contents of a row.
    ///
    /// - Parameter row: the key group and the encoded key.
    /// - Returns: whether there are any.
    /// - Throws: kind `corrupt` when a file is damaged; what the disk says.
    func load(_ row: UnsafeRawBufferPointer, into slot: Int) throws -> Bool
    /// The file of a layer, open; nil before it is shown.
    ///
    /// - Throws: kind `corrupt` when it is damaged; what the disk says.
    func run(of layer: RowLayer) throws -> Run?
    /// The bytes of memory that finding rows takes, beside those that are kept of files (``RowTier/blockShare``).
    var indexBytes: Int { get }
    /// The bytes of the filters over rows.
    var filterBytes: Int { get }
    /// The bytes of the files.
    var byteCount: Int64 { get }
    /// How many blocks of files have been read to find rows.
    var blocksRead: Int { get }
    /// Calls `body` with the rows of a layer that have timers in a range of keys, once for each timer.
    func timers(
        of state: String, in layer: RowLayer, from: [UInt8], to: [UInt8]?,
        _ body: (_ row: UnsafeRawBufferPointer, _ time: Int64) throws -> Void
    ) throws
}

/// Rows in the segments of layers.
final class SegmentRows: ColdRows {
    private let place: RowPlace
    private let operatorName: String
    private let makeForms: () -> [StoredForm]
    private lazy var forms = makeForms()
    private lazy var loaders: [EntryLoader]? = nil
    private lazy var lookups = RunLookups(
        operatorName: operatorName, states: forms.map(\.descriptor.name),
        blockBytesMax: Int(Double(place.budgetBytes) * RowTier.blockShare),
        filterBytesMax: Int(Double(place.budgetBytes) * RowTier.filterShare))
    private let buffer = RowBuffer()
    /// By layer. Each holds its layer: the identity of one that is gone may come again with another.
    private var runs: [ObjectIdentifier: (layer: RowLayer, run: Run)] = [:]

    /// - Parameter forms: asked for once, when the first layer is opened.
    init(of operatorName: String, _ forms: @escaping () -> [StoredForm], in place: RowPlace) {
        makeForms = forms
        self.operatorName = operatorName
        self.place = place
    }

    func show(_ chain: [RowLayer]) throws {
        var open: [ObjectIdentifier: (layer: RowLayer, run: Run)] = [:]
        for layer in chain {
            guard let file = try layer.file() else { continue }
            open[ObjectIdentifier(layer)] = (
                layer, try run(of: layer) ?? layer.run ?? place.store.run(file.file)
            )
        }
        runs = open
        try lookups.use(RunSet(open.values.map(\.run)), filtersOldest: false)
    }

    func run(of layer: RowLayer) -> Run? { runs[ObjectIdentifier(layer)]?.run }

    var filterBytes: Int { runs.values.reduce(0) { $0 + $1.run.filterBytes } }

    var indexBytes: Int { runs.values.reduce(0) { $0 + $1.run.memoryBytes - $1.run.filterBytes } }

    var byteCount: Int64 { runs.values.reduce(0) { $0 + $1.run.byteCount } }

    var blocksRead: Int { lookups.cacheCounts.misses }

    func load(_ row: UnsafeRawBufferPointer, into slot: Int) throws -> Bool {
        // Layers of other schemas are not taken over at a restore, so each state has one form.
        let loaders = try loaders ?? forms.map { try $0.loader($0.descriptor) }
        self.loaders = loaders
        var isThere = false
        guard lookups.select(row) else { return false }
        for (state, load) in loaders.enumerated() {
            if let leave = forms[state].leave, isLarge(state, row), try leave(slot) {
                isThere = true
                continue
            }
            guard try lookups.findSelected(state, row: row, into: buffer) else { continue }
            isThere = true
            for entry in 0..<buffer.count {
                var key = ByteReader(buffer.suffix(entry))
                try load(slot, &key, buffer.value(entry))
            }
        }
        return isThere
    }

    /// Whether files have more of the row that was selected than is loaded at once.
    private func isLarge(_ state: Int, _ row: UnsafeRawBufferPointer) -> Bool {
        // In memory it takes about three times as much.
        lookups.hasSelected(
            moreThan: place.largeBytes / 3, of: state, row: row, end: RestingEntries.end(of: Array(row)))
    }

    /// Finds single entries of a state.
    func entries(of name: String, _ tier: RowTier, _ layers: RowLayers) -> RestingEntries? {
        forms.firstIndex { $0.descriptor.name == name }.map { RestingEntries(tier, layers, lookups, state: $0) }
    }

    func timers(
        of state: String, in layer: RowLayer, from: [UInt8], to: [UInt8]?,
        _ body: (UnsafeRawBufferPointer, Int64) throws -> Void
    ) throws {
        guard let run = run(of: layer), let index = run.index(of: state, operatorName: operatorName)
        else { return }
        let cursor = try run.reader().cursor(state: index, from: from, to: to, isLayer: true)
        while try cursor.next() {
            guard cursor.kind == .put else { continue }
            var reader = ByteReader(UnsafeRawBufferPointer(rebasing: cursor.key.suffix(8)))
            let time = try reader.readOrdered()
            try body(UnsafeRawBufferPointer(rebasing: cursor.key.prefix(cursor.key.count - 8)), time)
        }
    }
}
