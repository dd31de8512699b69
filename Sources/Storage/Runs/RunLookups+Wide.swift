// SPDX-License-Identifier: Apache-2.0
//  Single entries of rows that have too many to be looked up as a whole.

import ThalwegBase

/// Which runs have entries of a row: learned once, and again when other runs are looked into.
public struct RowRuns {
    /// As of which look at the runs.
    fileprivate var generation = -1
    /// The places of their readers, newest first: those above the row's newest tombstone, and the one that has it.
    fileprivate var places: ContiguousArray<Int> = []

    public init() {}
}

/// The runs of a moment: they can be walked over when others are looked into already, and keep their files (FLIP-50
/// s5).
public struct RunView {
    fileprivate let readers: [(reader: RunReader, state: Int)]

    /// The entries from the first key not before `from` to the last one before `to`, in order or backwards.
    public func entries(from: [UInt8]?, to: [UInt8]?, isDescending: Bool = false) -> RunEntries {
        RunEntries(readers, from: from, to: to, isDescending: isDescending)
    }
}

extension RunLookups {
    /// What the runs have of a state now.
    public func view(of state: Int) -> RunView {
        RunView(
            readers: readers.compactMap { reader in
                reader.run.index(of: states[state], operatorName: operatorName).map { (reader, $0) }
            })
    }

    /// Whether the runs have more than so many bytes of the row that was selected, what newer ones hide included.
    ///
    /// - Parameter end: the first key behind the row.
    public func hasSelected(moreThan limit: Int, of state: Int, row: UnsafeRawBufferPointer, end: [UInt8]?) -> Bool {
        var bytes = 0
        for place in candidates {
            let range = blocks[place * states.count + state]
            if range.isEmpty { continue }
            let index = readers[place].run.footer.blocks
            let first = index.block(in: range, for: row)
            let last = end?.withUnsafeBytes { index.first(in: range, notBelow: $0) } ?? range.upperBound
            // Of the first and the last block the row may have little.
            for block in first + 1..<max(first + 1, last - 1) {
                bytes += Int(index[block].plainBytes)
                if bytes > limit { return true }
            }
        }
        return false
    }

    /// Finds the newest entry of a key in a row that has many.
    ///
    /// - Parameters:
    ///   - key: the whole key, with which no other one begins that comes before it.
    ///   - rowBytes: how many bytes of it are the row.
    ///   - runs: of the row; they are brought up to date.
    ///   - buffer: lends the value until the next lookup.
    /// - Returns: the value; nil when there is none.
    public func value(
        _ state: Int, key: UnsafeRawBufferPointer, rowBytes: Int, runs: inout RowRuns, into buffer: RowBuffer
    ) throws -> UnsafeRawBufferPointer? {
        let row = UnsafeRawBufferPointer(rebasing: key[..<rowBytes])
        if runs.generation != generation { try learn(&runs, state, row) }
        let hash = row.checksum
        for place in runs.places {
            buffer.removeAll()
            try readers[place].find(key, hash: hash, in: blocks[place * states.count + state], cache, into: buffer)
            guard let found = buffer.spans.first, found.suffixBytes == 0 else { continue }
            return found.kind == .put ? buffer.value(0) : nil
        }
        return nil
    }

    private func learn(_ runs: inout RowRuns, _ state: Int, _ row: UnsafeRawBufferPointer) throws {
        runs.places.removeAll(keepingCapacity: true)
        let hash = row.checksum
        for (place, reader) in readers.enumerated() where reader.run.holds(row) {
            if let filter = reader.run.filter, !BlockFilter.mightContain(hash, in: filter.bytes) { continue }
            guard let index = reader.run.index(of: states[state], operatorName: operatorName) else { continue }
            let cursor = reader.reader.cursor(state: index, from: Array(row), isLayer: true)
            guard try cursor.next(), begins(cursor.key, with: row) else { continue }
            runs.places.append(place)
            if cursor.kind == .rowTombstone && cursor.key.count == row.count { break }
        }
        runs.generation = generation
    }
}
