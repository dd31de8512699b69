// SPDX-License-Identifier: Apache-2.0
//  A map that is the same in every subtask of an operator, stored once (FLIP-8).

import Synchronization
import ThalwegBase
import ThalwegData
import ThalwegStorage

/// State that every subtask has whole: what the records of a broadcast stream have made of it.
///
///     @State var rules = BroadcastState<String, Rule>()
///
/// Anyone may read it; only `processBroadcast` can write it, by ``BroadcastAccess/update(_:_:)`` of its context. All
/// subtasks must do the same to it. A snapshot holds it once, and proves by a digest that all subtasks agree: if they
/// do not, the job fails and names the state. Values whose encoding depends on the order of a set or a dictionary
/// would look different where they are the same: hold arrays instead.
public final class BroadcastState<Key: Hashable & Codable & Sendable, Value: Codable & Sendable>: OperatorState {
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var contents: [Key: Value] = [:]
    private var name = ""
    private var seat = OperatorSeat(operatorName: "", subtask: 0, parallelism: 1, maxParallelism: 1)
    private var keys: (encoder: KeyEncoder<Key>, schema: RecordSchema)?
    private var values: StoredType<Value>?

    public init() {}

    @inlinable public subscript(key: Key) -> Value? { contents[key] }
    @inlinable public var count: Int { contents.count }
    @inlinable public var isEmpty: Bool { contents.isEmpty }
    /// Everything, in no particular order.
    @inlinable public var entries: [Key: Value] { contents }

    // MARK: OperatorState

    public var isBroadcast: Bool { true }
    public var rebalancesOnRestore: Bool { false }

    public func bind(_ name: String, to seat: OperatorSeat) throws {
        let type = try RecordType<Key>.learn()
        keys = (KeyEncoder(type), type.schema)
        values = try StoredType()
        self.name = name
        self.seat = seat
    }

    public func describe() throws -> StateDescriptor {
        StateDescriptor(
            operatorName: seat.operatorName, name: name, kind: .broadcast, userKey: keys?.schema, value: values?.schema)
    }

    public func wanted() throws -> WantedState {
        var state = WantedState(try describe())
        state.userKey = try RecordType<Key>.learn().evolution
        state.value = try RecordType<Value>.learn().evolution
        return state
    }

    public func freeze() throws -> StatePart {
        let descriptor = try describe()
        guard let encoder = keys?.encoder, let codec = values?.codec else { return StatePart(descriptor) { _ in } }
        let contents = contents
        let digest: @Sendable () throws -> UInt64 = {
            // A sum, so that the order of the map does not matter.
            var sum = UInt64(truncatingIfNeeded: contents.count)
            var bytes = ByteWriter(capacity: 128)
            for (key, value) in contents {
                bytes.removeAll()
                try encoder.encode(key, into: &bytes)
                try withUnsafePointer(to: value) { try codec.encode($0, count: 1, into: &bytes) }
                sum &+= bytes.withBytes { StableHash.bytes($0) }
            }
            return sum
        }
        guard seat.subtask == 0 else { return StatePart(descriptor, digest: digest) { _ in } }
        return StatePart(descriptor, digest: digest) { writer in
            let sorted = try contents.map { (key: try encoder.encode($0.key), value: $0.value) }
                .sorted { $0.key.lexicographicallyPrecedes($1.key) }
            for (key, value) in sorted {
                let value = try codec.encode(value)
                try key.withUnsafeBytes { key in try value.withUnsafeBytes { try writer.add(key: key, value: $0) } }
            }
        }
    }

    public func isDivided(_ kind: StateKind) -> Bool { false }

    public func restore(from source: any RestoredState, as found: StateDescriptor, share: Range<Int>?) throws {
        guard let encoder = keys?.encoder, let codec = values?.codec else { return }
        contents = [:]
        // The number is the file's word: it must not be taken for memory.
        contents.reserveCapacity(min(try source.entryCount(of: name), 1 << 20))
        try source.entries(of: name, keyGroups: nil) { key, value in
            var reader = ByteReader(key)
            contents[try encoder.decode(&reader)] = try codec.decode(value)
        }
    }

    public func closeRestored() {}
}

/// The right to write broadcast state: handed to `processBroadcast`, and to nobody else.
open class BroadcastAccess {
    package init() {}

    /// Changes a broadcast state. Every subtask must come to the same contents: use nothing but the record and the
    /// state itself, no clock, no chance, no number of the subtask.
    ///
    ///     context.update(rules) { $0[rule.id] = rule }
    @inlinable
    public final func update<Key, Value, Result>(
        _ state: BroadcastState<Key, Value>, _ body: (inout [Key: Value]) throws -> Result
    ) rethrows -> Result { try body(&state.contents) }
}
