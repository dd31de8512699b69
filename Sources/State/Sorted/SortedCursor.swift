// SPDX-License-Identifier: Apache-2.0
//  Walks over a stretch of a sorted map.

import ThalwegBase
import ThalwegData

/// A position between two entries of a sorted map.
@frozen
@usableFromInline
enum SortedCut<Key: Codable & Sendable> {
    case start
    case before(Key)
    case after(Key)
    /// After all entries for which this holds: it holds for those before some key, and for none after.
    case afterAll((Key) -> Bool)
    case end

    /// Whether a key lies before the position.
    @inlinable @inline(__always)
    func isAfter(_ key: Key, _ order: KeyComparator<Key>) -> Bool {
        switch self {
        case .start: false
        case .before(let bound): order.precedes(key, bound)
        case .after(let bound): !order.precedes(bound, key)
        case .afterAll(let holds): holds(key)
        case .end: true
        }
    }
}

/// The places between two positions, in either direction, of a map as it was when the walk began: it holds the nodes
/// that it is in, so whoever changes the map copies them.
@usableFromInline
struct SortedCursor<Key: Codable & Sendable, Value> {
    @usableFromInline typealias Tree = SortedTree<Key, Value>

    @usableFromInline let goal: SortedCut<Key>
    @usableFromInline let isDescending: Bool
    @usableFromInline let order: KeyComparator<Key>
    @usableFromInline var path: [(node: Tree.Inner, index: Int)] = []
    @usableFromInline var leaf: Tree.Leaf?
    /// The next entry, or the one before it when descending.
    @usableFromInline var index = 0
    /// Where the walk ends in this leaf.
    @usableFromInline var limit = 0

    @inlinable
    init(
        _ tree: Tree, from lower: SortedCut<Key>, to upper: SortedCut<Key>, isDescending: Bool,
        _ order: KeyComparator<Key>
    ) {
        goal = isDescending ? lower : upper
        self.isDescending = isDescending
        self.order = order
        guard var node = tree.root else { return }
        let start = isDescending ? upper : lower
        for _ in 0..<tree.height {
            let inner = Tree.inner(node)
            let child = inner.firstIndex(from: 1) { start.isAfter($0, order) } - 1
            path.append((inner, child))
            node = inner.payloads[child]
        }
        let leaf = Tree.leaf(node)
        enter(leaf)
        index = leaf.firstIndex(from: 0) { start.isAfter($0, order) }
    }

    /// The next place, valid until the cursor moves on.
    @inlinable
    mutating func next() -> SortedPlace<Key, Value>? {
        while let leaf {
            if isDescending {
                if index > limit {
                    index &-= 1
                    return SortedPlace(leaf, index)
                }
                if limit > 0 || !advance() { self.leaf = nil }
            } else {
                if index < limit {
                    index &+= 1
                    return SortedPlace(leaf, index &- 1)
                }
                if limit < leaf.count || !advance() { self.leaf = nil }
            }
        }
        return nil
    }

    @inlinable
    mutating func enter(_ leaf: Tree.Leaf) {
        let (goal, order) = (goal, order)
        limit = leaf.firstIndex(from: 0) { goal.isAfter($0, order) }
        index = isDescending ? leaf.count : 0
        self.leaf = leaf
    }

    /// Goes on to the next leaf; false when there is none.
    @inlinable @inline(never)
    mutating func advance() -> Bool {
        let step = isDescending ? -1 : 1
        var depth = path.count - 1
        while depth >= 0, !(0..<path[depth].node.count).contains(path[depth].index + step) { depth -= 1 }
        guard depth >= 0 else { return false }
        path[depth].index += step
        var node = path[depth].node.payloads[path[depth].index]
        for depth in depth + 1..<path.count {
            let inner = Tree.inner(node)
            path[depth] = (inner, isDescending ? inner.count - 1 : 0)
            node = inner.payloads[path[depth].index]
        }
        enter(Tree.leaf(node))
        return true
    }
}

extension SortedTree {
    /// Removes the entries between two positions.
    @inlinable
    mutating func removeAll(
        from lower: SortedCut<Key>, to upper: SortedCut<Key>, _ order: KeyComparator<Key>
    ) {
        guard var top = root else { return }
        root = nil
        count -= Self.removeAll(in: &top, level: Int(height), from: lower, to: upper, order)
        root = top
        settleRoot()
    }

    /// - Returns: how many there were.
    @inlinable
    static func removeAll(
        in node: inout AnySortedNode, level: Int, from lower: SortedCut<Key>, to upper: SortedCut<Key>,
        _ order: KeyComparator<Key>
    ) -> Int {
        own(&node, level: level)
        if level == 0 {
            let leaf = leaf(node)
            let start = leaf.firstIndex(from: 0) { lower.isAfter($0, order) }
            let end = leaf.firstIndex(from: 0) { upper.isAfter($0, order) }
            guard start < end else { return 0 }
            leaf.remove(start..<end)
            narrow(&node)
            return end - start
        }
        let inner = inner(node)
        let first = inner.firstIndex(from: 1) { lower.isAfter($0, order) } - 1
        let last = inner.firstIndex(from: 1) { upper.isAfter($0, order) } - 1
        guard first <= last else { return 0 }
        var removed = 0
        if first == last {
            removed += removeAll(in: &inner.payloads[first], level: level - 1, from: lower, to: upper, order)
        } else {
            removed += removeAll(in: &inner.payloads[first], level: level - 1, from: lower, to: .end, order)
            removed += removeAll(in: &inner.payloads[last], level: level - 1, from: .start, to: upper, order)
            for index in first + 1..<last { removed += entryCount(inner.payloads[index], level: level - 1) }
            inner.remove(first + 1..<last)
            tidy(inner, at: first + 1, level: level)
        }
        if first < inner.count { tidy(inner, at: first, level: level) }
        return removed
    }

    @inlinable
    static func entryCount(_ node: AnySortedNode, level: Int) -> Int {
        if level == 0 { return count(node) }
        let inner = inner(node)
        return (0..<inner.count).reduce(0) { $0 + entryCount(inner.payloads[$1], level: level - 1) }
    }
}
