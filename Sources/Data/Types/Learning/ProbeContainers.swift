// SPDX-License-Identifier: Apache-2.0
//  The containers of the probing decoder.

import ThalwegBase

struct ProbeKeyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: ProbeDecoder
    var codingPath: [any CodingKey] { [] }
    private var probe: Probe { decoder.probe }

    /// Refuses what only a type with its own way of decoding asks for.
    private func mustGuess(_ what: String) throws {
        switch decoder.role {
        case .guess: return
        case .study(let recorder): throw recorder.refuse(what)
        case .inner: throw Refusal(what)
        }
    }

    var allKeys: [Key] {
        do { try mustGuess("it asks which keys there are") } catch { return [] }
        if let cases = EnumCases.all(of: Key.self) { return [cases[probe.attempt % cases.count]] }
        return decoder.isDeep ? [] : [Key(stringValue: "1")].compactMap { $0 }
    }

    func contains(_ key: Key) -> Bool {
        do { try mustGuess("it asks whether a key is there") } catch { return false }
        return true
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        try mustGuess("it asks for nil itself")
        return decoder.isDeep
    }

    /// A value for a key, of whatever type is asked for.
    private func value<Value: Decodable>(_: Value.Type, _ key: Key) throws -> Value {
        switch decoder.role {
        case .study(let recorder):
            let mark = probe.tape.count
            let type = try recorder.type(of: Value.self)
            let value = try probe.value(Value.self, as: type)
            try recorder.note(key.stringValue, type, value, probe.tape[mark...])
            return value
        case .inner(.record(let shape)):
            guard let field = shape.fields.first(where: { $0.name == key.stringValue }) else {
                throw Refusal("it decodes other fields at times")
            }
            return try probe.value(Value.self, as: field.type)
        case .inner: throw Refusal("it asks for named values")
        case .guess: return try decoder.guess(Value.self)
        }
    }

    /// A value that may be absent: as the optional of its type.
    private func optional<Value: Decodable>(_: Value.Type, _ key: Key) throws -> Value? {
        if case .guess = decoder.role { return decoder.isDeep ? nil : try decoder.guess(Value.self) }
        return try value(Value?.self, key)
    }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try value(type, key) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try value(type, key) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try value(type, key) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try value(type, key) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try value(type, key) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try value(type, key) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try value(type, key) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try value(type, key) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try value(type, key) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try value(type, key) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try value(type, key) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try value(type, key) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try value(type, key) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try value(type, key) }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try value(type, key) }

    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { try optional(type, key) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { try optional(type, key) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { try optional(type, key) }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? { try optional(type, key) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { try optional(type, key) }
    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? { try optional(type, key) }
    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? { try optional(type, key) }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { try optional(type, key) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { try optional(type, key) }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { try optional(type, key) }

    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        try optional(type, key)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try mustGuess("it decodes nested values itself")
        return try decoder.deeper().container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try mustGuess("it decodes nested lists itself")
        return try decoder.deeper().unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        try mustGuess("it has a superclass")
        return try decoder.deeper()
    }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        try mustGuess("it has a superclass")
        return try decoder.deeper()
    }
}

struct ProbeUnkeyed: UnkeyedDecodingContainer {
    let decoder: ProbeDecoder
    let element: FieldType?
    let total: Int
    var currentIndex = 0

    init(decoder: ProbeDecoder, element: FieldType?, count: Int) {
        self.decoder = decoder
        self.element = element
        total = count
    }

    var codingPath: [any CodingKey] { [] }
    var count: Int? { total }
    /// A type that does not look at the end, as a range or a duration, may read on.
    var isAtEnd: Bool { currentIndex >= total }

    private mutating func next<Value: Decodable>(_: Value.Type) throws -> Value {
        currentIndex += 1
        if let element { return try decoder.probe.value(Value.self, as: element) }
        return try decoder.guess(Value.self)
    }

    mutating func decodeNil() throws -> Bool {
        guard element == nil else { throw Refusal("it asks for nil itself") }
        return false
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool { try next(type) }
    mutating func decode(_ type: String.Type) throws -> String { try next(type) }
    mutating func decode(_ type: Double.Type) throws -> Double { try next(type) }
    mutating func decode(_ type: Float.Type) throws -> Float { try next(type) }
    mutating func decode(_ type: Int.Type) throws -> Int { try next(type) }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try next(type) }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try next(type) }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try next(type) }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try next(type) }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try next(type) }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try next(type) }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try next(type) }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try next(type) }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try next(type) }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next(type) }

    private func mustGuess() throws -> ProbeDecoder {
        guard element == nil else { throw Refusal("it decodes nested values itself") }
        return try decoder.deeper()
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> { try mustGuess().container(keyedBy: type) }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try mustGuess().unkeyedContainer()
    }

    mutating func superDecoder() throws -> any Decoder { try mustGuess() }
}

struct ProbeSingle: SingleValueDecodingContainer {
    let decoder: ProbeDecoder
    var codingPath: [any CodingKey] { [] }
    private var probe: Probe { decoder.probe }

    func decodeNil() -> Bool {
        switch decoder.role {
        case .inner(.optional): return !probe.decidePresence()
        case .inner: return false
        case .guess: return decoder.isDeep
        case .study(let recorder):
            _ = recorder.refuse("it asks for nil itself")
            return false
        }
    }

    /// True if the decoder stands for just this scalar: the end of the line.
    private func isScalar(_ kinds: ScalarKind...) -> Bool {
        if case .inner(.scalar(let kind)) = decoder.role { kinds.contains(kind) } else { false }
    }

    private var isGuess: Bool { if case .guess = decoder.role { true } else { false } }

    private func integer<Value: FixedWidthInteger & Decodable>(
        _ type: Value.Type, _ kinds: ScalarKind...
    ) throws -> Value {
        if case .inner(.scalar(let kind)) = decoder.role, kinds.contains(kind) { return probe.integer(type) }
        if isGuess { return Value(clamping: probe.guessedNumber()) }
        return try decoder.single(type)
    }

    func decode(_ type: Bool.Type) throws -> Bool {
        if isScalar(.bool) { return probe.bool() }
        return isGuess ? true : try decoder.single(type)
    }

    func decode(_ type: String.Type) throws -> String {
        if isScalar(.string) { return probe.string() }
        return isGuess ? probe.guessedText() : try decoder.single(type)
    }

    func decode(_ type: Double.Type) throws -> Double {
        if isScalar(.double) { return probe.double() }
        return isGuess ? Double(probe.guessedNumber()) : try decoder.single(type)
    }

    func decode(_ type: Float.Type) throws -> Float {
        if isScalar(.float) { return probe.float() }
        return isGuess ? Float(probe.guessedNumber()) : try decoder.single(type)
    }

    func decode(_ type: Int.Type) throws -> Int { try integer(type, .int64) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type, .int8) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type, .int16) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type, .int32) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type, .int64, .time) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type, .uint64) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type, .uint8) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type, .uint16) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type, .uint32) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type, .uint64) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try decoder.single(type) }
}
