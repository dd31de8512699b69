// SPDX-License-Identifier: Apache-2.0
//  First in, first out.

/// A queue over an array whose used front is given back from time to time.
struct Fifo<Element> {
    private var items: [Element?] = []
    private var head = 0

    var count: Int { items.count - head }
    var isEmpty: Bool { count == 0 }
    var first: Element? { isEmpty ? nil : items[head] }
    var last: Element? {
        get { isEmpty ? nil : items[items.count - 1] }
        set { if !isEmpty { items[items.count - 1] = newValue } }
    }
    /// What is queued, from the front.
    var elements: [Element] { items[head...].compactMap { $0 } }

    mutating func append(_ element: Element) { items.append(element) }

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

    mutating func removeAll() {
        items = []
        head = 0
    }
}
