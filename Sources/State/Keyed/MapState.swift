// SPDX-License-Identifier: Apache-2.0
//  A map per key, all of an operator's maps in one table.

import ThalwegBase
import ThalwegData

/// Keyed state of many values by a user key.
///
/// All maps of one operator share one table keyed by (slot, user key), so a look-up costs one probe and a small map
/// costs no allocation; the entries of one key are chained for iteration (in no particular order).
public final class MapState<UserKey: Hashable & Codable & Sendable, Value: Codable & Sendable>: BindableState,
    KeyedColumn
{
    // unowned(unsafe): the operator holds both its store and its states.
    @exclusivity(unchecked) @usableFromInline unowned(unsafe) var store: AnyKeyedStore
    @exclusivity(unchecked) @usableFromInline var table = KeyTable<MapEntryKey<UserKey>>()
    @exclusivity(unchecked) @usableFromInline var entries = PagedColumn<MapEntry<Value>>(initial: MapEntry())
    @exclusivity(unchecked) @usableFromInline var heads = PagedColumn<MapHead>(initial: MapHead())
    @exclusivity(unchecked) @usableFromInline var hasher: KeyHasher<UserKey>?
    // Keeps `store` valid until `bind`; afterwards the operator holds both the store and the handles.
    @usableFromInline var owner: AnyKeyedStore?
    @usableFromInline var storedEmptyCheck: ((Int) -> Bool)?
    // How user keys and values are stored; learned by `bind`.
    var userKeys: StoredKey<UserKey>?
    var stored: StoredType<Value>?
    /// Nil when entries live for ever.
    @usableFromInline let expiry: StateExpiry?
    /// Whether there is an `expiry`. Asked on every access: a flag costs no reference count. What follows when it is
    /// set stays in its own branch, so that the other one makes no call.
    @usableFromInline let isExpiring: Bool
    /// Hears of what has expired.
    @usableFromInline var listener: ExpiryListener<(UserKey, Value)>?

    /// - Parameter ttl: how long each entry lives; nil: until it is removed.
    @inlinable
    public init(ttl: StateTTL? = nil) {
        expiry = ttl.map { StateExpiry($0) }
        isExpiring = ttl != nil
        let unbound = AnyKeyedStore()
        owner = unbound
        store = unbound
        heads.reserve(1)
        // The state outlives the store that asks; unowned(unsafe) because the check runs for every new key.
        storedEmptyCheck = { [unowned(unsafe) self] slot in self.heads.address(slot).pointee.count == 0 }
    }

    public func bind(_ name: String, to store: AnyKeyedStore) throws(ThalwegError) {
        let type = try RecordType<UserKey>.learn()
        hasher = KeyHasher(type)
        userKeys = StoredKey(encoder: KeyEncoder(type), schema: type.schema)
        stored = try StoredType()
        try listener?.check(name, store)
        try store.register(name, self)
        try expiry?.bind(name, self, to: store)
        self.store = store
        // The store holds this handle: holding it in turn would keep both alive for ever.
        owner = nil
    }

    @inlinable @inline(__always)
    func hash(_ key: UserKey, slot: Int) -> UInt64 {
        // Set by `bind` before the first record.
        StableHash.combine(hasher.unsafelyUnwrapped.hash(key), UInt64(truncatingIfNeeded: slot))
    }

    @inlinable
    func find(_ key: UserKey) -> Int? {
        let slot = store.slot
        return table.find(MapEntryKey(slot: slot, key: key), hash: hash(key, slot: slot))
    }

    @inlinable @inline(__always)
    func findOrInsert(_ key: UserKey) -> Int { findOrInsert(key, slot: store.slot) }

    @inlinable @inline(__always)
    func findOrInsert(_ key: UserKey, slot: Int) -> Int {
        let (entry, isNew) = table.findOrInsert(MapEntryKey(slot: slot, key: key), hash: hash(key, slot: slot))
        if entries.isShared { entries.thaw(page: entry >> 10) }
        if isNew { link(entry, to: slot) }
        return entry
    }

    /// Makes an entry of a chain writable; -1 is none.
    @inlinable @inline(__always)
    func touch(_ entry: Int32) {
        if entries.isShared && entry >= 0 { entries.thaw(page: Int(entry) >> 10) }
    }

    @inlinable
    func link(_ entry: Int, to slot: Int) {
        if entry >= entries.capacity { entries.reserve(entry + 1) }
        let head = heads.address(slot)
        touch(head.pointee.first)
        entries.address(entry).pointee.next = head.pointee.first
        entries.address(entry).pointee.previous = -1
        if head.pointee.first >= 0 {
            entries.address(Int(head.pointee.first)).pointee.previous = Int32(truncatingIfNeeded: entry)
        }
        head.pointee.first = Int32(truncatingIfNeeded: entry)
        head.pointee.count &+= 1
    }

    @inlinable
    func unlink(_ entry: Int, from slot: Int) {
        touch(Int32(truncatingIfNeeded: entry))
        let (next, previous) = (entries.address(entry).pointee.next, entries.address(entry).pointee.previous)
        touch(next)
        touch(previous)
        let head = heads.address(slot)
        if previous >= 0 { entries.address(Int(previous)).pointee.next = next } else { head.pointee.first = next }
        if next >= 0 { entries.address(Int(next)).pointee.previous = previous }
        head.pointee.count &-= 1
        entries.reset(entry)
        table.remove(slot: entry)
        if head.pointee.count == 0 { store.mayBeEmpty = true }
    }

    /// The value of a user key under the current key; setting nil removes it.
    @inlinable
    public subscript(key: UserKey) -> Value? {
        get {
            if isExpiring { return readExpiring(key) }
            return find(key).flatMap { entries.address($0).pointee.value }
        }
        set {
            if isExpiring { return replaceExpiring(key, newValue) }
            if let newValue {
                entries.address(findOrInsert(key)).pointee.value = newValue
            } else if let entry = find(key) {
                unlink(entry, from: store.slot)
            }
        }
    }

    /// The value of a user key, or `standard` when there is none; what is assigned is stored.
    @inlinable
    public subscript(key: UserKey, default standard: @autoclosure () -> Value) -> Value {
        get { self[key] ?? standard() }
        _modify {
            let address = entries.address(isExpiring ? prepareWrite(key) : findOrInsert(key))
            if address.pointee.value == nil { address.pointee.value = standard() }
            yield &address.pointee.value!  // set on the line above when it was nil
        }
    }

    /// The number of entries of the current key. With a time to live every entry is looked at.
    @inlinable public var count: Int {
        if isExpiring { return visibleCount() }
        return Int(heads.address(store.slot).pointee.count)
    }
    @inlinable public var isEmpty: Bool {
        if isExpiring { return !hasVisible() }
        return heads.address(store.slot).pointee.count == 0
    }

    /// Whether the current key has an entry for a user key. Asking is no read: it changes no time to live.
    @inlinable
    public func contains(_ key: UserKey) -> Bool {
        guard let entry = find(key) else { return false }
        return !isExpiring || isVisible(entry)
    }

    /// Calls `body` with each entry of the current key, in no particular order. It may remove the entry it is called
    /// with, and change nothing else.
    @inlinable
    public func forEach(_ body: (UserKey, Value) throws -> Void) rethrows {
        if isExpiring { return try forEachExpiring(body) }
        var entry = heads.address(store.slot).pointee.first
        while entry >= 0 {
            let address = entries.address(Int(entry))
            let next = address.pointee.next
            // An entry in a chain always holds a value.
            try body(table.key(at: Int(entry)).key, address.pointee.value.unsafelyUnwrapped)
            entry = next
        }
    }

    /// Removes every entry of the current key.
    @inlinable
    public func clear() {
        if isExpiring { return clearExpiring() }
        clear(store.slot)
    }

    // MARK: KeyedColumn

    public var emptyCheck: ((Int) -> Bool)? { storedEmptyCheck }

    public var slotMemory: SlotMemory? { heads.memory }
    public func limitExtents(to byteCount: Int) {
        heads.limitExtents(to: byteCount)
        entries.limitExtents(to: byteCount)
        expiry?.limitExtents(to: byteCount)
    }
    public func reserve(_ count: Int) { heads.reserve(count) }
    public func isEmpty(_ slot: Int) -> Bool { heads.address(slot).pointee.count == 0 }
    public func clear(_ slot: Int) {
        while heads.address(slot).pointee.first >= 0 { unlink(Int(heads.address(slot).pointee.first), from: slot) }
        store.mayBeEmpty = true
    }
}

/// The key of one map entry: which operator key it belongs to, and the user key.
@frozen
public struct MapEntryKey<UserKey: Hashable>: Hashable {
    @usableFromInline var slot: Int32
    @usableFromInline var key: UserKey

    @inlinable
    init(slot: Int, key: UserKey) {
        self.slot = Int32(truncatingIfNeeded: slot)
        self.key = key
    }

    @inlinable @inline(__always)
    public static func == (left: Self, right: Self) -> Bool { left.slot == right.slot && left.key == right.key }
}

@frozen
@usableFromInline
struct MapEntry<Value> {
    @usableFromInline var value: Value?
    @usableFromInline var next: Int32 = -1
    @usableFromInline var previous: Int32 = -1
    @inlinable init() {}
}

@frozen
@usableFromInline
struct MapHead {
    @usableFromInline var first: Int32 = -1
    @usableFromInline var count: Int32 = 0
    @inlinable init() {}
}
