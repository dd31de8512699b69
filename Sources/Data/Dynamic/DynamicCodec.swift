// SPDX-License-Identifier: Apache-2.0
//  Values of a schema as bytes and back: what RecordCodec does, without a Swift type.

import ThalwegBase

/// Encodes and decodes the values of one schema, as records (``RecordCodec``) and as keys (``KeyEncoder``). Gives and
/// takes the very bytes of those two; slower, as it walks the schema for each value.
public struct DynamicCodec: Sendable {
    public let schema: RecordSchema

    public init(_ schema: RecordSchema) { self.schema = schema }

    /// Reads a value. The bytes need not be trusted: damage gives an error of kind `corrupt`.
    public func decode(_ reader: inout ByteReader) throws(ThalwegError) -> DynamicValue {
        try Self.decode(schema.root, &reader)
    }

    /// The value that `bytes` are the whole encoding of.
    public func decode(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) -> DynamicValue {
        var reader = ByteReader(bytes)
        let value = try decode(&reader)
        guard reader.remaining == 0 else { throw reader.damaged("bytes follow the record") }
        return value
    }

    /// Appends the encoding of a value.
    ///
    /// - Throws: kind `input` when the value is not one of the schema; then `writer` is as before.
    public func encode(_ value: DynamicValue, into writer: inout ByteWriter) throws(ThalwegError) {
        let mark = writer.count
        do throws(ThalwegError) {
            try Self.encode(value, schema.root, into: &writer)
        } catch {
            writer.truncate(to: mark)
            throw error
        }
    }

    /// The encoding of one value.
    public func encode(_ value: DynamicValue) throws(ThalwegError) -> [UInt8] {
        var writer = ByteWriter(capacity: 128)
        try encode(value, into: &writer)
        return writer.bytes()
    }

    static func misfit(_ value: DynamicValue, _ type: SchemaType) -> ThalwegError {
        ThalwegError(.input, "a value does not fit its schema", detail: "\(value.json) is no \(type)")
    }
}

// MARK: Decoding

extension DynamicCodec {
    private static func decode(_ type: SchemaType, _ reader: inout ByteReader) throws(ThalwegError) -> DynamicValue {
        switch type {
        case .scalar(let kind): return try decode(kind, &reader)
        case .optional(let wrapped):
            switch try reader.read(UInt8.self) {
            case 0: return .null
            case 1: return try decode(wrapped, &reader).wrapped(wrapped)
            default: throw reader.damaged("an optional is neither there nor nil")
            }
        case .array(let element):
            var values: [DynamicValue] = []
            for _ in 0..<(try count(of: element, &reader)) { values.append(try decode(element, &reader)) }
            return .array(values)
        case .record(let fields):
            var values: [DynamicValue.Field] = []
            values.reserveCapacity(fields.count)
            for field in fields { values.append(DynamicValue.Field(field.name, try decode(field.type, &reader))) }
            return .record(values)
        case .rawValue(.string, _): return .string(try reader.readText())
        case .rawValue(let kind, _):
            let word = try reader.readVarint()
            return DynamicValue(rawValue: Int64(bitPattern: word >> 1) ^ -Int64(bitPattern: word & 1), kind)
        case .codable:
            let length = try reader.read(UInt32.self)
            return try .plain(try reader.read(count: Int(length)))
        }
    }

    private static func count(of element: SchemaType, _ reader: inout ByteReader) throws(ThalwegError) -> Int {
        let least = element.encodedBytesMin
        if least > 0 { return try reader.readLength(itemBytes: least) }
        let count = try reader.readVarint()
        guard count <= UInt64(Program.emptyElementsMax) else {
            throw reader.damaged("an array of nothing is too long")
        }
        return Int(count)
    }

    private static func decode(_ kind: ScalarKind, _ reader: inout ByteReader) throws(ThalwegError) -> DynamicValue {
        switch kind {
        case .bool:
            let byte = try reader.read(UInt8.self)
            guard byte <= 1 else { throw reader.damaged("a truth value is neither 0 nor 1") }
            return .bool(byte == 1)
        case .int8: return .integer(Int64(try reader.read(Int8.self)))
        case .int16: return .integer(Int64(try reader.read(Int16.self)))
        case .int32: return .integer(Int64(try reader.read(Int32.self)))
        case .int64: return .integer(try reader.read(Int64.self))
        case .uint8: return .integer(Int64(try reader.read(UInt8.self)))
        case .uint16: return .integer(Int64(try reader.read(UInt16.self)))
        case .uint32: return .integer(Int64(try reader.read(UInt32.self)))
        case .uint64: return .unsigned(try reader.read(UInt64.self))
        case .float: return .float(Float(bitPattern: try reader.read(UInt32.self)))
        case .double: return .double(Double(bitPattern: try reader.read(UInt64.self)))
        case .time: return .time(EventTime(milliseconds: try reader.read(Int64.self)))
        case .string: return .string(try reader.readText())
        }
    }
}

extension DynamicValue {
    /// The raw value of an enum from the number it is stored as.
    init(rawValue: Int64, _ kind: ScalarKind) {
        self = kind == .uint64 ? .unsigned(UInt64(bitPattern: rawValue)) : .integer(rawValue)
    }

    /// The number that the raw value of an enum is stored as.
    func rawValue(_ kind: ScalarKind) throws(ThalwegError) -> Int64 {
        switch self {
        case .integer(let value) where kind != .uint64: value
        case .unsigned(let value) where kind == .uint64: Int64(bitPattern: value)
        default: throw DynamicCodec.misfit(self, .rawValue(kind))
        }
    }

    /// As the value of an optional that wraps `type`.
    func wrapped(_ type: SchemaType) -> DynamicValue {
        if case .optional = type { .some(self) } else { self }
    }

    /// The value of an optional that wraps `type`, and that is not nil.
    func unwrapped(_ type: SchemaType) -> DynamicValue {
        if case .optional = type, case .some(let value) = self { value } else { self }
    }
}

// MARK: Encoding

extension DynamicCodec {
    private static func encode(
        _ value: DynamicValue, _ type: SchemaType, into writer: inout ByteWriter
    ) throws(ThalwegError) {
        switch (type, value) {
        case (.scalar(let kind), _): try encode(value, kind, into: &writer)
        case (.optional, .null): writer.append(0 as UInt8)
        case (.optional(let wrapped), _):
            writer.append(1 as UInt8)
            try encode(value.unwrapped(wrapped), wrapped, into: &writer)
        case (.array(let element), .array(let values)):
            writer.appendVarint(UInt64(values.count))
            for value in values { try encode(value, element, into: &writer) }
        case (.record(let fields), .record(let values)):
            guard fields.map(\.name) == values.map(\.name) else { throw misfit(value, type) }
            for (field, value) in zip(fields, values) { try encode(value.value, field.type, into: &writer) }
        case (.rawValue(.string, _), .string(let text)): writer.appendText(text)
        case (.rawValue(let kind, _), _):
            let number = try value.rawValue(kind)
            writer.appendVarint(UInt64(bitPattern: (number << 1) ^ (number >> 63)))
        case (.codable, _):
            let start = writer.count
            writer.append(UInt32(0))
            try value.node.write(into: &writer, depth: 0)
            guard let length = UInt32(exactly: writer.count - start - 4) else {
                throw ThalwegError(.input, "a value is too long", detail: "\(writer.count - start) bytes")
            }
            writer.store(length, at: start)
        default: throw misfit(value, type)
        }
    }

    private static func encode(
        _ value: DynamicValue, _ kind: ScalarKind, into writer: inout ByteWriter
    ) throws(ThalwegError) {
        switch (kind, value) {
        case (.bool, .bool(let value)): writer.append(value ? 1 : 0 as UInt8)
        case (.uint64, .unsigned(let number)): writer.append(number)
        case (.float, .float(let number)): writer.append(number.bitPattern)
        case (.double, .double(let number)): writer.append(number.bitPattern)
        case (.time, .time(let time)): writer.append(time.milliseconds)
        case (.string, .string(let text)): writer.appendText(text)
        case (_, .integer(let number)):
            guard let range = kind.integers, range.contains(number) else { throw misfit(value, .scalar(kind)) }
            switch kind.size {
            case 1: writer.append(UInt8(truncatingIfNeeded: number))
            case 2: writer.append(UInt16(truncatingIfNeeded: number))
            case 4: writer.append(UInt32(truncatingIfNeeded: number))
            default: writer.append(number)
            }
        default: throw misfit(value, .scalar(kind))
        }
    }
}

extension ScalarKind {
    /// The whole numbers that fit; nil for kinds whose ``DynamicValue`` is no `integer`.
    package var integers: ClosedRange<Int64>? {
        switch self {
        case .int8: Int64(Int8.min)...Int64(Int8.max)
        case .int16: Int64(Int16.min)...Int64(Int16.max)
        case .int32: Int64(Int32.min)...Int64(Int32.max)
        case .int64: Int64.min...Int64.max
        case .uint8: 0...Int64(UInt8.max)
        case .uint16: 0...Int64(UInt16.max)
        case .uint32: 0...Int64(UInt32.max)
        case .bool, .uint64, .float, .double, .string, .time: nil
        }
    }
}
