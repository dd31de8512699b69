// SPDX-License-Identifier: Apache-2.0
//  The filters of a run's blocks in memory.

import ThalwegBase

/// Takes each filter when its block is read for the first time, as they lie side by side in the file.
final class RunFilters {
    private let memory: UnsafeMutableRawPointer
    /// Where the filter of each block ends, in lanes.
    private let ends: ContiguousArray<UInt32>
    private var isThere: ContiguousArray<Bool>

    /// The memory that the filters of a run take; 0 when it has none.
    static func bytes(for index: BlockIndex) -> Int {
        let filters = index.reduce(0) { $0 + max(0, Int($1.filterBytes) - SegmentFormat.checksumBytes) }
        return filters == 0 ? 0 : filters + index.count * (MemoryLayout<UInt32>.size + 1)
    }

    init(_ index: BlockIndex) {
        var ends: ContiguousArray<UInt32> = []
        ends.reserveCapacity(index.count)
        var lanes: UInt32 = 0
        for block in index {
            lanes += UInt32(max(0, Int(block.filterBytes) - SegmentFormat.checksumBytes) / BlockFilter.laneBytes)
            ends.append(lanes)
        }
        self.ends = ends
        isThere = ContiguousArray(repeating: false, count: index.count)
        // Pages that no filter was put into cost nothing.
        memory = .allocate(byteCount: Int(lanes) * BlockFilter.laneBytes, alignment: 32)
    }

    deinit { memory.deallocate() }

    /// Whether a block surely lacks a row.
    @inline(__always)
    func lacks(_ hash: UInt64, _ block: Int) -> Bool {
        guard isThere[block] else { return false }
        let start = block == 0 ? 0 : Int(ends[block &- 1])
        let filter = UnsafeRawBufferPointer(
            start: memory + start &* BlockFilter.laneBytes,
            count: (Int(ends[block]) &- start) &* BlockFilter.laneBytes)
        return !BlockFilter.mightContain(hash, in: filter)
    }

    /// Where the filter of a block belongs, when it is not there yet.
    func missing(_ block: Int) -> UnsafeMutableRawPointer? {
        let start = block == 0 ? 0 : Int(ends[block - 1])
        if isThere[block] || Int(ends[block]) == start { return nil }
        return memory + start * BlockFilter.laneBytes
    }

    /// The filter of a block was put where it belongs.
    func note(_ block: Int) { isThere[block] = true }
}
