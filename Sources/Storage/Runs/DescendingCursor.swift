// SPDX-License-Identifier: Apache-2.0
//  Walks over the entries of one state in a segment, from the last to the first.

import ThalwegBase

/// As ``SegmentCursor`` of a layer, backwards. In memory: one block, its keys in full.
final class DescendingCursor: EntryCursor {
    private struct Item {
        var keyStart: Int
        var keyBytes: Int
        var valueBytes: Int
        var rowBytes: Int
        var kind: EntryKind
    }

    private let reader: SegmentReader
    private let state: Int
    private let bounds: KeyBounds
    /// The first block wanted, and the one after the next.
    private let startBlock: Int
    private var endBlock: Int
    private let memory = GrowingBuffer(capacity: 8 << 10)
    private var items: ContiguousArray<Item> = []
    private var current = Item(keyStart: 0, keyBytes: 0, valueBytes: 0, rowBytes: 0, kind: .put)

    init(_ reader: SegmentReader, state: Int, bounds: KeyBounds) {
        self.reader = reader
        self.state = state
        self.bounds = bounds
        let blocks = reader.footer.blocks
        let range = blocks.range(of: state)
        startBlock = bounds.from?.withUnsafeBytes { blocks.block(in: range, for: $0) } ?? range.lowerBound
        endBlock = bounds.to?.withUnsafeBytes { blocks.first(in: range, notBelow: $0) } ?? range.upperBound
    }

    var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory.start + current.keyStart, count: current.keyBytes)
    }

    var value: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory.start + current.keyStart + current.keyBytes, count: current.valueBytes)
    }

    var kind: EntryKind { current.kind }
    var rowBytes: Int { current.rowBytes }
    var coveringRow: [UInt8]? { nil }

    func damage(_ place: String, _ reason: String) -> ThalwegError { reader.damage(place, reason) }

    func next() throws -> Bool {
        while true {
            if let item = items.popLast() {
                current = item
                if let from = bounds.from, from.withUnsafeBytes({ compare(key, $0) < 0 }) {
                    items.removeAll(keepingCapacity: true)
                    endBlock = startBlock
                    return false
                }
                return true
            }
            guard endBlock > startBlock else { return false }
            endBlock -= 1
            try load(endBlock)
        }
    }

    private func load(_ block: Int) throws {
        let cursor = SegmentCursor(reader, state: state, block: block)
        var end = 0
        while try cursor.next() {
            let (key, value) = (cursor.key, cursor.value)
            if let to = bounds.to, to.withUnsafeBytes({ compare(key, $0) >= 0 }) { break }
            memory.reserve(end + key.count + value.count, keeping: end)
            if let base = key.baseAddress { (memory.start + end).copyMemory(from: base, byteCount: key.count) }
            if let base = value.baseAddress {
                (memory.start + end + key.count).copyMemory(from: base, byteCount: value.count)
            }
            items.append(
                Item(
                    keyStart: end, keyBytes: key.count, valueBytes: value.count, rowBytes: cursor.rowBytes,
                    kind: cursor.kind))
            end += key.count + value.count
        }
    }
}
