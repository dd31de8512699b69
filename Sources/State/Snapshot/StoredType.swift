// SPDX-License-Identifier: Apache-2.0
//  A type of values in snapshots, learned once.

import ThalwegBase
import ThalwegData

/// How values of one type are stored, and as what.
public struct StoredType<Value: Codable & Sendable>: Sendable {
    public let codec: RecordCodec<Value>
    public let schema: RecordSchema
    /// Encodes a value where it lies.
    let raw: RawEncoder
    /// Encodes the value of an optional where it lies.
    let optional: RawEncoder

    /// Learns the type. Throws for classes.
    public init() throws(ThalwegError) {
        let type = try RecordType<Value>.learn()
        codec = RecordCodec(type)
        schema = type.schema
        raw = codec.raw
        optional = try codec.rawOptional()
    }

    public func encode(_ value: Value, into bytes: inout ByteWriter) throws {
        try withUnsafePointer(to: value) { try codec.encode($0, count: 1, into: &bytes) }
    }
}
