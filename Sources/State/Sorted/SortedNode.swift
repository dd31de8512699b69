// SPDX-License-Identifier: Apache-2.0
//  A node of a sorted map: keys in ascending order, each with what belongs to it.

import ThalwegBase

/// What a node says of itself.
@frozen
@usableFromInline
struct SortedNodeHeader {
    @usableFromInline var count: Int32 = 0
    @usableFromInline let room: Int32
    @usableFromInline let hasStamps: Bool

    @inlinable
    init(room: Int, hasStamps: Bool) {
        self.room = Int32(truncatingIfNeeded: room)
        self.hasStamps = hasStamps
    }
}

/// A node, whatever it holds.
@usableFromInline typealias AnySortedNode = ManagedBuffer<SortedNodeHeader, SIMD2<UInt64>>

/// A leaf holds values; an inner node holds nodes, its keys but the first being at most all keys of their nodes and
/// greater than those of the nodes before (the first is never compared).
///
/// One piece of memory: the keys, the payloads, and the stamps if entries expire. A node that others hold too is never
/// changed: it is copied first.
@usableFromInline
final class SortedNode<Key, Payload>: ManagedBuffer<SortedNodeHeader, SIMD2<UInt64>> {
    @inlinable
    static func make(room: Int, hasStamps: Bool) -> SortedNode {
        let byteCount = stampOffset(room) + (hasStamps ? room * 8 : 0)
        let node = create(minimumCapacity: (byteCount + 15) / 16) { _ in
            SortedNodeHeader(room: room, hasStamps: hasStamps)
        }
        let base = node.withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0) }
        base.bindMemory(to: Key.self, capacity: room)
        (base + payloadOffset(room)).bindMemory(to: Payload.self, capacity: room)
        if hasStamps { (base + stampOffset(room)).bindMemory(to: Int64.self, capacity: room) }
        // `create` makes what it is called on.
        return unsafeDowncast(node, to: SortedNode.self)
    }

    deinit {
        withUnsafeMutablePointers { header, elements in
            let (base, count) = (UnsafeMutableRawPointer(elements), Int(header.pointee.count))
            base.assumingMemoryBound(to: Key.self).deinitialize(count: count)
            (base + Self.payloadOffset(Int(header.pointee.room))).assumingMemoryBound(to: Payload.self)
                .deinitialize(count: count)
        }
    }

    // MARK: Where things lie

    @inlinable @inline(__always)
    static func payloadOffset(_ room: Int) -> Int {
        let mask = MemoryLayout<Payload>.alignment &- 1
        return (room &* MemoryLayout<Key>.stride &+ mask) & ~mask
    }

    @inlinable @inline(__always)
    static func stampOffset(_ room: Int) -> Int {
        (payloadOffset(room) &+ room &* MemoryLayout<Payload>.stride &+ 7) & ~7
    }

    @inlinable var base: UnsafeMutableRawPointer {
        @inline(__always) get { withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0) } }
    }
    @inlinable var keys: UnsafeMutablePointer<Key> {
        @inline(__always) get { base.assumingMemoryBound(to: Key.self) }
    }
    @inlinable var payloads: UnsafeMutablePointer<Payload> {
        @inline(__always) get { (base + Self.payloadOffset(room)).assumingMemoryBound(to: Payload.self) }
    }
    /// When each entry was written; only if ``hasStamps``.
    @inlinable var stamps: UnsafeMutablePointer<Int64> {
        @inline(__always) get { (base + Self.stampOffset(room)).assumingMemoryBound(to: Int64.self) }
    }
    @inlinable var count: Int {
        @inline(__always) get { Int(header.count) }
        @inline(__always) set { header.count = Int32(truncatingIfNeeded: newValue) }
    }
    @inlinable var room: Int { @inline(__always) get { Int(header.room) } }
    @inlinable var hasStamps: Bool { @inline(__always) get { header.hasStamps } }

    // MARK: Searching

    /// The number of keys from `start` on for which `isBefore` holds, plus `start`: it holds for those before some key,
    /// and for none after.
    @inlinable @inline(__always)
    func firstIndex(from start: Int, after isBefore: (Key) -> Bool) -> Int {
        let keys = keys
        var (low, high) = (start, count)
        while low < high {
            let middle = (low &+ high) >> 1
            if isBefore(keys[middle]) { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    // MARK: Changing

    /// A node with the same content.
    @inlinable
    func copy(room: Int) -> SortedNode {
        let copy = SortedNode.make(room: room, hasStamps: hasStamps)
        copy.keys.initialize(from: keys, count: count)
        copy.payloads.initialize(from: payloads, count: count)
        if hasStamps { copy.stamps.initialize(from: stamps, count: count) }
        copy.count = count
        return copy
    }

    /// Inserts an entry where there is room for it.
    @inlinable
    func insert(_ key: Key, _ payload: Payload, stamp: Int64 = .min, at index: Int) {
        let (keys, payloads, rest) = (keys, payloads, count &- index)
        assert(count < room)
        (keys + index + 1).moveInitialize(from: keys + index, count: rest)
        (keys + index).initialize(to: key)
        (payloads + index + 1).moveInitialize(from: payloads + index, count: rest)
        (payloads + index).initialize(to: payload)
        if hasStamps {
            (stamps + index + 1).moveInitialize(from: stamps + index, count: rest)
            (stamps + index).initialize(to: stamp)
        }
        count &+= 1
    }

    @inlinable
    func remove(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        let (keys, payloads, rest) = (keys, payloads, count &- range.upperBound)
        (keys + range.lowerBound).deinitialize(count: range.count)
        (keys + range.lowerBound).moveInitialize(from: keys + range.upperBound, count: rest)
        (payloads + range.lowerBound).deinitialize(count: range.count)
        (payloads + range.lowerBound).moveInitialize(from: payloads + range.upperBound, count: rest)
        if hasStamps { (stamps + range.lowerBound).moveInitialize(from: stamps + range.upperBound, count: rest) }
        count &-= range.count
    }

    /// Moves the entries from `index` on to the end of another node, which has room for them.
    @inlinable
    func moveTail(from index: Int, to other: SortedNode) {
        let moved = count - index
        assert(other.count + moved <= other.room && other.hasStamps == hasStamps)
        (other.keys + other.count).moveInitialize(from: keys + index, count: moved)
        (other.payloads + other.count).moveInitialize(from: payloads + index, count: moved)
        if hasStamps { (other.stamps + other.count).moveInitialize(from: stamps + index, count: moved) }
        other.count += moved
        count = index
    }
}

/// A place in a leaf, valid until the map changes.
@frozen
@usableFromInline
struct SortedPlace<Key, Value> {
    // unowned(unsafe): whoever looks at a place holds the map that it lies in.
    @usableFromInline unowned(unsafe) let leaf: SortedNode<Key, Value>
    @usableFromInline let index: Int

    @inlinable
    init(_ leaf: SortedNode<Key, Value>, _ index: Int) {
        self.leaf = leaf
        self.index = index
    }

    @inlinable var key: Key { @inline(__always) get { leaf.keys[index] } }
    @inlinable var value: UnsafeMutablePointer<Value> { @inline(__always) get { leaf.payloads + index } }
    @inlinable var stamp: UnsafeMutablePointer<Int64> { @inline(__always) get { leaf.stamps + index } }
}
