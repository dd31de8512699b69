// SPDX-License-Identifier: Apache-2.0
//  First in, first out.

/// A queue over an array whose used front is given back from time to time.
@usableFromInline struct Fifo<Element> {
    @usableFromInline var items: [Element?] = []
    @usableFromInline var head = 0

    @inlinable init() {}

    @inlinable var count: Int { items.count - head }
    @inlinable var isEmpty: Bool { count == 0 }
    @inlinable var first: Element? { isEmpty ? nil : items[head] }
    @inlinable var last: Element? {
        get { isEmpty ? nil : items[items.count - 1] }
        set { if !isEmpty { items[items.count - 1] = newValue } }
    }
    /// What is queued, from the front.
    @inlinable var elements: [Element] { items[head...].compactMap { $0 } }

    @inlinable
    mutating func append(_ element: Element) { items.append(element) }

    @inlinable
    mutating func popFirst() -> Element? {
        guard head < items.count else { return nil }
        let element = items[head]
        items[head] = nil
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: items.capacity <= 4096)
            head = 0
        } else if head >= 64 && head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
        return element
    }

    @inlinable
    mutating func removeAll() {
        items = []
        head = 0
    }
}
