// SPDX-License-Identifier: Apache-2.0
//  Entries of several segments in one order.

import ThalwegBase

/// Merges cursors: a heap by key, then by the order of the cursors.
struct EntryMerge {
    private let cursors: [SegmentCursor]
    /// Whether segments may hold the same key; the first of them wins.
    private let allowsCopies: Bool
    private var heap: [Int] = []

    init(_ cursors: [SegmentCursor], allowsCopies: Bool) {
        self.cursors = cursors
        self.allowsCopies = allowsCopies
    }

    mutating func forEach(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> Void) throws {
        if cursors.count == 1 {
            while try cursors[0].next() { try body(cursors[0].key, cursors[0].value) }
            return
        }
        for index in cursors.indices where try cursors[index].next() { heap.append(index) }
        for place in heap.indices.reversed() { sink(place) }
        let last = GrowingBuffer()
        var lastBytes = -1
        while let top = heap.first {
            let cursor = cursors[top]
            let key = cursor.key
            if lastBytes >= 0, compare(last.bytes(lastBytes), key) == 0 {
                guard allowsCopies else { throw cursor.reader.damage("a key", "another file has it too") }
            } else {
                last.reserve(key.count)
                if let base = key.baseAddress { last.start.copyMemory(from: base, byteCount: key.count) }
                lastBytes = key.count
                try body(key, cursor.value)
            }
            if try !cursor.next() {
                heap[0] = heap[heap.count - 1]
                heap.removeLast()
            }
            sink(0)
        }
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
