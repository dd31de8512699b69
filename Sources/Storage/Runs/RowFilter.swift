// SPDX-License-Identifier: Apache-2.0
//  Which rows a run surely lacks: one filter over all of them, in memory only.

import ThalwegBase

/// A filter over the rows of a run, made while it is written: it spares looking for the block a row would lie in.
///
/// Files have a filter for each block instead (``RunFilters``), as whoever writes one need not know how many rows will
/// come.
final class RowFilter: Sendable {
    // Unchecked: written by the one thread that writes the run, before anybody else has the filter.
    private struct Lanes: @unchecked Sendable {
        let memory: UnsafeMutableRawPointer
        let byteCount: Int
    }

    private let lanes: Lanes

    /// - Parameter rows: the most rows that are put in; more make it tell less.
    init(rows: Int) {
        let byteCount = Self.bytes(forRows: rows)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: BlockFilter.laneBytes)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        lanes = Lanes(memory: memory, byteCount: byteCount)
    }

    deinit { lanes.memory.deallocate() }

    /// The memory that a filter takes.
    static func bytes(forRows rows: Int) -> Int {
        max(1, (rows * BlockFilter.bitsPerRow + 255) / 256) * BlockFilter.laneBytes
    }

    var byteCount: Int { lanes.byteCount }

    /// Adds the XXH3 of a row.
    func insert(_ hash: UInt64) {
        BlockFilter.insert(hash, in: UnsafeMutableRawBufferPointer(start: lanes.memory, count: lanes.byteCount))
    }

    /// The filter itself, valid as long as this is held.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: lanes.memory, count: lanes.byteCount) }

    /// False only if the run lacks the row of this hash.
    func mightContain(_ hash: UInt64) -> Bool { BlockFilter.mightContain(hash, in: bytes) }
}
