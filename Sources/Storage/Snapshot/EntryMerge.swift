// SPDX-License-Identifier: Apache-2.0
//  Entries of several segments in one order.

import ThalwegBase

/// Merges cursors: a heap by key, then by the order of the cursors.
struct EntryMerge {
    private let cursors: [SegmentCursor]
    /// Whether segments may hold the same key; the first of them wins.
    private let allowsCopies: Bool
    private var heap: [Int] = []
    private var isBegun = false
    private let last = GrowingBuffer()
    private var lastBytes = -1

    init(_ cursors: [SegmentCursor], allowsCopies: Bool) {
        self.cursors = cursors
        self.allowsCopies = allowsCopies
    }

    mutating func forEach(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Void) throws {
        while let cursor = try next() { try body(cursor.key, cursor.value) }
    }

    /// The cursor that stands at the next entry; it is moved on by the next call.
    mutating func next() throws -> SegmentCursor? {
        if cursors.count == 1 { return try cursors[0].next() ? cursors[0] : nil }
        if isBegun {
            try advance()
        } else {
            isBegun = true
            for index in cursors.indices where try cursors[index].next() { heap.append(index) }
            for place in heap.indices.reversed() { sink(place) }
        }
        while let top = heap.first {
            let cursor = cursors[top]
            let key = cursor.key
            if lastBytes < 0 || compare(last.bytes(lastBytes), key) != 0 {
                last.reserve(key.count)
                if let base = key.baseAddress { last.start.copyMemory(from: base, byteCount: key.count) }
                lastBytes = key.count
                return cursor
            }
            guard allowsCopies else { throw cursor.reader.damage("a key", "another file has it too") }
            try advance()
        }
        return nil
    }

    private mutating func advance() throws {
        guard let top = heap.first else { return }
        if try !cursors[top].next() {
            heap[0] = heap[heap.count - 1]
            heap.removeLast()
        }
        sink(0)
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        let order = compare(cursors[left].key, cursors[right].key)
        return order < 0 || order == 0 && left < right
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count && isBefore(heap[child], heap[least]) {
                least = child
            }
            if least == place { return }
            heap.swapAt(place, least)
            place = least
        }
    }
}
