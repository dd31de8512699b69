// SPDX-License-Identifier: Apache-2.0
//  The entries of one state in the runs of a subtask, one at a time.

import ThalwegBase

/// Walks over what the runs have of one state, the newest of each key. In memory: a block of each run. Holds the files
/// that it reads (FLIP-50 s5). Begins before the first entry.
public final class RunEntries {
    private let readers: [(reader: RunReader, state: Int)]
    private var ascending: LayeredEntries<SegmentCursor>?
    private var descending: LayeredEntries<DescendingCursor>?
    private var current: (any EntryCursor)?
    private var isBegun = false

    init(_ readers: [(reader: RunReader, state: Int)], from: [UInt8]?, to: [UInt8]?, isDescending: Bool) {
        let readers = readers.filter { reader, state in
            Self.bounds(reader.run, from, to).mayMeet(reader.run.footer.statistics[state])
        }
        self.readers = readers
        if isDescending {
            let layers = readers.map { reader, state in
                EntryLayer(
                    cursor: DescendingCursor(
                        reader.reader, state: state, bounds: Self.bounds(reader.run, from, to)),
                    sequence: reader.run.sequence)
            }
            descending = LayeredEntries(descending: layers) { row in try Self.tombstone(of: row, readers) }
        } else {
            let layers = readers.map { reader, state in
                let bounds = Self.bounds(reader.run, from, to)
                return EntryLayer(
                    cursor: reader.reader.cursor(state: state, from: bounds.from, to: bounds.to, isLayer: true),
                    sequence: reader.run.sequence)
            }
            ascending = LayeredEntries(layers)
        }
    }

    /// Moves to the next entry; false at the end.
    ///
    /// - Throws: kind `corrupt`, with the file, the place and the reason.
    public func next() throws -> Bool {
        isBegun = true
        current = try ascending?.next()
        if descending != nil { current = try descending?.next() }
        return current != nil
    }

    /// Moves on to the first entry whose key is not before this one, if it does not stand there. Of walks in ascending
    /// order.
    ///
    /// - Returns: whether the entry is that of the key.
    public func advance(to wanted: UnsafeRawBufferPointer) throws -> Bool {
        if !isBegun { _ = try next() }
        while current != nil {
            let order = compare(key, wanted)
            if order >= 0 { return order == 0 }
            _ = try next()
        }
        return false
    }

    /// The key. Lent until the next call of ``next()``; empty before the first and after the last entry.
    public var key: UnsafeRawBufferPointer { current?.key ?? UnsafeRawBufferPointer(start: nil, count: 0) }

    /// The value. Lent until the next call of ``next()``.
    public var value: UnsafeRawBufferPointer { current?.value ?? UnsafeRawBufferPointer(start: nil, count: 0) }

    private static func bounds(_ run: Run, _ from: [UInt8]?, _ to: [UInt8]?) -> KeyBounds {
        KeyBounds(from: from, to: to).clipped(to: run.file.keyGroups)
    }

    /// The age of the newest run that says that a row is gone.
    private static func tombstone(
        of row: UnsafeRawBufferPointer, _ readers: [(reader: RunReader, state: Int)]
    ) throws -> Int64? {
        for (reader, state) in readers where reader.run.holds(row) {
            let cursor = reader.reader.cursor(state: state, from: Array(row), isLayer: true)
            if try cursor.next(), cursor.kind == .rowTombstone, compare(cursor.key, row) == 0 {
                return reader.run.sequence
            }
        }
        return nil
    }
}
