// SPDX-License-Identifier: Apache-2.0
//  A list of values per key.

import ThalwegBase

/// Keyed state of many values in order of arrival.
public final class ListState<Value: Codable & Sendable>: BindableState, KeyedColumn {
    @exclusivity(unchecked) @usableFromInline unowned(unsafe) var store: AnyKeyedStore
    @exclusivity(unchecked) @usableFromInline var column = PagedColumn<[Value]>(initial: [])
    // Keeps `store` valid until `bind`; afterwards the operator holds both the store and the handles.
    @usableFromInline var owner: AnyKeyedStore?
    @usableFromInline var storedEmptyCheck: ((Int) -> Bool)?
    /// How values are stored; learned by `bind`.
    @usableFromInline var stored: StoredType<Value>?

    @inlinable
    public init() {
        let unbound = AnyKeyedStore()
        owner = unbound
        store = unbound
        column.reserve(1)
        // The state outlives the store that asks; unowned(unsafe) because the check runs for every new key.
        storedEmptyCheck = { [unowned(unsafe) self] slot in self.column.address(slot).pointee.isEmpty }
    }

    public func bind(_ name: String, to store: AnyKeyedStore) throws(ThalwegError) {
        stored = try StoredType()
        try store.register(name, self)
        self.store = store
        // The store holds this handle: holding it in turn would keep both alive for ever.
        owner = nil
    }

    /// The current key's values; assigning replaces them, an empty array removes them.
    @inlinable
    public var values: [Value] {
        get { column.address(store.slot).pointee }
        _modify {
            let address = column.address(store.slot)
            yield &address.pointee
            if address.pointee.isEmpty { store.mayBeEmpty = true }
        }
    }

    @inlinable public var isEmpty: Bool { column.address(store.slot).pointee.isEmpty }
    @inlinable public var count: Int { column.address(store.slot).pointee.count }

    /// The current key's value at a position, read or changed in place.
    @inlinable
    public subscript(position: Int) -> Value {
        get { column.address(store.slot).pointee[position] }
        _modify { yield &column.address(store.slot).pointee[position] }
    }

    /// Puts a value before the one at a position.
    @inlinable
    public func insert(_ value: Value, at position: Int) {
        column.address(store.slot).pointee.insert(value, at: position)
    }

    /// Removes and returns the last value, if there is one.
    @inlinable
    @discardableResult
    public func popLast() -> Value? {
        let values = column.address(store.slot)
        let last = values.pointee.popLast()
        if values.pointee.isEmpty { store.mayBeEmpty = true }
        return last
    }

    /// Adds a value at the end.
    @inlinable
    public func append(_ value: Value) { column.address(store.slot).pointee.append(value) }

    /// Removes the current key's values.
    @inlinable
    public func clear() {
        column.address(store.slot).pointee = []
        store.mayBeEmpty = true
    }

    /// The values of a slot, for operators that address slots themselves; valid until the state grows.
    @inlinable @inline(__always)
    public func address(ofSlot slot: Int) -> UnsafeMutablePointer<[Value]> { column.address(slot) }

    // MARK: KeyedColumn

    public var emptyCheck: ((Int) -> Bool)? { storedEmptyCheck }

    public var slotMemory: SlotMemory? { column.memory }
    public func reserve(_ count: Int) { column.reserve(count) }
    public func isEmpty(_ slot: Int) -> Bool { column.address(slot).pointee.isEmpty }
    public func clear(_ slot: Int) { column.reset(slot) }
}
