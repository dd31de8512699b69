// SPDX-License-Identifier: Apache-2.0
//  A list of values per key.

import ThalwegBase

/// Keyed state of many values in order of arrival.
public final class ListState<Value: Codable & Sendable>: BindableState, KeyedColumn {
    // unowned(unsafe): the operator holds both its store and its states.
    @exclusivity(unchecked) @usableFromInline unowned(unsafe) var store: AnyKeyedStore
    @exclusivity(unchecked) @usableFromInline var column = PagedColumn<[Value]>(initial: [])
    // Keeps `store` valid until `bind`; afterwards the operator holds both the store and the handles.
    @usableFromInline var owner: AnyKeyedStore?
    @usableFromInline var storedEmptyCheck: ((Int) -> Bool)?
    /// How values are stored; learned by `bind`.
    @usableFromInline var stored: StoredType<Value>?
    /// Nil when values live for ever.
    @usableFromInline let expiry: StateExpiry?
    /// Whether there is an `expiry`. Asked on every access: a flag costs no reference count. What follows when it is
    /// set stays in its own branch, so that the other one makes no call.
    @usableFromInline let isExpiring: Bool
    /// The stamp of each value, if values expire.
    @exclusivity(unchecked) @usableFromInline var stamps = PagedColumn<[Int64]>(initial: [])
    /// Hears of what has expired.
    @usableFromInline var listener: ExpiryListener<Value>?

    /// - Parameter ttl: how long each value lives; nil: until it is removed.
    @inlinable
    public init(ttl: StateTTL? = nil) {
        expiry = ttl.map { StateExpiry($0) }
        isExpiring = ttl != nil
        let unbound = AnyKeyedStore()
        owner = unbound
        store = unbound
        column.reserve(1)
        if isExpiring { stamps.reserve(1) }
        // The state outlives the store that asks; unowned(unsafe) because the check runs for every new key.
        storedEmptyCheck = { [unowned(unsafe) self] slot in self.column.address(slot).pointee.isEmpty }
    }

    public func bind(_ name: String, to store: AnyKeyedStore) throws(ThalwegError) {
        stored = try StoredType()
        try listener?.check(name, store)
        try store.register(name, self)
        try expiry?.bind(name, self, to: store)
        self.store = store
        // The store holds this handle: holding it in turn would keep both alive for ever.
        owner = nil
    }

    /// The current key's values; assigning replaces them, an empty array removes them.
    ///
    /// With a time to live, changing `values` writes all of them anew; ``append(_:)``, ``insert(_:at:)`` and the
    /// subscript write one.
    @inlinable
    public var values: [Value] {
        @inline(__always) get {
            if isExpiring { return readExpiring() }
            return column.address(store.slot).pointee
        }
        _modify {
            let address = isExpiring ? prepareWrite() : column.address(store.slot)
            defer { if isExpiring { endWrite() } }
            yield &address.pointee
            if address.pointee.isEmpty { store.mayBeEmpty = true }
        }
    }

    @inlinable public var isEmpty: Bool { count == 0 }
    @inlinable public var count: Int {
        if isExpiring { return visibleCount() }
        return column.address(store.slot).pointee.count
    }

    /// The current key's value at a position, read or changed in place.
    @inlinable
    public subscript(position: Int) -> Value {
        get {
            if isExpiring { return readExpiring(position) }
            return column.address(store.slot).pointee[position]
        }
        _modify {
            let place = !isExpiring ? position : prepareWrite(position)
            yield &column.address(store.slot).pointee[place]
        }
    }

    /// Puts a value before the one at a position.
    @inlinable
    public func insert(_ value: Value, at position: Int) {
        if isExpiring { return insertExpiring(value, at: position) }
        column.address(store.slot).pointee.insert(value, at: position)
    }

    /// Removes and returns the last value, if there is one.
    @inlinable
    @discardableResult
    public func popLast() -> Value? {
        if isExpiring { return popLastExpiring() }
        let values = column.address(store.slot)
        let last = values.pointee.popLast()
        if values.pointee.isEmpty { store.mayBeEmpty = true }
        return last
    }

    /// Adds a value at the end.
    @inlinable
    public func append(_ value: Value) {
        if isExpiring { return appendExpiring(value) }
        column.address(store.slot).pointee.append(value)
    }

    /// Removes the current key's values.
    @inlinable
    public func clear() {
        if isExpiring { return clearExpiring() }
        column.address(store.slot).pointee = []
        store.mayBeEmpty = true
    }

    /// The values of a slot, for operators that address slots themselves; valid until the state grows.
    @inlinable @inline(__always)
    public func address(ofSlot slot: Int) -> UnsafeMutablePointer<[Value]> { column.address(slot) }

    // MARK: KeyedColumn

    public var emptyCheck: ((Int) -> Bool)? { storedEmptyCheck }

    public var slotMemory: SlotMemory? { column.memory }
    public func limitExtents(to byteCount: Int) {
        column.limitExtents(to: byteCount)
        stamps.limitExtents(to: byteCount)
        expiry?.limitExtents(to: byteCount)
    }
    public func reserve(_ count: Int) {
        column.reserve(count)
        if isExpiring { stamps.reserve(count) }
    }
    public func isEmpty(_ slot: Int) -> Bool { column.address(slot).pointee.isEmpty }
    public func clear(_ slot: Int) {
        column.reset(slot)
        if isExpiring { stamps.reset(slot) }
    }
}
