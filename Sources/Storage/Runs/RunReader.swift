// SPDX-License-Identifier: Apache-2.0
//  Finds rows in one run.

import ThalwegBase

/// A run as one task reads it: its open file, and the filters of those blocks that were read before. Used by one
/// thread.
final class RunReader {
    let run: Run
    let reader: SegmentReader
    private let index: BlockIndex
    /// What the cache knows the blocks of this run by: no other reader has the number.
    private let cacheKey: UInt64
    private let stored = GrowingBuffer()
    private var filters: RunFilters?

    /// - Parameters:
    ///   - number: other than that of any reader of the same cache.
    ///   - filterBytes: how much memory filters may take; taken from it when they fit.
    init(_ run: Run, number: UInt32, filterBytes: inout Int) throws(ThalwegError) {
        self.run = run
        reader = try run.reader()
        index = run.footer.blocks
        cacheKey = UInt64(number) << 32
        // What the run keeps itself tells as much, sooner.
        guard run.filter == nil else { return }
        let wanted = RunFilters.bytes(for: index)
        guard wanted > 0, wanted <= filterBytes else { return }
        filterBytes -= wanted
        filters = RunFilters(index)
    }

    /// The bytes that the filters of its blocks take.
    var filterBytes: Int { filters == nil ? 0 : RunFilters.bytes(for: index) }

    /// Adds the entries that the run has of a row.
    ///
    /// - Parameters:
    ///   - blocks: those of the state.
    ///   - hash: the XXH3 of the row.
    @inline(__always)
    func find(
        _ row: UnsafeRawBufferPointer, hash: UInt64, in blocks: Range<Int>, _ cache: BlockCache,
        into buffer: RowBuffer
    ) throws {
        var block = index.block(in: blocks, for: row)
        if let filters, filters.lacks(hash, block) {
            block += 1
        } else {
            guard try scan(block, row, cache, into: buffer) else { return }
            block += 1
        }
        while block < blocks.upperBound, index.withFirstKey(of: block, { begins($0, with: row) }) {
            guard try scan(block, row, cache, into: buffer) else { return }
            block += 1
        }
    }

    /// Adds the entries of a row in one block; whether the next block may have more.
    private func scan(
        _ block: Int, _ row: UnsafeRawBufferPointer, _ cache: BlockCache, into buffer: RowBuffer
    ) throws -> Bool {
        let filter = filters?.missing(block)
        let bytes = try cache.block(
            cacheKey | UInt64(block), capacity: reader.loadBytes(of: block, withFilter: filter != nil)
        ) { memory in
            let range = try reader.load(block: block, withFilter: filter, into: memory, through: stored)
            if filter != nil { filters?.note(block) }
            return range
        }
        guard let goesOn = RowScan.scan(bytes, row, into: buffer) else {
            throw reader.damage("block \(block)", "an entry reaches beyond its end or is of no kind")
        }
        return goesOn
    }
}
