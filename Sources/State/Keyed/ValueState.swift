// SPDX-License-Identifier: Apache-2.0
//  One value per key.

import ThalwegBase
import ThalwegData

/// State that a keyed function declares as a property: `@State var last = ValueState<Bid>()`.
///
/// Bound to the operator's store under the property's name when the job is set up.
public protocol BindableState: DeclaredState {
    func bind(_ name: String, to store: AnyKeyedStore) throws(ThalwegError)
}

/// Declares keyed or operator state; the property's name is the state's name in snapshots.
@propertyWrapper
@frozen
public struct State<Handle: DeclaredState> {
    public let wrappedValue: Handle
    /// A name for snapshots other than the property's.
    public let name: String?
    /// What is declared of earlier forms of the state.
    public let past: StatePast

    @inlinable
    public init(wrappedValue: Handle) {
        self.wrappedValue = wrappedValue
        name = nil
        past = StatePast()
    }

    /// - Parameters:
    ///   - name: the state's name in snapshots; nil takes the property's.
    ///   - formerly: a name that it had in snapshots: what they hold under it is taken over (D11).
    @inlinable
    public init(wrappedValue: Handle, _ name: String? = nil, formerly: String? = nil) {
        self.wrappedValue = wrappedValue
        self.name = name
        past = StatePast(formerName: formerly)
    }

    /// - Parameter evolution: how values of earlier forms become values: of the state's value or element type. It takes
    ///   the place of what that type says of itself (`EvolvingRecord`).
    public init<Value>(
        wrappedValue: Handle, _ name: String? = nil, formerly: String? = nil, evolution: Evolution<Value>
    ) {
        self.wrappedValue = wrappedValue
        self.name = name
        past = StatePast(formerName: formerly, evolution: evolution)
    }
}

extension State: AnyStateDeclaration {
    public var handle: any DeclaredState { wrappedValue }
}

/// A `@State` property seen without its type.
public protocol AnyStateDeclaration {
    var handle: any DeclaredState { get }
    var name: String? { get }
    var past: StatePast { get }
}

/// Keyed state of one value, nil until set. Values are copies: changing one that was read changes nothing in state.
public final class ValueState<Value: Codable & Sendable>: BindableState, KeyedColumn {
    // unowned(unsafe): the operator holds both its store and its states.
    @exclusivity(unchecked) @usableFromInline unowned(unsafe) var store: AnyKeyedStore
    @exclusivity(unchecked) @usableFromInline var column = PagedColumn<Value?>(initial: nil)
    /// Takes the place of `column` when values expire.
    @exclusivity(unchecked) @usableFromInline var cells = PagedColumn<StampedValue<Value>>(initial: StampedValue())
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
    /// What most accesses compare a stamp with, if there is an `expiry`, which keeps it.
    @usableFromInline let marks: UnsafeMutablePointer<ExpiryGauge.Marks>?
    /// Hears of what has expired.
    @usableFromInline var listener: ExpiryListener<Value>?
    /// Removes what has expired, compiled where the value's type is known.
    @usableFromInline var pageSweep: PageSweep?

    /// - Parameter ttl: how long values live; nil: until they are removed.
    @inlinable
    public init(ttl: StateTTL? = nil) {
        let expiry = ttl.map { StateExpiry($0) }
        self.expiry = expiry
        marks = expiry?.marks
        isExpiring = ttl != nil
        let unbound = AnyKeyedStore()
        owner = unbound
        store = unbound
        reserve(1)
        // The state outlives the store that asks; unowned(unsafe) because the check runs for every new key.
        storedEmptyCheck = { [unowned(unsafe) self] slot in self.address(slot).pointee == nil }
        if isExpiring {
            pageSweep = { [unowned(unsafe) self] page, now, emptied in
                self.sweep(page: page, now: now, emptied: &emptied)
            }
        }
    }

    public func bind(_ name: String, to store: AnyKeyedStore) throws(ThalwegError) {
        stored = try StoredType()
        try listener?.check(name, store)
        try store.register(name, self)
        try expiry?.bind(name, self, to: store, pageSweep: pageSweep)
        self.store = store
        // The store holds this handle: holding it in turn would keep both alive for ever.
        owner = nil
    }

    /// The current key's value; setting nil removes it.
    @inlinable
    public var value: Value? {
        @inline(__always) get {
            if isExpiring { return readExpiring() }
            return column.address(store.slot).pointee
        }
        _modify {
            let address = isExpiring ? prepareWrite() : column.address(store.slot)
            yield &address.pointee
            if address.pointee == nil { store.mayBeEmpty = true }
        }
        @inline(__always) set {
            if isExpiring { return replaceExpiring(newValue) }
            if newValue == nil { store.mayBeEmpty = true }
            column.address(store.slot).pointee = newValue
        }
    }

    /// The current key's value, or `standard` when there is none; what is assigned is stored.
    @inlinable
    public subscript(default standard: @autoclosure () -> Value) -> Value {
        @inline(__always) get { value ?? standard() }
        _modify {
            let address = isExpiring ? prepareWrite() : column.address(store.slot)
            if address.pointee == nil { address.pointee = standard() }
            yield &address.pointee!  // set on the line above when it was nil
        }
    }

    /// Removes the current key's value.
    @inlinable
    public func clear() { value = nil }

    /// Where the value of a slot lies; valid until the page is shared with a snapshot.
    @inlinable @inline(__always)
    func address(_ slot: Int) -> UnsafeMutablePointer<Value?> {
        isExpiring ? StampedValue.value(at: cells.address(slot)) : column.address(slot)
    }

    // MARK: KeyedColumn

    public var emptyCheck: ((Int) -> Bool)? { storedEmptyCheck }

    public var slotMemory: SlotMemory? { isExpiring ? cells.memory : column.memory }
    public var slotBytes: Int { isExpiring ? cells.memory.stride : column.memory.stride }
    public var isInline: Bool { _isPOD(Value.self) }
    public func limitExtents(to byteCount: Int) {
        if isExpiring { cells.limitExtents(to: byteCount) } else { column.limitExtents(to: byteCount) }
    }
    @inlinable
    public func reserve(_ count: Int) {
        if isExpiring { cells.reserve(count) } else { column.reserve(count) }
    }
    public func isEmpty(_ slot: Int) -> Bool { address(slot).pointee == nil }
    public func clear(_ slot: Int) {
        if isExpiring { cells.reset(slot) } else { column.reset(slot) }
    }
}
