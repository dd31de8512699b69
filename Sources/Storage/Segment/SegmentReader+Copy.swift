// SPDX-License-Identifier: Apache-2.0
//  Copies a segment with a few entries changed: what is not touched is taken over block by block.

import ThalwegBase

/// A change of one entry.
public struct SegmentChange: Hashable, Sendable {
    public var key: [UInt8]
    /// Nil removes the entry, if there is one.
    public var value: [UInt8]?

    public init(key: [UInt8], value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}

extension SegmentReader {
    /// Writes all entries to another segment whose table has as many states, in the same order.
    ///
    /// Blocks without a changed entry are copied as they are, after a look at their checksums; the others are written
    /// anew.
    ///
    /// - Parameter changes: by place in the table of states, in ascending order of keys, no key twice.
    func copy(to writer: SegmentWriter, changes: [Int: [SegmentChange]]) throws {
        for state in footer.states.indices {
            let blocks = footer.blocks.range(of: state)
            let changes = changes[state] ?? []
            if blocks.isEmpty && changes.isEmpty { continue }
            try writer.beginCopy(of: state, footer.statistics[state])
            var rest = changes[...]
            for index in blocks {
                let end = index + 1 < blocks.upperBound ? footer.blocks.firstKey(of: index + 1) : nil
                let touching = rest.prefix { change in end.map { compare(change.key, $0) < 0 } ?? true }
                rest = rest[touching.endIndex...]
                if touching.isEmpty {
                    let last = end == nil ? footer.statistics[state].lastKey : footer.blocks.firstKey(of: index)
                    let (stored, filter) = try storedBytes(of: index)
                    try writer.adopt(
                        footer.blocks[index], firstKey: footer.blocks.firstKey(of: index), stored: stored,
                        filter: filter, last: last)
                } else {
                    let cursor = cursor(
                        state: state, from: footer.blocks.firstKey(of: index), to: end, isLayer: true)
                    try Self.merge(cursor, touching, into: writer)
                }
            }
            for change in rest { try Self.add(change, to: writer) }
        }
    }

    private static func merge(
        _ cursor: SegmentCursor, _ changes: ArraySlice<SegmentChange>, into writer: SegmentWriter
    ) throws {
        var rest = changes
        while try cursor.next() {
            writer.leave(cursor)
            var isReplaced = false
            while let change = rest.first {
                let order = change.key.withUnsafeBytes { compare($0, cursor.key) }
                if order > 0 { break }
                if order == 0 { isReplaced = true }
                try add(change, to: writer)
                rest.removeFirst()
            }
            if !isReplaced {
                try writer.add(cursor.kind, key: cursor.key, value: cursor.value, rowBytes: cursor.rowBytes)
            }
        }
        for change in rest { try add(change, to: writer) }
    }

    private static func add(_ change: SegmentChange, to writer: SegmentWriter) throws {
        guard let value = change.value else { return }
        try change.key.withUnsafeBytes { key in try value.withUnsafeBytes { try writer.add(key: key, value: $0) } }
    }
}
