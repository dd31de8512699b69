// SPDX-License-Identifier: Apache-2.0
//  The keys of an operator as they were at a barrier.

import Synchronization
import ThalwegBase
import ThalwegData
import ThalwegStorage

/// What the states of one operator share when they are written: the keys, put in order once, by whoever comes first.
public final class FrozenKeys: Sendable {
    public let operatorName: String
    public let maxParallelism: Int
    let schema: RecordSchema
    /// What the operator no longer uses and the snapshot reads.
    public let lease: PageLease
    private let build: @Sendable () throws -> KeyOrder
    private let hash: @Sendable (Int) -> UInt64
    private let made = Guarded<KeyOrder?>(nil)

    init(
        operatorName: String, maxParallelism: Int, schema: RecordSchema, lease: PageLease,
        hash: @escaping @Sendable (Int) -> UInt64, build: @escaping @Sendable () throws -> KeyOrder
    ) {
        self.operatorName = operatorName
        self.maxParallelism = maxParallelism
        self.schema = schema
        self.lease = lease
        self.hash = hash
        self.build = build
    }

    /// The slots in use in ascending order of their keys.
    func order() throws -> KeyOrder {
        try made.withLock { made in
            if let made { return made }
            let order = try build()
            made = order
            return order
        }
    }

    /// The key group of a slot in use.
    func keyGroup(ofSlot slot: Int) -> Int { KeyGroup.of(hash: hash(slot), maxParallelism: maxParallelism) }

    /// Describes a state of the operator.
    public func describe(
        _ name: String, _ kind: StateKind, userKey: RecordSchema? = nil, value: RecordSchema? = nil
    ) -> StateDescriptor {
        StateDescriptor(
            operatorName: operatorName, name: name, kind: kind, key: schema, userKey: userKey, value: value)
    }

    /// A part with an entry for each slot for which `body` writes one.
    ///
    /// - Parameters:
    ///   - values: what `body` reads, to have it fetched early.
    ///   - body: appends the value of a slot; false when there is none.
    func part(
        _ descriptor: StateDescriptor, _ values: FrozenValues,
        _ body: @escaping @Sendable (Int, inout ByteWriter) throws -> Bool
    ) -> StatePart {
        StatePart(descriptor) { [self] writer in
            let order = try order()
            var value = ByteWriter()
            for rank in 0..<order.count {
                order.prefetch(after: rank, values.address)
                value.removeAll()
                guard try body(order.places[rank], &value) else { continue }
                try order.withKey(rank) { key in try value.withBytes { try writer.add(key: key, value: $0) } }
            }
        }
    }

    /// A part with any number of entries for each slot.
    ///
    /// - Parameter body: adds the entries of a slot in ascending order of what follows the key.
    public func part(
        _ descriptor: StateDescriptor, entries body: @escaping @Sendable (Int, inout KeyedEntries) throws -> Void
    ) -> StatePart {
        StatePart(descriptor) { [self] writer in
            let order = try order()
            var entries = KeyedEntries(writer)
            for rank in 0..<order.count {
                order.withKey(rank) { entries.begin($0) }
                try body(order.places[rank], &entries)
            }
        }
    }
}

/// Takes the entries of one key after another.
public struct KeyedEntries: ~Copyable {
    private let writer: any EntryWriter
    private var key = ByteWriter()
    private var value = ByteWriter()
    private var keyCount = 0

    init(_ writer: any EntryWriter) { self.writer = writer }

    mutating func begin(_ key: UnsafeRawBufferPointer) {
        self.key.removeAll()
        self.key.append(key)
        keyCount = key.count
    }

    /// Adds an entry.
    ///
    /// - Parameters:
    ///   - suffix: appends what follows the operator's key.
    ///   - content: appends the value.
    public mutating func add(
        _ suffix: (inout ByteWriter) throws -> Void, value content: (inout ByteWriter) throws -> Void
    ) throws {
        key.truncate(to: keyCount)
        try suffix(&key)
        value.removeAll()
        try content(&value)
        try key.withBytes { key in try value.withBytes { try writer.add(key: key, value: $0) } }
    }
}
