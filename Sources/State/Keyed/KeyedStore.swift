// SPDX-License-Identifier: Apache-2.0
//  The keyed state of one operator in one subtask: keys, slots and the columns hung on them.

import ThalwegBase
import ThalwegData

/// What a keyed store asks of each state hung on it.
public protocol KeyedColumn: AnyObject {
    /// Makes slots `0..<count` usable.
    func reserve(_ count: Int)
    /// Whether the slot holds nothing.
    func isEmpty(_ slot: Int) -> Bool
    /// Forgets what the slot holds.
    func clear(_ slot: Int)
    /// Where the slots lie, for prefetching; nil when the column is sparse. Asked again after each `reserve`.
    var slotMemory: SlotMemory? { get }
}

extension KeyedColumn {
    public var slotMemory: SlotMemory? { nil }
}

/// The part of a keyed store that does not depend on the key's type: what state handles bind to.
open class AnyKeyedStore {
    // Used by one task alone; behind inlined accessors so that the attribute holds in other modules.
    @exclusivity(unchecked) @usableFromInline final var storedSlot = 0
    @exclusivity(unchecked) @usableFromInline final var storedMayBeEmpty = false

    /// The slot whose key is being processed; every state handle of the operator reads it.
    @inlinable public final var slot: Int {
        get { storedSlot }
        set { storedSlot = newValue }
    }
    /// Set by a handle that removed something: the slot may have become empty.
    @inlinable public final var mayBeEmpty: Bool {
        get { storedMayBeEmpty }
        set { storedMayBeEmpty = newValue }
    }
    /// The states by declared name, in order of declaration.
    public final private(set) var columns: [(name: String, column: any KeyedColumn)] = []

    public init() {}

    /// Hangs a state on this store.
    ///
    /// - Throws: `ThalwegError(.job)` when the name is taken.
    public final func register(_ name: String, _ column: any KeyedColumn) throws(ThalwegError) {
        if columns.contains(where: { $0.name == name }) {
            throw ThalwegError(
                .job, "two states have the same name", detail: "\"\(name)\"", hint: "give each state its own name")
        }
        columns.append((name, column))
    }

    /// Whether no state holds anything for the slot.
    public final func isEmpty(_ slot: Int) -> Bool { columns.allSatisfy { $0.column.isEmpty(slot) } }
}

/// Keys of one operator in one subtask, resolved to slots a batch at a time; all states of the operator are columns
/// addressed by slot, so that a record costs one probe however many states there are.
public final class KeyedStore<Key: Hashable & Codable & Sendable>: AnyKeyedStore {
    public let table = KeyTable<Key>()
    public let hasher: KeyHasher<Key>
    @exclusivity(unchecked) @usableFromInline var fresh: [Int32] = []
    @exclusivity(unchecked) @usableFromInline var reserved = 0
    @exclusivity(unchecked) @usableFromInline var memories: [SlotMemory] = []

    /// The number of keys below which state is taken to lie in the cache.
    @inlinable static var prefetchKeysMin: Int { 4096 }

    @inlinable
    public init(hasher: KeyHasher<Key>) {
        self.hasher = hasher
        super.init()
    }

    /// The key being processed.
    @inlinable public var currentKey: Key { table.key(at: slot) }

    /// Resolves the keys of a batch to slots. New keys get a slot even if the function then stores nothing: call
    /// ``releaseUnused()`` after the batch.
    @inlinable @inline(__always)
    public func resolve(
        _ keys: UnsafePointer<Key>, hashes: UnsafePointer<UInt64>, count: Int, into slots: UnsafeMutablePointer<Int32>
    ) {
        table.resolve(keys, hashes: hashes, count: count, into: slots) { fresh.append(Int32(truncatingIfNeeded: $0)) }
        if table.slotLimit > reserved { widen() }
        if table.slotLimit > Self.prefetchKeysMin {
            for memory in memories { memory.prefetch(slots, count: count) }
        }
    }

    /// Gives back the slots of keys that came with this batch and for which nothing was stored.
    @inlinable
    public func releaseUnused() {
        if fresh.isEmpty { return }
        releaseEmptyFresh()
    }

    @usableFromInline
    func releaseEmptyFresh() {
        for slot in fresh where table.isUsed(Int(slot)) && isEmpty(Int(slot)) { table.remove(slot: Int(slot)) }
        fresh.removeAll(keepingCapacity: true)
    }

    /// Gives back the current slot if every state of its key was cleared.
    @inlinable
    public func releaseIfEmpty(_ slot: Int) {
        mayBeEmpty = false
        if table.isUsed(slot) && isEmpty(slot) { table.remove(slot: slot) }
    }

    @usableFromInline
    func widen() {
        reserved = table.slotLimit + max(1024, table.slotLimit / 8)
        for (_, column) in columns { column.reserve(reserved) }
        memories = columns.compactMap(\.column.slotMemory)
    }
}
