// SPDX-License-Identifier: Apache-2.0
//  Values of a schema as keys: order-preserving bytes, and the hash that decides the key group.

import ThalwegBase

extension DynamicCodec {
    /// Reads a key as ``KeyEncoder`` wrote it. The bytes need not be trusted.
    public func decodeKey(_ reader: inout ByteReader) throws(ThalwegError) -> DynamicValue {
        try Self.decodeKey(schema.root, &reader)
    }

    /// Appends a key as ``KeyEncoder`` does.
    ///
    /// - Throws: kind `input` when the value is not one of the schema; then `writer` is as before.
    public func encodeKey(_ value: DynamicValue, into writer: inout ByteWriter) throws(ThalwegError) {
        let mark = writer.count
        do throws(ThalwegError) {
            try Self.encodeKey(value, schema.root, into: &writer)
        } catch {
            writer.truncate(to: mark)
            throw error
        }
    }

    /// The encoding of one key.
    public func encodeKey(_ value: DynamicValue) throws(ThalwegError) -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        try encodeKey(value, into: &writer)
        return writer.bytes()
    }

    // MARK: Decoding

    private static func decodeKey(
        _ type: SchemaType, _ reader: inout ByteReader
    ) throws(ThalwegError) -> DynamicValue {
        switch type {
        case .scalar(let kind): return try decodeKey(kind, &reader)
        case .optional(let wrapped):
            switch try reader.read(UInt8.self) {
            case 0: return .null
            case 1: return try decodeKey(wrapped, &reader).wrapped(wrapped)
            default: throw reader.damaged("an optional in a key is neither there nor nil")
            }
        case .array(let element):
            var values: [DynamicValue] = []
            while true {
                switch try reader.read(UInt8.self) {
                case 0: return .array(values)
                case 1: values.append(try decodeKey(element, &reader))
                default: throw reader.damaged("a list in a key does not end")
                }
            }
        case .record(let fields):
            var values: [DynamicValue.Field] = []
            for field in fields { values.append(DynamicValue.Field(field.name, try decodeKey(field.type, &reader))) }
            return .record(values)
        case .rawValue(.string, _): return try decodeKey(.string, &reader)
        case .rawValue(let kind, _):
            return DynamicValue(rawValue: KeyOrder.integer(try reader.readBigEndian(UInt64.self), kind), kind)
        case .codable:
            let bytes = try reader.readEscaped()
            let result = bytes.withUnsafeBytes { buffer in
                Result { () throws(ThalwegError) in try DynamicValue.plain(buffer) }
            }
            return try result.get()
        }
    }

    private static func decodeKey(
        _ kind: ScalarKind, _ reader: inout ByteReader
    ) throws(ThalwegError) -> DynamicValue {
        switch kind {
        case .bool:
            let byte = try reader.read(UInt8.self)
            guard byte <= 1 else { throw reader.damaged("a truth value is neither 0 nor 1") }
            return .bool(byte == 1)
        case .uint8: return .integer(Int64(try reader.read(UInt8.self)))
        case .int8: return .integer(Int64(Int8(bitPattern: try reader.read(UInt8.self) ^ 0x80)))
        case .uint16: return .integer(Int64(try reader.readBigEndian(UInt16.self)))
        case .int16: return .integer(Int64(Int16(bitPattern: try reader.readBigEndian(UInt16.self) ^ 0x8000)))
        case .uint32: return .integer(Int64(try reader.readBigEndian(UInt32.self)))
        case .int32: return .integer(Int64(Int32(bitPattern: try reader.readBigEndian(UInt32.self) ^ 0x8000_0000)))
        case .uint64: return .unsigned(try reader.readBigEndian(UInt64.self))
        case .int64: return .integer(Int64(bitPattern: try reader.readBigEndian(UInt64.self) ^ 1 << 63))
        case .time:
            let word = try reader.readBigEndian(UInt64.self) ^ 1 << 63
            return .time(EventTime(milliseconds: Int64(bitPattern: word)))
        case .float: return .float(KeyOrder.float(try reader.readBigEndian(UInt32.self)))
        case .double: return .double(KeyOrder.double(try reader.readBigEndian(UInt64.self)))
        case .string:
            guard let text = String(validating: try reader.readEscaped(), as: UTF8.self) else {
                throw reader.damaged("a string in a key is not UTF-8")
            }
            return .string(text)
        }
    }

    // MARK: Encoding

    private static func encodeKey(
        _ value: DynamicValue, _ type: SchemaType, into writer: inout ByteWriter
    ) throws(ThalwegError) {
        switch (type, value) {
        case (.scalar(let kind), _): try encodeKey(value, kind, into: &writer)
        case (.optional, .null): writer.append(0 as UInt8)
        case (.optional(let wrapped), _):
            writer.append(1 as UInt8)
            try encodeKey(value.unwrapped(wrapped), wrapped, into: &writer)
        case (.array(let element), .array(let values)):
            for value in values {
                writer.append(1 as UInt8)
                try encodeKey(value, element, into: &writer)
            }
            writer.append(0 as UInt8)
        case (.record(let fields), .record(let values)):
            guard fields.map(\.name) == values.map(\.name) else { throw misfit(value, type) }
            for (field, value) in zip(fields, values) { try encodeKey(value.value, field.type, into: &writer) }
        case (.rawValue(.string, _), .string): try encodeKey(value, .string, into: &writer)
        case (.rawValue(let kind, _), _): writer.appendBigEndian(KeyOrder.word(try value.rawValue(kind), kind))
        case (.codable, _):
            var plain = ByteWriter()
            try value.node.write(into: &plain, depth: 0)
            plain.withBytes { writer.appendEscaped($0) }
        default: throw misfit(value, type)
        }
    }

    private static func encodeKey(
        _ value: DynamicValue, _ kind: ScalarKind, into writer: inout ByteWriter
    ) throws(ThalwegError) {
        switch (kind, value) {
        case (.bool, .bool(let value)): writer.append(value ? 1 : 0 as UInt8)
        case (.uint64, .unsigned(let number)): writer.appendBigEndian(number)
        case (.float, .float(let number)): writer.appendBigEndian(KeyOrder.word(number))
        case (.double, .double(let number)): writer.appendBigEndian(KeyOrder.word(number))
        case (.time, .time(let time)): writer.appendBigEndian(UInt64(bitPattern: time.milliseconds) ^ 1 << 63)
        case (.string, .string(let text)):
            var text = text
            text.withUTF8 { writer.appendEscaped(UnsafeRawBufferPointer($0)) }
        case (_, .integer(let number)):
            guard let range = kind.integers, range.contains(number) else { throw misfit(value, .scalar(kind)) }
            // The lowest number of the type becomes 0.
            let word = UInt64(bitPattern: number &- range.lowerBound)
            switch kind.size {
            case 1: writer.append(UInt8(truncatingIfNeeded: word))
            case 2: writer.appendBigEndian(UInt16(truncatingIfNeeded: word))
            case 4: writer.appendBigEndian(UInt32(truncatingIfNeeded: word))
            default: writer.appendBigEndian(word)
            }
        default: throw misfit(value, .scalar(kind))
        }
    }
}

// MARK: The hash

extension DynamicCodec {
    /// The stable hash of a key: what ``KeyHasher`` gives for the value in Swift.
    ///
    /// - Throws: kind `input` when the value is not one of the schema.
    public func hash(_ value: DynamicValue) throws(ThalwegError) -> UInt64 {
        switch schema.root {
        case .record:
            // A record of integers without gaps hashes as the words of its memory.
            if let size = schema.root.wordBytes {
                var memory = try encode(value)
                guard memory.count == size else { throw Self.misfit(value, schema.root) }
                memory += Array(repeating: 0, count: (8 - size % 8) % 8)
                return memory.withUnsafeBytes { KeyHashWords.words($0.baseAddress.unsafelyUnwrapped, size: size) }
            }
            return StableHash.mix(try Self.foldHash(value, schema.root, into: Self.foldStart))
        case .optional: return StableHash.mix(try Self.foldHash(value, schema.root, into: Self.foldStart))
        default: return try Self.partHash(value, schema.root)
        }
    }

    private static var foldStart: UInt64 { 0x5448_414C_5745_4701 }

    private static func foldHash(
        _ value: DynamicValue, _ type: SchemaType, into start: UInt64
    ) throws(ThalwegError) -> UInt64 {
        switch (type, value) {
        case (.optional, .null): return StableHash.combine(start, 0)
        case (.optional(let wrapped), _):
            return try foldHash(value.unwrapped(wrapped), wrapped, into: StableHash.combine(start, 1))
        case (.record(let fields), .record(let values)):
            guard fields.count == values.count else { throw misfit(value, type) }
            var hash = start
            for (field, value) in zip(fields, values) { hash = try foldHash(value.value, field.type, into: hash) }
            return hash
        default: return StableHash.combine(start, try partHash(value, type))
        }
    }

    private static func partHash(_ value: DynamicValue, _ type: SchemaType) throws(ThalwegError) -> UInt64 {
        switch (type, value) {
        case (.scalar(.bool), .bool(let value)): return StableHash.mix(value ? 1 : 0)
        case (.scalar(.float), .float(let number)): return StableHash.mix(UInt64(KeyOrder.word(number)))
        case (.scalar(.double), .double(let number)): return StableHash.mix(KeyOrder.word(number))
        case (.scalar(.time), .time(let time)): return KeyHashWords.number(time.milliseconds)
        case (.scalar(.uint64), .unsigned(let number)): return KeyHashWords.number(number)
        case (.scalar(let kind), .integer(let number)) where kind.integers != nil: return KeyHashWords.number(number)
        case (.scalar(.string), .string(let text)), (.rawValue(.string, _), .string(let text)):
            return KeyHashWords.text(text)
        case (.rawValue(let kind, _), _):
            return StableHash.mix(UInt64(bitPattern: try value.rawValue(kind)))
        case (.array(let element), .array(let values)):
            var hash = StableHash.mix(UInt64(values.count))
            for value in values { hash = try foldHash(value, element, into: hash) }
            return hash
        case (.codable, _):
            var plain = ByteWriter()
            try value.node.write(into: &plain, depth: 0)
            return plain.withBytes { StableHash.bytes($0) }
        default: throw misfit(value, type)
        }
    }
}

extension SchemaType {
    /// The bytes in memory of a record that has integers only and no gaps between them; nil for all others.
    fileprivate var wordBytes: Int? {
        guard let layout = wordLayout, layout.size == layout.covered, layout.size > 0 else { return nil }
        return layout.size
    }

    private var wordLayout: (size: Int, alignment: Int, covered: Int)? {
        switch self {
        case .scalar(let kind) where kind.isIntegerLike: return (kind.size, kind.size, kind.size)
        case .record(let fields):
            var (size, alignment, covered) = (0, 1, 0)
            for field in fields {
                guard let layout = field.type.wordLayout else { return nil }
                size = (size + layout.alignment - 1) / layout.alignment * layout.alignment + layout.size
                alignment = max(alignment, layout.alignment)
                covered += layout.covered
            }
            return (size, alignment, covered)
        default: return nil
        }
    }
}
