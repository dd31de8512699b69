// SPDX-License-Identifier: Apache-2.0
//  Rows: values by schema and by type, the schemas themselves, as text and as JSON.

import ThalwegSavepoint

/// The first byte says what the bytes are: a type's records, a schema as text with a value and a key of it, or a table
/// of states as JSON with an entry of the first one.
struct RowsTarget: FuzzTarget {
    private let types: [@Sendable (UnsafeRawBufferPointer) throws -> Void]

    init() throws {
        types = [
            try Self.trial(Wide.self), try Self.trial(Deep.self), try Self.trial(Doubled.self),
            try Self.trial([Inner?].self), try Self.trial(String.self), try Self.trial(Hollow.self),
        ]
    }

    func run(_ input: inout FuzzInput) throws {
        switch input.choice(of: 3) {
        case 0:
            let trial = types[input.choice(of: types.count)]
            try input.takeAll().withUnsafeBytes { try trial($0) }
        case 1: try schema(&input)
        default: try table(&input)
        }
    }

    /// What has been read is written so that it is read alike.
    private static func trial<Record: Codable & Sendable>(
        _: Record.Type
    ) throws -> @Sendable (UnsafeRawBufferPointer) throws -> Void {
        let type = try RecordType<Record>.learn()
        let (codec, dynamic, keys) = (RecordCodec(type), DynamicCodec(type.schema), KeyEncoder(type))
        return { bytes in
            ForgedSnapshot.attempt {
                var reader = ByteReader(bytes)
                _ = try keys.encode(try keys.decode(&reader))
            }
            var isTyped = false
            do {
                let record = try codec.decode(bytes)
                isTyped = true
                let written = try codec.encode(record)
                let again = try codec.encode(try written.withUnsafeBytes { try codec.decode($0) })
                // A decoding of its own may give something else each time.
                guard again == written || Record.self == Doubled.self else {
                    throw BrokenPromise("\(Record.self) is not what was written")
                }
            } catch let error as ThalwegError where error.kind == .corrupt {}
            let isDynamic = ForgedSnapshot.attempt { _ = try dynamic.decode(bytes) }
            // Types may refuse values that their schema allows, such as the case of an enum, and never the reverse.
            guard isDynamic || !isTyped else { throw BrokenPromise("\(Record.self) is read with its type only") }
        }
    }

    private func schema(_ input: inout FuzzInput) throws {
        let text = input.text(input.number16() % 512)
        let type = try SchemaType(text: text)
        guard try SchemaType(text: type.description) == type else { throw BrokenPromise("\(type) is another type") }
        let codec = DynamicCodec(RecordSchema(root: type))
        let bytes = input.takeAll()
        try bytes.withUnsafeBytes { bytes in
            ForgedSnapshot.attempt {
                var reader = ByteReader(bytes)
                let key = try codec.decodeKey(&reader)
                _ = try codec.hash(key)
                let written = try codec.encodeKey(key)
                try written.withUnsafeBytes {
                    var again = ByteReader($0)
                    guard try codec.encodeKey(try codec.decodeKey(&again)) == written, again.remaining == 0 else {
                        stop(at: BrokenPromise("a key of \(type) is not what was written"))
                    }
                }
            }
            var reader = ByteReader(bytes)
            let value = try codec.decode(&reader)
            _ = ForgedSnapshot.found { try DynamicValue(json: value.json, codec.schema) }
            let written = try codec.encode(value)
            guard try codec.encode(try written.withUnsafeBytes { try codec.decode($0) }) == written else {
                throw BrokenPromise("a value of \(type) is not what was written")
            }
        }
    }

    private func table(_ input: inout FuzzInput) throws {
        let table = input.take(input.number16() % 2048)
        let key = input.take(input.choice(of: 64))
        let value = input.takeAll()
        var plain: [UInt8] = []
        func append(varint number: Int) {
            var rest = number
            while rest >= 0x80 {
                plain.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            plain.append(UInt8(rest))
        }
        append(varint: 0)
        append(varint: key.count)
        append(varint: value.count << 2)
        plain += key + value
        let block = ForgedBlock(state: 0, count: 1, plain: plain)
        let states = max(1, JSONShape.elements(of: table))
        let bytes = SegmentBytes.file(table: table, states: states, [block])
        let files = [ForgedSnapshot.File(name: "0.segment", bytes: bytes, entries: 1)]
        try ForgedSnapshot.look(at: ForgedSnapshot.disk(files, metadata: ForgedSnapshot.metadata(files)))
    }
}
