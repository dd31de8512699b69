// SPDX-License-Identifier: Apache-2.0
//  A sorted map as a value: a B+-tree whose copies share their nodes.

import ThalwegBase
import ThalwegData

/// Entries in ascending order of their keys, in leaves of up to 64.
///
/// A copy costs one reference: whoever changes a tree copies the nodes on the way to the change that others hold. So a
/// snapshot and an open iterator keep what they saw, and cost what has changed since. An empty map has no memory of its
/// own, a small one is one leaf that grows and shrinks with it.
///
/// Operations take the order, and whether entries have stamps: both are the same for all trees of a state.
@frozen
@usableFromInline
struct SortedTree<Key: Codable & Sendable, Value> {
    @usableFromInline typealias Leaf = SortedNode<Key, Value>
    @usableFromInline typealias Inner = SortedNode<Key, AnySortedNode>

    @usableFromInline var root: AnySortedNode?
    @usableFromInline var storedCount: UInt32 = 0
    /// How many levels of inner nodes lie over the leaves.
    @usableFromInline var height: Int32 = 0

    @inlinable static var entriesMax: Int { 64 }
    /// Below this a node is joined with a neighbour if both fit well into one.
    @inlinable static var entriesMin: Int { entriesMax / 4 }
    @inlinable static var leafRoomMin: Int { 4 }

    @inlinable
    init() {}

    @inlinable var count: Int {
        get { Int(storedCount) }
        set { storedCount = UInt32(newValue) }
    }

    @inlinable @inline(__always)
    static func leaf(_ node: AnySortedNode) -> Leaf { unsafeDowncast(node, to: Leaf.self) }
    @inlinable @inline(__always)
    static func inner(_ node: AnySortedNode) -> Inner { unsafeDowncast(node, to: Inner.self) }

    // MARK: Reading

    @inlinable
    func find(_ key: Key, _ order: KeyComparator<Key>) -> SortedPlace<Key, Value>? {
        guard let root else { return nil }
        // unowned(unsafe): the tree holds its nodes.
        unowned(unsafe) var node = root
        for _ in 0..<height {
            let inner = Self.inner(node)
            node = inner.payloads[inner.firstIndex(from: 1) { !order.precedes(key, $0) } &- 1]
        }
        let leaf = Self.leaf(node)
        let index = leaf.firstIndex(from: 0) { order.precedes($0, key) }
        return index < leaf.count && !order.precedes(key, leaf.keys[index]) ? SortedPlace(leaf, index) : nil
    }

    /// Calls `body` with each leaf in order, until it says false.
    @inlinable
    func forEachLeaf(_ body: (Leaf) throws -> Bool) rethrows {
        if let root { _ = try Self.forEachLeaf(root, level: Int(height), body) }
    }

    @inlinable
    static func forEachLeaf(
        _ node: AnySortedNode, level: Int, _ body: (Leaf) throws -> Bool
    ) rethrows -> Bool {
        if level == 0 { return try body(leaf(node)) }
        let inner = inner(node)
        for index in 0..<inner.count where try !forEachLeaf(inner.payloads[index], level: level - 1, body) {
            return false
        }
        return true
    }

    // MARK: Writing

    /// Puts a node of its own in the place of one that others hold too.
    @inlinable @inline(__always)
    static func own(_ node: inout AnySortedNode, level: Int) {
        if !isKnownUniquelyReferenced(&node) { node = copy(node, level: level) }
    }

    @inlinable @inline(never)
    static func copy(_ node: AnySortedNode, level: Int) -> AnySortedNode {
        if level > 0 { return inner(node).copy(room: entriesMax) }
        return leaf(node).copy(room: leaf(node).room)
    }

    /// The place of a key, ready to be written; nil when there is none.
    @inlinable
    mutating func findToWrite(_ key: Key, _ order: KeyComparator<Key>) -> SortedPlace<Key, Value>? {
        guard let leaf = own(pathTo: key, order) else { return nil }
        let index = leaf.firstIndex(from: 0) { order.precedes($0, key) }
        return index < leaf.count && !order.precedes(key, leaf.keys[index]) ? SortedPlace(leaf, index) : nil
    }

    /// Makes the nodes on the way to a key writable and gives its leaf; nil when there are none.
    @inlinable @inline(__always)
    mutating func own(pathTo key: Key, _ order: KeyComparator<Key>) -> Leaf? {
        if root == nil { return nil }
        if !isKnownUniquelyReferenced(&root) { root = root.map { Self.copy($0, level: Int(height)) } }
        // unowned(unsafe): the tree holds its nodes.
        unowned(unsafe) var node = root.unsafelyUnwrapped
        var level = Int(height)
        while level > 0 {
            level &-= 1
            let inner = Self.inner(node)
            let child = inner.payloads + (inner.firstIndex(from: 1) { !order.precedes(key, $0) } &- 1)
            Self.own(&child.pointee, level: level)
            node = child.pointee
        }
        return Self.leaf(node)
    }

    /// The place of a key, ready to be written; a new one is inserted with a value.
    @inlinable
    mutating func findOrInsert(
        _ key: Key, _ value: Value, _ order: KeyComparator<Key>, hasStamps: Bool
    ) -> (place: SortedPlace<Key, Value>, isNew: Bool) {
        guard let leaf = own(pathTo: key, order) else {
            let leaf = Leaf.make(room: Self.leafRoomMin, hasStamps: hasStamps)
            leaf.insert(key, value, at: 0)
            root = leaf
            storedCount = 1
            return (SortedPlace(leaf, 0), true)
        }
        let index = leaf.firstIndex(from: 0) { order.precedes($0, key) }
        if index < leaf.count, !order.precedes(key, leaf.keys[index]) { return (SortedPlace(leaf, index), false) }
        precondition(storedCount < .max, "more than 4 billion entries in one map")
        storedCount &+= 1
        if leaf.count < leaf.room {
            leaf.insert(key, value, at: index)
            return (SortedPlace(leaf, index), true)
        }
        insertGrowing(key, value, order)
        // It has just been inserted.
        return (find(key, order).unsafelyUnwrapped, true)
    }
}
