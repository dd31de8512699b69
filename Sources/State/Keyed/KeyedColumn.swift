// SPDX-License-Identifier: Apache-2.0
//  What a state is to the keyed store that it hangs on.

import ThalwegBase
import ThalwegData
import ThalwegStorage

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
    /// How many bytes the column has for each slot; 0 as long as it has none for any.
    var slotBytes: Int { get }
    /// Later memory for slots comes in extents of no more than so many bytes: it is counted.
    func limitExtents(to byteCount: Int)
    /// Whether all that the column holds for a slot lies in the slot itself.
    var isInline: Bool { get }
    /// Whether the column surely holds nothing for any slot.
    var isVacant: Bool { get }
    /// `isEmpty` as a closure compiled where the state's type is known; nil when there is none.
    var emptyCheck: ((Int) -> Bool)? { get }
    /// What stands in snapshots of this column, and how it comes back.
    func forms(_ name: String, _ owner: StateOwner) -> [StoredForm]
    /// Shares what the column holds with a snapshot and says how it is written: a part for each of the `forms`, in
    /// their order. The column changes no shared memory until ``unfreeze()``.
    func freeze(_ name: String, _ keys: FrozenKeys) -> [StatePart]
    /// Makes the slots of a page writable, if the column is laid out by slot.
    func thaw(page: Int)
    /// Nothing is shared any more.
    func unfreeze()
}

extension KeyedColumn {
    public var slotMemory: SlotMemory? { nil }
    public var slotBytes: Int { slotMemory?.stride ?? 8 }
    public var emptyCheck: ((Int) -> Bool)? { nil }
    public var isInline: Bool { false }
    public var isVacant: Bool { false }
    public func thaw(page: Int) {}
}

/// Whose state it is: what all descriptions of one operator's keyed states share.
public struct StateOwner: Sendable {
    public let operatorName: String
    /// The schema of the keys.
    public let key: RecordSchema
    /// Further facts about states, such as the windows they are kept for, by their names.
    public let properties: [String: [String: String]]

    public init(operatorName: String, key: RecordSchema, properties: [String: [String: String]] = [:]) {
        self.operatorName = operatorName
        self.key = key
        self.properties = properties
    }

    /// Describes a state of the operator.
    public func describe(
        _ name: String, _ kind: StateKind, userKey: RecordSchema? = nil, value: RecordSchema? = nil
    ) -> StateDescriptor {
        StateDescriptor(
            operatorName: operatorName, name: name, kind: kind, key: key, userKey: userKey, value: value,
            properties: properties[name] ?? [:])
    }
}

/// Takes over one entry: `key` is what follows the operator's key in the entry's key.
public typealias EntryLoader = (
    _ slot: Int, _ key: inout ByteReader, _ value: UnsafeRawBufferPointer
) throws -> Void

/// One state of a column as it stands in snapshots.
public struct StoredForm {
    public let descriptor: StateDescriptor
    /// Makes the function that takes over entries stored as described, which may be another schema than that of today.
    /// Called once for each description, not for each entry.
    public let loader: (_ stored: StateDescriptor) throws -> EntryLoader
    /// Has the entries of a slot stay at rest, of which there are too many for memory, and says whether it has; nil:
    /// they are always loaded.
    let leave: ((_ slot: Int) throws -> Bool)?
    /// What the types of user keys and values say of their earlier forms.
    private let evolutions: () throws -> (userKey: DeclaredEvolution, value: DeclaredEvolution)

    /// A state without user keys and values.
    public init(_ descriptor: StateDescriptor, loader: @escaping (_ stored: StateDescriptor) throws -> EntryLoader) {
        self.init(descriptor, leave: nil, loader: loader)
    }

    init(
        _ descriptor: StateDescriptor, leave: ((_ slot: Int) throws -> Bool)?,
        loader: @escaping (_ stored: StateDescriptor) throws -> EntryLoader
    ) {
        self.descriptor = descriptor
        self.loader = loader
        self.leave = leave
        evolutions = { (DeclaredEvolution(), DeclaredEvolution()) }
    }

    /// A state of values of a type.
    public init<Value: Codable & Sendable>(
        _ descriptor: StateDescriptor, of _: Value.Type,
        loader: @escaping (_ stored: StateDescriptor) throws -> EntryLoader
    ) {
        self.descriptor = descriptor
        self.loader = loader
        leave = nil
        evolutions = { (DeclaredEvolution(), try RecordType<Value>.learn().evolution) }
    }

    /// A state of values of a type under user keys of a type.
    public init<UserKey: Codable & Sendable, Value: Codable & Sendable>(
        _ descriptor: StateDescriptor, of _: Value.Type, under _: UserKey.Type,
        loader: @escaping (_ stored: StateDescriptor) throws -> EntryLoader
    ) {
        self.descriptor = descriptor
        self.loader = loader
        leave = nil
        evolutions = { (try RecordType<UserKey>.learn().evolution, try RecordType<Value>.learn().evolution) }
    }

    /// What the state wants of a snapshot.
    func wanted() throws -> WantedState {
        var state = WantedState(descriptor)
        (state.userKey, state.value) = try evolutions()
        return state
    }
}
