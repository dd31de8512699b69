// SPDX-License-Identifier: Apache-2.0
//  Finds rows in the runs of a subtask, with a pool of blocks and filters under one limit each.

import ThalwegBase

/// Looks up rows and ranges in the runs of one operator's subtask (FLIP-50 s3, s4).
///
/// Used by one thread. Every damage is a `ThalwegError` of kind `corrupt` that names the file and the block.
public final class RunLookups {
    let operatorName: String
    let states: [String]
    let cache: BlockCache
    private let filterBytesMax: Int
    private var nextNumber: UInt32 = 0
    /// Newest first.
    @exclusivity(unchecked) private(set) var readers: ContiguousArray<RunReader> = []
    /// What is asked of each run first, side by side.
    private struct Probe {
        /// Lent by the run, which a reader holds; nil: it has none.
        let filter: UnsafeRawBufferPointer?
        let keyGroups: Range<Int>?
    }
    @exclusivity(unchecked) private var probes: ContiguousArray<Probe> = []
    /// The readers of those runs that may have the row that was asked for last.
    @exclusivity(unchecked) private(set) var candidates: ContiguousArray<Int> = []
    @exclusivity(unchecked) private var hash: UInt64 = 0
    /// The blocks of each state in each run: those of run r and state s at `r * states.count + s`.
    @exclusivity(unchecked) private(set) var blocks: ContiguousArray<Range<Int>> = []

    /// - Parameters:
    ///   - states: the names of the operator's states: lookups refer to them by index.
    ///   - blockBytesMax: the most bytes of blocks in memory.
    ///   - filterBytesMax: the most bytes of filters in memory, with those that runs keep; runs whose filters do not
    ///     fit are read without.
    public init(operatorName: String, states: [String], blockBytesMax: Int, filterBytesMax: Int) {
        self.operatorName = operatorName
        self.states = states
        cache = BlockCache(bytesMax: blockBytesMax)
        self.filterBytesMax = filterBytesMax
    }

    /// The runs that are looked into.
    public private(set) var runs = RunSet()
    /// How often other runs have been looked into.
    private(set) var generation = 0

    /// Looks into other runs from now on: opens those that are new, and lets go of those that are gone.
    ///
    /// - Parameter filtersOldest: whether the oldest run may take memory for its filters: that spares reading where
    ///   many rows are looked up that are not there.
    /// - Throws: kind `input` when a file is not there; then nothing has changed.
    public func use(_ runs: RunSet, filtersOldest: Bool = true) throws {
        var left = filterBytesMax - runs.runs.reduce(0) { $0 + $1.filterBytes }
        for reader in readers where runs.runs.contains(where: { $0 === reader.run }) { left -= reader.filterBytes }
        var next: ContiguousArray<RunReader> = []
        for run in runs.runs {
            if let known = readers.first(where: { $0.run === run }) {
                next.append(known)
            } else {
                var none = 0
                let isFiltered = filtersOldest || run !== runs.runs.last
                next.append(
                    try isFiltered
                        ? RunReader(run, number: nextNumber, filterBytes: &left)
                        : RunReader(run, number: nextNumber, filterBytes: &none))
                nextNumber += 1
            }
        }
        readers = next
        probes = ContiguousArray(runs.runs.map { Probe(filter: $0.filter?.bytes, keyGroups: $0.file.keyGroups) })
        blocks = ContiguousArray(
            runs.runs.flatMap { run in
                states.map { state in
                    run.index(of: state, operatorName: operatorName).map(run.footer.blocks.range) ?? 0..<0
                }
            })
        self.runs = runs
        generation += 1
    }

    // MARK: Rows

    /// Finds what the runs have of a row.
    ///
    /// - Parameters:
    ///   - state: its place among the states.
    ///   - row: key group and key.
    ///   - buffer: gets the entries that are there, in order of what follows the row in their keys.
    /// - Returns: whether there are any.
    public func find(_ state: Int, row: UnsafeRawBufferPointer, into buffer: RowBuffer) throws -> Bool {
        select(row)
        return try findSelected(state, row: row, into: buffer)
    }

    /// Asks for a row: the next lookups are of this one.
    ///
    /// - Returns: whether any run may have it.
    @discardableResult
    public func select(_ row: UnsafeRawBufferPointer) -> Bool {
        hash = row.checksum
        candidates.removeAll(keepingCapacity: true)
        for index in probes.indices {
            if let filter = probes[index].filter, !BlockFilter.mightContain(hash, in: filter) { continue }
            if let groups = probes[index].keyGroups, !Run.isKey(row, in: groups) { continue }
            candidates.append(index)
        }
        return !candidates.isEmpty
    }

    /// Finds what the runs have of the row that was selected.
    ///
    /// - Parameters:
    ///   - state: its place among the states.
    ///   - row: the row.
    ///   - buffer: gets the entries that are there, in order of what follows the row in their keys.
    /// - Returns: whether there are any.
    public func findSelected(_ state: Int, row: UnsafeRawBufferPointer, into buffer: RowBuffer) throws -> Bool {
        buffer.removeAll()
        var found = 0
        for index in candidates {
            let range = blocks[index &* states.count &+ state]
            if range.isEmpty { continue }
            try readers[index].find(row, hash: hash, in: range, cache, into: buffer)
            if buffer.spans.count == found { continue }
            buffer.starts.append(found)
            // The row's own bytes are the key of its tombstone, or of its only entry: nothing older counts.
            if buffer.spans[found].suffixBytes == 0 { break }
            found = buffer.spans.count
        }
        if buffer.spans.isEmpty { return false }
        buffer.settle()
        return !buffer.spans.isEmpty
    }

    // MARK: Ranges

    /// The entries of a state from the first key not before `from` to the last one before `to`, in order or backwards.
    ///
    /// They are as they are now, also when other runs are used later.
    public func entries(
        _ state: Int, from: [UInt8]? = nil, to: [UInt8]? = nil, isDescending: Bool = false
    ) -> RunEntries {
        RunEntries(
            readers.compactMap { reader in
                reader.run.index(of: states[state], operatorName: operatorName).map { (reader, $0) }
            }, from: from, to: to, isDescending: isDescending)
    }

    // MARK: Figures

    /// How many blocks were asked for and were in memory, or were not.
    public var cacheCounts: (hits: Int, misses: Int) { (cache.hits, cache.misses) }

    /// The bytes that blocks and filters take now.
    public var bytesUsed: Int {
        cache.bytesUsed + readers.reduce(0) { $0 + $1.filterBytes + $1.run.filterBytes }
    }
}
