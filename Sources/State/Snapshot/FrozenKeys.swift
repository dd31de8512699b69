// SPDX-License-Identifier: Apache-2.0
//  The keys of an operator as they were at a barrier.

import Synchronization
import ThalwegBase
import ThalwegData
import ThalwegStorage

/// What the states of one operator share when they are written: the keys, put in order once, by whoever comes first.
public final class FrozenKeys: Sendable {
    public let owner: StateOwner
    public let maxParallelism: Int
    /// What the operator no longer uses and the snapshot reads.
    public let lease: PageLease
    private let build: @Sendable () throws -> OrderedPlaces<FrozenPlaces>
    /// Places from here on are those of keys that are gone.
    let slotLimit: Int
    /// Whether this is a layer over others, which says what is gone.
    let isLayer: Bool
    private let made = Guarded<OrderedPlaces<FrozenPlaces>?>(nil)

    init(
        owner: StateOwner, maxParallelism: Int, lease: PageLease, slotLimit: Int, isLayer: Bool,
        build: @escaping @Sendable () throws -> OrderedPlaces<FrozenPlaces>
    ) {
        self.owner = owner
        self.maxParallelism = maxParallelism
        self.lease = lease
        self.slotLimit = slotLimit
        self.isLayer = isLayer
        self.build = build
    }

    /// The places in ascending order of their keys.
    func order() throws -> OrderedPlaces<FrozenPlaces> {
        try made.withLock { made in
            if let made { return made }
            let order = try build()
            made = order
            return order
        }
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
            var value = ByteWriter()
            try order().forEach(prefetching: { Int($0) < slotLimit ? values.address(Int($0)) : nil }) { place, _, key in
                value.removeAll()
                if try Int(place) < slotLimit && body(Int(place), &value) {
                    try value.withBytes { try writer.add(key: key, value: $0) }
                } else if isLayer {
                    try writer.addTombstone(key: key)
                }
            }
        }
    }

    /// A part with any number of entries for each slot.
    ///
    /// - Parameters:
    ///   - hidesBelow: whether a slot's entries are all that its row has, whatever older layers say; they always are
    ///     unless told otherwise.
    ///   - body: adds the entries of a slot in ascending order of what follows the key.
    public func part(
        _ descriptor: StateDescriptor, hidesBelow: (@Sendable (Int) -> Bool)? = nil,
        entries body: @escaping @Sendable (Int, inout KeyedEntries) throws -> Void
    ) -> StatePart {
        StatePart(descriptor) { [self] writer in
            var entries = KeyedEntries(writer)
            try forEachRow(of: writer, hidesBelow: hidesBelow) { slot, key in
                entries.begin(key)
                try body(slot, &entries)
            }
        }
    }

    /// Calls `body` with each slot in ascending order of the keys, after what a layer says of its row.
    ///
    /// - Parameter address: what `body` reads first, to have it fetched early.
    func forEachRow(
        of writer: any EntryWriter, prefetching address: ((Int) -> UnsafeRawPointer)? = nil,
        hidesBelow: ((Int) -> Bool)? = nil,
        _ body: (_ slot: Int, _ key: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try order().forEach(prefetching: { Int($0) < slotLimit ? address?(Int($0)) : nil }) { place, _, key in
            let isGone = place >= slotLimit
            if isLayer && (isGone || hidesBelow?(Int(place)) ?? true) { try writer.addRowTombstone(key: key) }
            if !isGone { try body(Int(place), key) }
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

    /// Says that an entry is gone, whatever older layers have of it.
    mutating func remove(_ suffix: (inout ByteWriter) throws -> Void) throws {
        key.truncate(to: keyCount)
        try suffix(&key)
        try key.withBytes { try writer.addTombstone(key: $0, rowBytes: keyCount) }
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
        try key.withBytes { key in
            try value.withBytes { try writer.add(key: key, value: $0, rowBytes: keyCount) }
        }
    }
}
