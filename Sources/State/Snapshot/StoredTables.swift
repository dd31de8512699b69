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

    private func describe(_ name: String, of operatorName: String) -> StateDescriptor {
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
    public func part(_ name: String, of operatorName: String, maxParallelism: Int, _ tables: [Frozen]) -> StatePart {
        let raw = tables.map { RawTable($0) }
        return StatePart(describe(name, of: operatorName)) { [encoder = encoder.raw, values = stored.raw] writer in
            var places: [Int] = []
            for (index, table) in raw.enumerated() { table.keys.forEach { places.append(index << 32 | $0) } }
            let order = try KeyOrder.make(
                places, maxParallelism: maxParallelism,
                group: { place in
                    KeyGroup.of(hash: raw[place >> 32].keys.hash(place & 0xFFFF_FFFF), maxParallelism: maxParallelism)
                },
                address: { raw[$0 >> 32].keys.address($0 & 0xFFFF_FFFF) },
                encode: { place, bytes in
                    let table = raw[place >> 32]
                    try encoder.encode(table.keys.address(place & 0xFFFF_FFFF), into: &bytes)
                    bytes.appendOrdered(table.start)
                })
            var bytes = ByteWriter()
            for rank in 0..<order.count {
                order.prefetch(after: rank) { raw[$0 >> 32].values.address($0 & 0xFFFF_FFFF) }
                let place = order.places[rank]
                bytes.removeAll()
                _ = try values.encode(raw[place >> 32].values.address(place & 0xFFFF_FFFF), into: &bytes)
                try order.withKey(rank) { key in try bytes.withBytes { try writer.add(key: key, value: $0) } }
            }
        }
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
