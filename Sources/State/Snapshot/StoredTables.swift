// SPDX-License-Identifier: Apache-2.0
//  State by key and window start, one table for each window start.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// How an operator that keeps one table of keys for each window start, such as panes, stores and restores them.
public struct StoredTables<Key: Hashable & Codable & Sendable, Value: Codable & Sendable>: Sendable {
    /// One table with its column as they were at a barrier.
    public struct Frozen: Sendable {
        let start: Int64
        let keys: FrozenTable<Key>
        let values: FrozenColumn<Value>

        public init(start: Int64, keys: FrozenTable<Key>, values: FrozenColumn<Value>) {
            self.start = start
            self.keys = keys
            self.values = values
        }
    }

    public let hasher: KeyHasher<Key>
    private let encoder: KeyEncoder<Key>
    private let type: RecordType<Key>
    /// What snapshots say of the state beside its types.
    private let properties: [String: String]
    private let stored: StoredType<Value>

    /// Learns both types. Throws for classes.
    ///
    /// - Parameter window: the windows that the values are kept for.
    public init(window: StoredWindow? = nil) throws(ThalwegError) {
        let type = try RecordType<Key>.learn()
        hasher = KeyHasher(type)
        encoder = KeyEncoder(type)
        self.type = type
        properties = window.map { [StoredWindow.propertyName: $0.text] } ?? [:]
        stored = try StoredType()
    }

    /// How snapshots describe the state.
    public func describe(_ name: String, of operatorName: String) -> StateDescriptor {
        StateDescriptor(
            operatorName: operatorName, name: name, kind: .pane, key: type.schema,
            userKey: RecordSchema(root: .scalar(.time)), value: stored.schema, properties: properties)
    }

    /// Declares the state.
    public func declare(_ name: String, _ states: inout StateDeclarations) throws(ThalwegError) {
        var state = WantedState(describe(name, of: states.operatorName))
        state.value = try RecordType<Value>.learn().evolution
        try states.add(state, keyedBy: type)
    }

    /// A part of kind `.pane` with the entries of all tables.
    ///
    /// - Parameters:
    ///   - isFile: whether they become a file of their own, which says what panes it has.
    ///   - below: what older files have of them: the entries written hold that too.
    public func part(
        _ name: String, of operatorName: String, maxParallelism: Int, _ tables: [Frozen], isFile: Bool = false,
        over below: PanesBelow? = nil
    ) -> StatePart {
        let raw = tables.map { RawTable($0) }
        var descriptor = describe(name, of: operatorName)
        if isFile { descriptor.paneStarts = tables.map(\.start) }
        return StatePart(descriptor) { [encoder = encoder.raw, values = stored.raw] writer in
            let order = try OrderedPlaces(
                raw.places, of: TablePlaces(tables: raw, maxParallelism: maxParallelism, encoder: encoder),
                maxParallelism: maxParallelism)
            let old = try below?.open()
            var bytes = ByteWriter()
            try order.forEach(prefetching: { raw[$0.table].values.address($0.slot) }) { place, _, key in
                let value = raw[place.table].values.address(place.slot)
                bytes.removeAll()
                if let below, let old, try old.advance(to: key) {
                    try below.merge(old.value, value, &bytes)
                } else {
                    _ = try values.encode(value, into: &bytes)
                }
                try bytes.withBytes { try writer.add(key: key, value: $0) }
            }
        }
    }

    // MARK: Entries at rest

    /// The bytes that what slots refer to takes in files; 0 when all lies in the slots themselves.
    ///
    /// - Parameters:
    ///   - slotsMax: how many slots are looked at.
    ///   - bytesMax: after so many bytes no further slots are looked at.
    /// - Returns: the bytes, and how many slots were looked at.
    public func measure(
        _ keys: KeyTable<Key>, _ values: borrowing PagedColumn<Value>, from first: Int, slotsMax: Int, bytesMax: Int
    ) throws -> (bytes: Int, slots: Int) {
        var bytes = ByteWriter()
        var (slot, count) = (first, 0)
        let limit = keys.slotLimit
        while count < min(slotsMax, limit), bytes.count < bytesMax {
            if slot >= limit { slot = 0 }
            if keys.isUsed(slot) {
                if !_isPOD(Key.self) { try encoder.encode(keys.key(at: slot), into: &bytes) }
                if !_isPOD(Value.self) { _ = try stored.raw.encode(values.address(slot), into: &bytes) }
            }
            count += 1
            slot += 1
        }
        return (bytes.count, count)
    }

    /// The key of a stored entry, with its hash.
    public func key(of bytes: UnsafeRawBufferPointer) throws -> (key: Key, hash: UInt64) {
        var reader = ByteReader(bytes)
        _ = try reader.read(UInt16.self)
        let key = try encoder.decode(&reader)
        return (key, hasher.hash(key))
    }

    /// The value of a stored entry.
    public func value(of bytes: UnsafeRawBufferPointer) throws -> Value { try stored.codec.decode(bytes) }

    /// Appends a value as it is stored.
    public func encode(_ value: Value, into bytes: inout ByteWriter) throws { try stored.encode(value, into: &bytes) }

    /// Appends the key of an entry as it is stored.
    public func encode(
        _ key: Key, hash: UInt64, start: Int64, maxParallelism: Int, into bytes: inout ByteWriter
    ) throws {
        let group = KeyGroup.of(hash: hash, maxParallelism: maxParallelism)
        bytes.append(UInt16(truncatingIfNeeded: group).bigEndian)
        try encoder.encode(key, into: &bytes)
        bytes.appendOrdered(start)
    }

    /// Calls `body` with the key, its hash, the window start and the value of each entry, window starts in no order.
    public func restore(
        _ name: String, from source: KeyedRestore,
        _ body: (_ key: Key, _ hash: UInt64, _ start: Int64, _ value: Value) throws -> Void
    ) throws {
        guard let found = try source.stored(describe(name, of: source.operatorName)) else { return }
        try source.entries(of: found) { group, reader, bytes in
            let key = try encoder.decode(&reader)
            let hash = hasher.hash(key)
            guard KeyGroup.of(hash: hash, maxParallelism: source.maxParallelism) == group else {
                throw source.misplaced(group)
            }
            try body(key, hash, try reader.readOrdered(), try stored.codec.decode(bytes))
        }
    }
}

/// A table with its column, without their types.
private struct RawTable: Sendable {
    let start: Int64
    let keys: FrozenHashes
    let values: FrozenValues

    init<Key, Value>(_ table: StoredTables<Key, Value>.Frozen) {
        start = table.start
        keys = FrozenHashes(table.keys)
        values = FrozenValues(table.values)
    }
}

extension [RawTable] {
    /// The slots in use of all tables: a table's number in the high half, the slot in the low one.
    fileprivate var places: [UInt64] {
        var places: [UInt64] = []
        for (index, table) in enumerated() {
            table.keys.forEach { places.append(UInt64(index) << 32 | UInt64($0)) }
        }
        return places
    }
}

extension UInt64 {
    @inline(__always) fileprivate var table: Int { Int(self >> 32) }
    @inline(__always) fileprivate var slot: Int { Int(self & 0xFFFF_FFFF) }
}

/// The slots of tables, by key and window start.
private struct TablePlaces: KeyPlaces {
    let tables: [RawTable]
    let maxParallelism: Int
    let encoder: RawKeyEncoder

    func group(_ place: UInt64) -> Int {
        KeyGroup.of(hash: tables[place.table].keys.hash(place.slot), maxParallelism: maxParallelism)
    }

    func address(_ place: UInt64) -> UnsafeRawPointer { tables[place.table].keys.address(place.slot) }

    func encode(_ place: UInt64, into bytes: inout ByteWriter) throws {
        try encoder.encode(address(place), into: &bytes)
        bytes.appendOrdered(tables[place.table].start)
    }
}
