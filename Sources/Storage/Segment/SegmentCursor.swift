// SPDX-License-Identifier: Apache-2.0
//  Walks over the entries of one state in a segment.

import ThalwegBase

/// A position in a segment. Begins before the first entry.
public final class SegmentCursor {
    let reader: SegmentReader
    private let plain = GrowingBuffer()
    private let stored = GrowingBuffer()
    private let keyBuffer = GrowingBuffer()
    @exclusivity(unchecked) private var keyBytes = 0
    @exclusivity(unchecked) private var valueStart = 0
    @exclusivity(unchecked) private var valueBytes = 0
    /// The bytes of the row that the entry belongs to, with which its key begins.
    @exclusivity(unchecked) public private(set) var rowBytes = 0
    /// What the entry says; always `put` unless the segment is read as a layer.
    @exclusivity(unchecked) public private(set) var kind = EntryKind.put
    @exclusivity(unchecked) private var position = 0
    /// Where the block's entries end.
    @exclusivity(unchecked) private var plainEnd = 0
    @exclusivity(unchecked) private var entriesLeft: UInt32 = 0
    /// The block to be read next, and the one after the last.
    private var nextBlock: Int
    private let endBlock: Int
    /// Entries before this one are passed over; nil once that is done.
    private var from: [UInt8]?
    private let to: [UInt8]?
    private let isLayer: Bool
    private let state: Int
    /// Whether entries before the first block may say something of those that are wanted.
    private var mayBeCovered: Bool
    /// Of a layer: the row of `from`, if the segment has a row tombstone for it that lies before `from`.
    private(set) var coveringRow: [UInt8]?
    /// Whether the block may reach beyond `to`.
    @exclusivity(unchecked) private var mayPass = false

    init(_ reader: SegmentReader, state: Int, from: [UInt8]?, to: [UInt8]?, isLayer: Bool = false) {
        self.reader = reader
        self.from = from
        self.to = to
        self.isLayer = isLayer
        let blocks = reader.footer.blocks
        let range = blocks.range(of: state)
        let start =
            from.map { from in from.withUnsafeBytes { blocks.block(in: range, for: $0) } }
            ?? range.lowerBound
        let end = to.map { to in to.withUnsafeBytes { blocks.first(in: range, notBelow: $0) } }
        mayBeCovered = isLayer && start > range.lowerBound
        self.state = state
        nextBlock = start
        endBlock = max(start, end ?? range.upperBound)
    }

    /// The entries of one block of a layer.
    init(_ reader: SegmentReader, state: Int, block: Int) {
        self.reader = reader
        self.state = state
        from = nil
        to = nil
        isLayer = true
        mayBeCovered = false
        nextBlock = block
        endBlock = block + 1
    }

    /// The key. Lent until the next call of ``next()``.
    public var key: UnsafeRawBufferPointer { keyBuffer.bytes(keyBytes) }

    /// The value. Lent until the next call of ``next()``.
    public var value: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: plain.start + valueStart, count: valueBytes)
    }

    /// Moves to the next entry; false at the end.
    public func next() throws -> Bool {
        while try step() {
            if let from {
                if try isBefore(from) { continue }
                self.from = nil
            }
            if mayPass, let to, to.withUnsafeBytes({ compare(key, $0) >= 0 }) {
                entriesLeft = 0
                position = plainEnd
                nextBlock = endBlock
                return false
            }
            return true
        }
        return false
    }

    /// Whether the entry is passed over; notes what it says about those that are not.
    private func isBefore(_ from: [UInt8]) throws -> Bool {
        try from.withUnsafeBytes { from in
            if mayBeCovered {
                mayBeCovered = false
                // The first entry of the first block: the row that it and `from` lie in may have begun before.
                let row = UnsafeRawBufferPointer(rebasing: key[..<rowBytes])
                if rowBytes < keyBytes, begins(from, with: row) {
                    let start = SegmentCursor(reader, state: state, from: Array(row), to: nil, isLayer: true)
                    if try start.next(), start.kind == .rowTombstone, compare(start.key, row) == 0 {
                        coveringRow = Array(row)
                    }
                }
            }
            guard compare(key, from) < 0 else { return false }
            if kind == .rowTombstone, begins(from, with: key) { coveringRow = Array(key) }
            return true
        }
    }

    private func step() throws -> Bool {
        if entriesLeft == 0 {
            guard position == plainEnd else { throw broken("bytes follow its last entry") }
            guard nextBlock < endBlock else { return false }
            plain.reserve(reader.loadBytes(of: nextBlock))
            let range = try reader.load(block: nextBlock, into: plain.room(plain.capacity), through: stored)
            entriesLeft = reader.footer.blocks[nextBlock].entries
            position = range.lowerBound
            plainEnd = range.upperBound
            keyBytes = 0
            rowBytes = .max
            nextBlock += 1
            mayPass = to != nil && nextBlock == endBlock
        }
        entriesLeft &-= 1
        guard let first = length(), let rest = length(), let last = length() else {
            throw broken("an entry reaches beyond its end")
        }
        let shared = first &>> 1
        let count = last &>> 2
        let row = try first & 1 == 0 ? (shared >= rowBytes ? rowBytes : shared &+ rest) : explicitRow(shared &+ rest)
        guard shared <= keyBytes, rest <= plainEnd &- position, count <= plainEnd &- position &- rest else {
            throw broken("an entry reaches beyond its end")
        }
        if last & 3 != 0 {
            try setTombstone(last & 3, valueBytes: count, isRow: row == shared &+ rest)
        } else {
            kind = .put
        }
        rowBytes = row
        keyBytes = shared &+ rest
        keyBuffer.reserve(keyBytes, keeping: shared)
        (keyBuffer.start + shared).copyMemory(from: plain.start + position, byteCount: rest)
        valueStart = position &+ rest
        valueBytes = count
        position = valueStart &+ count
        return true
    }

    /// How many bytes of the key are its row, where that is not clear.
    private func explicitRow(_ keyBytes: Int) throws -> Int {
        guard let count = length(), count <= keyBytes else { throw broken("a row is longer than its key") }
        return count
    }

    private func setTombstone(_ code: Int, valueBytes: Int, isRow: Bool) throws {
        guard let kind = EntryKind(rawValue: UInt8(code)), valueBytes == 0, kind != .rowTombstone || isRow else {
            throw broken("an entry is of no kind")
        }
        guard isLayer else { throw broken("it has a tombstone, and no older file is listed") }
        self.kind = kind
    }

    /// A varint of at most 5 bytes; nil when the block ends before it does.
    @inline(__always)
    private func length() -> Int? {
        var value = 0
        var shift = 0
        while position < plainEnd && shift < 35 {
            let byte = plain.start.load(fromByteOffset: position, as: UInt8.self)
            position &+= 1
            value |= Int(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        return nil
    }

    private func broken(_ reason: String) -> ThalwegError { reader.damage("block \(nextBlock - 1)", reason) }
}
