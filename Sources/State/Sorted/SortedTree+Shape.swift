// SPDX-License-Identifier: Apache-2.0
//  How a sorted map grows and shrinks: nodes split, joined and dropped.

import ThalwegData

extension SortedTree {
    /// What a node that had no room has become: itself with the first entries, and another with the rest.
    @usableFromInline
    struct Split {
        @usableFromInline let firstKey: Key
        @usableFromInline let node: AnySortedNode

        @inlinable
        init(_ firstKey: Key, _ node: AnySortedNode) {
            self.firstKey = firstKey
            self.node = node
        }
    }

    // MARK: Growing

    /// Inserts a new key into a full leaf. The nodes on the way to it are writable.
    @inlinable @inline(never)
    mutating func insertGrowing(_ key: Key, _ value: Value, _ order: KeyComparator<Key>) {
        guard var top = root else { return }
        root = nil
        let split = Self.insert(key, value, into: &top, level: Int(height), isLast: true, order)
        root = top
        guard let split else { return }
        let above = Inner.make(room: Self.entriesMax, hasStamps: false)
        above.insert(split.firstKey, top, at: 0)
        above.insert(split.firstKey, split.node, at: 1)
        root = above
        height += 1
    }

    /// - Parameter isLast: whether no key of the map is greater than those of the node.
    @inlinable
    static func insert(
        _ key: Key, _ value: Value, into node: inout AnySortedNode, level: Int, isLast: Bool,
        _ order: KeyComparator<Key>
    ) -> Split? {
        if level == 0 { return insert(key, value, intoLeaf: &node, isLast: isLast, order) }
        let inner = inner(node)
        let index = inner.firstIndex(from: 1) { !order.precedes(key, $0) } - 1
        let isLastHere = isLast && index == inner.count - 1
        let below = insert(
            key, value, into: &inner.payloads[index], level: level - 1, isLast: isLastHere, order)
        guard let below else { return nil }
        if inner.count < inner.room {
            inner.insert(below.firstKey, below.node, at: index + 1)
            return nil
        }
        let right = split(inner, at: index + 1, isLast: isLast)
        if index + 1 <= inner.count && right.count > 0 {
            inner.insert(below.firstKey, below.node, at: index + 1)
        } else {
            right.insert(below.firstKey, below.node, at: index + 1 - inner.count)
        }
        return Split(right.keys[0], right)
    }

    @inlinable
    static func insert(
        _ key: Key, _ value: Value, intoLeaf node: inout AnySortedNode, isLast: Bool, _ order: KeyComparator<Key>
    ) -> Split? {
        let leaf = leaf(node)
        let index = leaf.firstIndex(from: 0) { order.precedes($0, key) }
        if leaf.room < entriesMax {
            let wider = leaf.copy(room: min(entriesMax, leaf.room * 2))
            wider.insert(key, value, at: index)
            node = wider
            return nil
        }
        let right = split(leaf, at: index, isLast: isLast)
        if index <= leaf.count && right.count > 0 {
            leaf.insert(key, value, at: index)
        } else {
            right.insert(key, value, at: index - leaf.count)
        }
        return Split(right.keys[0], right)
    }

    /// Takes the second half off a full node. At the map's end, where keys that come in order are added, nothing is
    /// taken: the node stays full, and the new one is empty.
    @inlinable
    static func split<Payload>(
        _ node: SortedNode<Key, Payload>, at index: Int, isLast: Bool
    ) -> SortedNode<Key, Payload> {
        let right = SortedNode<Key, Payload>.make(room: entriesMax, hasStamps: node.hasStamps)
        if !(isLast && index == node.count) { node.moveTail(from: node.count / 2, to: right) }
        return right
    }

    // MARK: Shrinking

    /// Removes a key that is there.
    @inlinable
    mutating func remove(_ key: Key, _ order: KeyComparator<Key>) {
        guard let leaf = own(pathTo: key, order) else { return }
        let index = leaf.firstIndex(from: 0) { order.precedes($0, key) }
        guard index < leaf.count, !order.precedes(key, leaf.keys[index]) else { return }
        leaf.remove(index..<index + 1)
        storedCount &-= 1
        // Looked at only now and then: joining costs more than removing.
        if leaf.count < Self.entriesMin, leaf.count & (leaf.count &- 1) == 0 { settle(key, order) }
    }

    /// Joins, narrows or drops the leaf of a key, and what lies over it. The nodes on the way to it are writable.
    @inlinable @inline(never)
    mutating func settle(_ key: Key, _ order: KeyComparator<Key>) {
        guard var top = root else { return }
        root = nil
        Self.settle(&top, level: Int(height), key, order)
        root = top
        settleRoot()
    }

    @inlinable
    static func settle(_ node: inout AnySortedNode, level: Int, _ key: Key, _ order: KeyComparator<Key>) {
        if level == 0 { return narrow(&node) }
        let inner = inner(node)
        let index = inner.firstIndex(from: 1) { !order.precedes(key, $0) } - 1
        settle(&inner.payloads[index], level: level - 1, key, order)
        tidy(inner, at: index, level: level)
    }

    /// Gives back memory that a leaf does not need.
    @inlinable
    static func narrow(_ node: inout AnySortedNode) {
        let leaf = leaf(node)
        var room = leaf.room
        while room > leafRoomMin, leaf.count * 4 <= room { room /= 2 }
        if room < leaf.room { node = leaf.copy(room: room) }
    }

    /// Drops the node at an index if it is empty, or joins it with a neighbour if both are small.
    ///
    /// - Parameter level: that of `inner`.
    @inlinable
    static func tidy(_ inner: Inner, at index: Int, level: Int) {
        let count = count(inner.payloads[index])
        if count == 0 { return inner.remove(index..<index + 1) }
        guard count < entriesMin, inner.count > 1 else { return }
        let left = index > 0 ? index - 1 : index
        let (first, second) = (self.count(inner.payloads[left]), self.count(inner.payloads[left + 1]))
        guard first + second <= entriesMax * 3 / 4 else { return }
        own(&inner.payloads[left], level: level - 1)
        own(&inner.payloads[left + 1], level: level - 1)
        if level > 1 {
            let right = self.inner(inner.payloads[left + 1])
            // The first key of a node is not looked at, but that of its second one will be: it is what lies over it.
            right.keys[0] = inner.keys[left + 1]
            right.moveTail(from: 0, to: self.inner(inner.payloads[left]))
        } else {
            if leaf(inner.payloads[left]).room < first + second {
                inner.payloads[left] = leaf(inner.payloads[left]).copy(room: entriesMax)
            }
            leaf(inner.payloads[left + 1]).moveTail(from: 0, to: leaf(inner.payloads[left]))
        }
        inner.remove(left + 1..<left + 2)
    }

    @inlinable @inline(__always)
    static func count(_ node: AnySortedNode) -> Int { Int(node.header.count) }

    /// Drops what is empty at the top, and inner nodes over a single one.
    @inlinable
    mutating func settleRoot() {
        while let top = root {
            if Self.count(top) == 0 {
                root = nil
                height = 0
            } else if height > 0, Self.count(top) == 1 {
                root = Self.inner(top).payloads[0]
                height -= 1
            } else {
                return
            }
        }
    }
}
