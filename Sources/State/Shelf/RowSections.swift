// SPDX-License-Identifier: Apache-2.0
//  A row as one value: the entries of all its states, one section for each state.

import Glibc
import ThalwegBase
import ThalwegData
import ThalwegStorage

/// The entries of one state, row by row, on their way into a store.
///
/// An entry is what follows the row in its key, and its value, each preceded by its number of bytes.
final class RowSection: EntryWriter {
    private let order: OrderedPlaces<FrozenPlaces>
    /// The row that entries are of, and its rank.
    private var row = ByteWriter(capacity: 64)
    private var rank = -1
    private var bytes = ByteWriter()
    /// Where the sections of the first rows end.
    private var ends: [Int] = []

    /// - Parameter order: the rows.
    init(_ order: OrderedPlaces<FrozenPlaces>) { self.order = order }

    func add(_ kind: EntryKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, rowBytes: Int) throws {
        // What a row no longer has is not in its value.
        guard kind == .put else { return }
        while true {
            if rank != ends.count {
                rank = ends.count
                try order.encodeKey(rank, into: &row)
            }
            if row.withBytes({ Self.isEqual($0, key.prefix(rowBytes)) }) { break }
            ends.append(bytes.count)
        }
        bytes.appendVarint(UInt64(key.count - rowBytes))
        bytes.append(UnsafeRawBufferPointer(rebasing: key.dropFirst(rowBytes)))
        bytes.appendVarint(UInt64(value.count))
        bytes.append(value)
    }

    /// Lends the section of a row, empty when the state has nothing for it. After all entries have been added.
    func withBytes<Result>(_ rank: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let start = rank == 0 ? 0 : rank - 1 < ends.count ? ends[rank - 1] : bytes.count
        let end = rank < ends.count ? ends[rank] : bytes.count
        return try bytes.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
    }

    private static func isEqual(_ left: UnsafeRawBufferPointer, _ right: Slice<UnsafeRawBufferPointer>) -> Bool {
        guard left.count == right.count, let first = left.baseAddress, let base = right.base.baseAddress else {
            return left.count == right.count
        }
        return memcmp(first, base + right.startIndex, left.count) == 0
    }
}

/// Reads what ``RowSection`` wrote.
enum RowSections {
    /// Calls `body` with the section of each state that a row's value has something of.
    static func forEach(
        _ value: UnsafeRawBufferPointer, _ body: (_ state: Int, _ section: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var reader = ByteReader(value)
        var state = 0
        while reader.remaining > 0 {
            let section = try reader.read(count: try reader.readLength())
            if !section.isEmpty { try body(state, section) }
            state += 1
        }
    }

    /// Calls `body` with each entry of a section: what follows the row in its key, and its value.
    static func entries(
        _ section: UnsafeRawBufferPointer,
        _ body: (_ suffix: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var reader = ByteReader(section)
        while reader.remaining > 0 {
            let suffix = try reader.read(count: try reader.readLength())
            try body(suffix, try reader.read(count: try reader.readLength()))
        }
    }
}
