// SPDX-License-Identifier: Apache-2.0
//  How much memory rows of keyed state take.

import ThalwegBase

/// What the rows of one store take in memory: tables and columns as they are laid out, what values refer to by a
/// sample.
struct RowMemory {
    /// The bytes of a slot in each column, those of keys and their hashes included.
    let strides: [Int]
    var slotBytes: Int { strides.reduce(0, +) }
    /// What a row takes at rest, of states that are not kept in their slots.
    let encodedBytes: Int
    /// In what extents the memory of columns comes (``PageHeap``).
    let extentBytes: Int

    /// How many bytes of memory a byte of an encoded entry takes where values are not kept in the slot itself: boxes,
    /// spare capacity, tables.
    private static let heapFactor = 3
    /// For how many slots more than in use columns have memory.
    static let spareSlots = 1024

    /// What one row takes at least: its place in a table that is three quarters full, its slot, its values.
    var rowBytes: Int { 10 + slotBytes + Self.heapFactor * encodedBytes }

    /// The most rows that take no more than so many bytes, one batch of new rows and spare slots included; at least 1.
    func rowsMax(within bytes: Int, batchCapacity: Int) -> Int {
        var (low, high) = (1, max(1, bytes / rowBytes))
        while low < high {
            let middle = low + (high - low + 1) / 2
            // Of few rows, a batch may be most: then it is not known how many of them are new.
            let spare = min(2 * batchCapacity, middle / 2)
            if self.bytes(rows: middle + spare) <= bytes { low = middle } else { high = middle - 1 }
        }
        return low
    }

    /// What so many rows take.
    func bytes(rows: Int) -> Int {
        // A table doubles when it is too full.
        var capacity = 32
        while KeyTable<Int>.keysMax(capacity: capacity, isDense: extentBytes < PageMemory.hugeBytes) < rows {
            capacity *= 2
        }
        let columns = strides.reduce(0) { $0 + columnBytes(stride: $1, rows: rows) }
        return capacity * 8 + columns + Self.heapFactor * encodedBytes * rows
    }

    private func columnBytes(stride: Int, rows: Int) -> Int {
        let pageBytes = stride * Pages<UInt8>.pageSize
        if pageBytes == 0 { return 0 }
        // Of small extents, the machine gives the pages that are used.
        if extentBytes < PageMemory.hugeBytes {
            return (rows + Self.spareSlots + Pages<UInt8>.pageSize - 1) / Pages<UInt8>.pageSize * pageBytes
        }
        let smallBytes = PageHeap.smallPagesMax * pageBytes
        let wanted = rows * stride
        if wanted <= smallBytes { return wanted }
        let extent = max(1, extentBytes / pageBytes) * pageBytes
        let large = wanted + Self.spareSlots * stride - smallBytes
        return smallBytes + (large + extent - 1) / extent * extent
    }
}
