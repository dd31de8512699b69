// SPDX-License-Identifier: Apache-2.0
//  A type of values in snapshots, learned once.

import ThalwegBase
import ThalwegData

/// How values of one type are stored, and as what.
@usableFromInline
struct StoredType<Value: Codable & Sendable>: Sendable {
    let codec: RecordCodec<Value>
    let schema: RecordSchema

    /// Learns the type. Throws for classes.
    @usableFromInline
    init() throws(ThalwegError) {
        let type = try RecordType<Value>.learn()
        codec = RecordCodec(type)
        schema = type.schema
    }

    func encode(_ value: Value, into bytes: inout ByteWriter) throws {
        try withUnsafePointer(to: value) { try codec.encode($0, count: 1, into: &bytes) }
    }
}
