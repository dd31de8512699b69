// SPDX-License-Identifier: Apache-2.0
//  A map per key whose entries are in order.

import ThalwegBase
import ThalwegData

/// Keyed state of many values in ascending order of a user key (FLIP-50): first and last, ranges, both directions.
///
///     @State var waiting = SortedMapState<EventTime, Order>()
///
///     for (time, order) in waiting.entries(to: watermark) { … }
///     let newest = waiting.last(through: now)
///
/// The order is that of the engine's key bytes, in memory as on disk: numbers and moments by `<`, with -0.0 as 0.0 and
/// NaN, one key, at the end; strings by their UTF-8, which is the order of their Unicode scalars (two spellings of one
/// character are two keys); nil before everything else; enums by raw value; structs field by field in the order of
/// declaration; arrays element by element. A `Comparable` conformance of the user key is not asked for, and not used.
/// A type with a part that only its own `Codable` understands has no order: a job with it does not start.
///
/// Finding, writing or removing an entry takes time that grows with the logarithm of the map's size; a copy of the map
/// as it is, as loops over ``entries`` and snapshots take, takes none. For look-ups alone `MapState` is faster.
///
/// Where rows rest in files, a map that is large for one key is no longer in memory: its entries come and go one by
/// one, and looking for one may read the disk. Not with a time to live.
public final class SortedMapState<UserKey: Codable & Sendable, Value: Codable & Sendable>: BindableState, KeyedColumn {
    // unowned(unsafe): the operator holds both its store and its states.
    @exclusivity(unchecked) @usableFromInline unowned(unsafe) var store: AnyKeyedStore
    @exclusivity(unchecked) @usableFromInline var column = PagedColumn<SortedTree<UserKey, Value>>(
        initial: SortedTree())
    @exclusivity(unchecked) @usableFromInline var order: KeyComparator<UserKey>?
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
    /// The maps that are too large for memory; nil as long as there was none.
    @usableFromInline var wides: WideMaps<UserKey, Value>?
    /// Whether there is one.
    @exclusivity(unchecked) @usableFromInline var hasWide = false
    /// The slots of maps that have become large.
    var largeSlots: [Int] = []
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
        column.reserve(1)
        // The state outlives the store that asks; unowned(unsafe) because the check runs for every new key.
        storedEmptyCheck = { [unowned(unsafe) self] slot in
            self.column.address(slot).pointee.count == 0 && !(self.hasWide && self.wideMap(slot) != nil)
        }
    }

    /// - Throws: kind `job` when the user key has no order, or the name is taken.
    public func bind(_ name: String, to store: AnyKeyedStore) throws(ThalwegError) {
        let type = try RecordType<UserKey>.learn()
        order = try KeyComparator(type)
        userKeys = StoredKey(encoder: KeyEncoder(type), schema: type.schema)
        stored = try StoredType()
        try listener?.check(name, store)
        try store.register(name, self)
        try expiry?.bind(name, self, to: store)
        self.store = store
        // The store holds this handle: holding it in turn would keep both alive for ever.
        owner = nil
    }

    @inlinable
    func find(_ key: UserKey) -> SortedPlace<UserKey, Value>? {
        column.address(store.slot).pointee.find(key, order.unsafelyUnwrapped)
    }

    @inlinable @inline(__always)
    func findOrInsert(_ key: UserKey, _ value: Value) -> (place: SortedPlace<UserKey, Value>, isNew: Bool) {
        let tree = column.address(store.slot)
        let found = tree.pointee.findOrInsert(key, value, order.unsafelyUnwrapped, hasStamps: isExpiring)
        if found.isNew && tree.pointee.count & 63 == 0 { noteGrown(store.slot) }
        return found
    }

    @inlinable
    func removeEntry(_ key: UserKey, slot: Int) {
        let tree = column.address(slot)
        tree.pointee.remove(key, order.unsafelyUnwrapped)
        if tree.pointee.count == 0 { store.mayBeEmpty = true }
    }

    // MARK: One entry

    /// The value of a user key under the current key; setting nil removes it.
    @inlinable
    public subscript(key: UserKey) -> Value? {
        get {
            if isExpiring { return readExpiring(key) }
            if let place = find(key) { return place.value.pointee }
            return hasWide ? wideMap(store.slot)?.find(key) : nil
        }
        set {
            if isExpiring { return replaceExpiring(key, newValue) }
            if hasWide, let map = wideMap(store.slot) { return setWide(map, key, newValue) }
            guard let newValue else { return removeEntry(key, slot: store.slot) }
            let (place, isNew) = findOrInsert(key, newValue)
            if !isNew { place.value.pointee = newValue }
        }
    }

    /// The value of a user key, or `standard` when there is none; what is assigned is stored. The change must not
    /// change the map.
    @inlinable
    public subscript(key: UserKey, default standard: @autoclosure () -> Value) -> Value {
        get { self[key] ?? standard() }
        _modify {
            if hasWide, let map = wideMap(store.slot) {
                var value = map.find(key) ?? standard()
                defer { map.set(key, value) }
                yield &value
                return
            }
            let place = isExpiring ? prepareWrite(key, standard) : placeToWrite(key, standard)
            // Held, so that its memory stays whatever happens to the map meanwhile.
            let leaf = place.leaf
            yield &place.value.pointee
            withExtendedLifetime(leaf) {}
        }
    }

    @inlinable @inline(__always)
    func placeToWrite(_ key: UserKey, _ standard: () -> Value) -> SortedPlace<UserKey, Value> {
        let tree = column.address(store.slot)
        if let place = tree.pointee.findToWrite(key, order.unsafelyUnwrapped) { return place }
        return findOrInsert(key, standard()).place
    }

    /// Whether the current key has an entry for a user key. Asking is no read: it changes no time to live.
    @inlinable
    public func contains(_ key: UserKey) -> Bool {
        guard let place = find(key) else {
            return hasWide && wideMap(store.slot)?.find(key) != nil
        }
        return !isExpiring || isVisible(stamp: place.stamp.pointee)
    }

    // MARK: In order

    /// The entry with the least user key; nil when there are none.
    @inlinable public var first: (key: UserKey, value: Value)? { entries.first }

    /// The entry with the greatest user key; nil when there are none.
    @inlinable public var last: (key: UserKey, value: Value)? { entries.reversed().first }

    /// The first entry at or after a user key.
    @inlinable
    public func first(from key: UserKey) -> (key: UserKey, value: Value)? { entries(from: key).first }

    /// The last entry at or before a user key.
    @inlinable
    public func last(through key: UserKey) -> (key: UserKey, value: Value)? {
        SortedEntries(self, from: .start, to: .after(key)).reversed().first
    }

    /// Removes and returns the first entry, if there is one.
    @inlinable
    @discardableResult
    public func popFirst() -> (key: UserKey, value: Value)? {
        guard let entry = first else { return noEntry() }
        self[entry.key] = nil
        return entry
    }

    /// A map that was large and holds nothing is part of its row again.
    @inlinable
    func noEntry() -> (key: UserKey, value: Value)? {
        if hasWide, wideMap(store.slot) != nil { forgetWide(store.slot) }
        return nil
    }

    /// Removes and returns the last entry, if there is one.
    @inlinable
    @discardableResult
    public func popLast() -> (key: UserKey, value: Value)? {
        guard let entry = last else { return noEntry() }
        self[entry.key] = nil
        return entry
    }

    /// All entries of the current key, in ascending order.
    @inlinable public var entries: SortedEntries<UserKey, Value> { SortedEntries(self, from: .start, to: .end) }

    /// The entries from a user key on, up to but without another; nil: from the first, to the last.
    @inlinable
    public func entries(from lower: UserKey? = nil, to upper: UserKey? = nil) -> SortedEntries<UserKey, Value> {
        SortedEntries(self, from: lower.map { .before($0) } ?? .start, to: upper.map { .before($0) } ?? .end)
    }

    /// The entries from a user key on, up to another, which is included.
    @inlinable
    public func entries(from lower: UserKey? = nil, through upper: UserKey) -> SortedEntries<UserKey, Value> {
        SortedEntries(self, from: lower.map { .before($0) } ?? .start, to: .after(upper))
    }

    // MARK: Many entries

    /// The number of entries of the current key. With a time to live every entry is looked at.
    @inlinable public var count: Int {
        if isExpiring { return visibleCount() }
        if hasWide, let map = wideMap(store.slot) { return map.counted() }
        return column.address(store.slot).pointee.count
    }

    @inlinable public var isEmpty: Bool {
        if isExpiring { return !hasVisible() }
        if hasWide, let map = wideMap(store.slot) { return isEmptyWide(map) }
        return column.address(store.slot).pointee.count == 0
    }

    /// Removes the entries from a user key on, up to but without another; nil: from the first, to the last.
    @inlinable
    public func removeAll(from lower: UserKey? = nil, to upper: UserKey? = nil) {
        removeAll(lower.map { .before($0) } ?? .start, upper.map { .before($0) } ?? .end)
    }

    /// Removes the entries from a user key on, up to another, which is included.
    @inlinable
    public func removeAll(from lower: UserKey? = nil, through upper: UserKey) {
        removeAll(lower.map { .before($0) } ?? .start, .after(upper))
    }

    @inlinable
    func removeAll(_ lower: SortedCut<UserKey>, _ upper: SortedCut<UserKey>) {
        if isExpiring { expireAll(lower, upper) }
        if hasWide, let map = wideMap(store.slot) { return removeAllWide(map, from: lower, to: upper) }
        let tree = column.address(store.slot)
        tree.pointee.removeAll(from: lower, to: upper, order.unsafelyUnwrapped)
        if tree.pointee.count == 0 { store.mayBeEmpty = true }
    }

    /// Removes every entry of the current key.
    @inlinable
    public func clear() {
        if isExpiring { expireAll(.start, .end) }
        if hasWide, wideMap(store.slot) != nil { forgetWide(store.slot) }
        column.reset(store.slot)
        store.mayBeEmpty = true
    }

    // MARK: KeyedColumn

    public var emptyCheck: ((Int) -> Bool)? { storedEmptyCheck }

    public var slotMemory: SlotMemory? { column.memory }
    public func limitExtents(to byteCount: Int) {
        column.limitExtents(to: byteCount)
        expiry?.limitExtents(to: byteCount)
    }
    public func reserve(_ count: Int) { column.reserve(count) }
    public func isEmpty(_ slot: Int) -> Bool { storedEmptyCheck?(slot) ?? true }
    public func clear(_ slot: Int) {
        if hasWide, wideMap(slot) != nil { forgetWide(slot) }
        if column.isShared { column.thaw(page: slot >> 10) }
        column.reset(slot)
    }
}

extension SortedMapState where UserKey == String {
    /// The entries whose user keys begin with a text, by its UTF-8.
    @inlinable
    public func entries(withPrefix prefix: String) -> SortedEntries<String, Value> {
        SortedEntries(self, from: .before(prefix), to: .afterAll { Self.isAtMost($0, prefix) })
    }

    /// Removes the entries whose user keys begin with a text, by its UTF-8.
    @inlinable
    public func removeAll(withPrefix prefix: String) {
        removeAll(.before(prefix), .afterAll { Self.isAtMost($0, prefix) })
    }

    /// Whether a key begins with a text or comes before all keys that do.
    @usableFromInline
    static func isAtMost(_ key: String, _ prefix: String) -> Bool {
        !prefix.utf8.lexicographicallyPrecedes(key.utf8.prefix(prefix.utf8.count))
    }
}
