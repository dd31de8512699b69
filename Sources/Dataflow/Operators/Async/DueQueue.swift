// SPDX-License-Identifier: Apache-2.0
//  Things to do when their time has come.

/// A heap by time; what is due at the same time comes in the order in which it was added.
@usableFromInline struct DueQueue<Element> {
    @usableFromInline var heap: [(time: Int64, order: Int, element: Element)] = []
    @usableFromInline var added = 0

    @inlinable init() {}

    @inlinable var nextTime: Int64? { heap.first?.time }

    @inlinable
    mutating func add(_ element: Element, at time: Int64) {
        added += 1
        heap.append((time, added, element))
        var child = heap.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    @inlinable
    mutating func popDue(_ now: Int64) -> Element? {
        guard let first = heap.first, first.time <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) {
                least = child
            }
            if least == parent { return first.element }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    @inlinable
    mutating func removeAll() { heap = [] }

    @inlinable
    func isBefore(_ one: Int, _ other: Int) -> Bool {
        (heap[one].time, heap[one].order) < (heap[other].time, heap[other].order)
    }
}
