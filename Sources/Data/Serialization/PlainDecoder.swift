// SPDX-License-Identifier: Apache-2.0
//  The decoder side of the plain codec.

/// Serves nodes to a value that decodes itself.
struct PlainDecoder: Decoder {
    let node: PlainNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy _: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .map(let entries) = node.content else { throw mismatch([String: PlainNode].self, "named values") }
        let values = Dictionary(entries.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        return KeyedDecodingContainer(
            PlainKeyedDecoder<Key>(names: entries.map(\.key), values: values, codingPath: codingPath))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let nodes) = node.content else { throw mismatch([PlainNode].self, "a list") }
        return PlainUnkeyedDecoder(nodes: nodes, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { PlainSingleDecoder(decoder: self) }

    func mismatch(_ type: any Any.Type, _ expected: String) -> DecodingError {
        DecodingError.typeMismatch(type, .init(codingPath: codingPath, debugDescription: "expected \(expected)"))
    }

    func value<Value: Decodable>(_: Value.Type) throws -> Value { try Value(from: self) }

    func value(_: Bool.Type) throws -> Bool {
        guard case .bool(let value) = node.content else { throw mismatch(Bool.self, "a truth value") }
        return value
    }

    func value(_: String.Type) throws -> String {
        guard case .string(let value) = node.content else { throw mismatch(String.self, "a string") }
        return value
    }

    func value(_: Double.Type) throws -> Double {
        guard case .double(let value) = node.content else { throw mismatch(Double.self, "a number") }
        return value
    }

    func value(_: Float.Type) throws -> Float {
        guard case .float(let value) = node.content else { throw mismatch(Float.self, "a number") }
        return value
    }

    func integer<Value: FixedWidthInteger>(_: Value.Type) throws -> Value {
        switch node.content {
        case .int(let wide): if let value = Value(exactly: wide) { return value }
        case .unsigned(let wide): if let value = Value(exactly: wide) { return value }
        default: break
        }
        throw mismatch(Value.self, "a whole number in range")
    }
}

private struct PlainKeyedDecoder<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let names: [String]
    let values: [String: PlainNode]
    let codingPath: [any CodingKey]

    var allKeys: [Key] { names.compactMap { Key(stringValue: $0) } }
    func contains(_ key: Key) -> Bool { values[key.stringValue] != nil }

    private func child(_ key: any CodingKey) throws -> PlainDecoder {
        guard let node = values[key.stringValue] else {
            throw DecodingError.keyNotFound(key, .init(codingPath: codingPath, debugDescription: "no such key"))
        }
        return PlainDecoder(node: node, codingPath: codingPath + [key])
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        if case .null = try child(key).node.content { true } else { false }
    }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try child(key).value(type) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try child(key).value(type) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try child(key).value(type) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try child(key).value(type) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try child(key).integer(type) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try child(key).integer(type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try child(key).integer(type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try child(key).integer(type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try child(key).integer(type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try child(key).integer(type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try child(key).integer(type) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try child(key).integer(type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try child(key).integer(type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try child(key).integer(type) }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try child(key).value(type) }

    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        // A key with null is the inner nil of an optional of an optional; without the key it is the outer one.
        guard contains(key), try Value.self is any PlainOptional.Type || !decodeNil(forKey: key) else { return nil }
        return try decode(type, forKey: key)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { try child(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try child(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { try child(PlainKey.super) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try child(key) }
}

private struct PlainUnkeyedDecoder: UnkeyedDecodingContainer {
    let nodes: [PlainNode]
    let codingPath: [any CodingKey]
    var currentIndex = 0

    init(nodes: [PlainNode], codingPath: [any CodingKey]) {
        self.nodes = nodes
        self.codingPath = codingPath
    }

    var count: Int? { nodes.count }
    var isAtEnd: Bool { currentIndex >= nodes.count }

    /// Reads the next value and moves on only if that worked.
    private mutating func next<Value>(_ read: (PlainDecoder) throws -> Value) throws -> Value {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                Value.self, .init(codingPath: codingPath, debugDescription: "the list has ended"))
        }
        let key = PlainKey(intValue: currentIndex)
        let value = try read(PlainDecoder(node: nodes[currentIndex], codingPath: codingPath + [key]))
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, case .null = nodes[currentIndex].content else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool { try next { try $0.value(type) } }
    mutating func decode(_ type: String.Type) throws -> String { try next { try $0.value(type) } }
    mutating func decode(_ type: Double.Type) throws -> Double { try next { try $0.value(type) } }
    mutating func decode(_ type: Float.Type) throws -> Float { try next { try $0.value(type) } }
    mutating func decode(_ type: Int.Type) throws -> Int { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try next { try $0.integer(type) } }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try next { try $0.integer(type) } }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try next { try $0.integer(type) } }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try next { try $0.value(type) } }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> { try next { try $0.container(keyedBy: type) } }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try next { try $0.unkeyedContainer() }
    }

    mutating func superDecoder() throws -> any Decoder { try next { $0 } }
}

private struct PlainSingleDecoder: SingleValueDecodingContainer {
    let decoder: PlainDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }

    func decodeNil() -> Bool {
        if case .null = decoder.node.content { true } else { false }
    }

    func decode(_ type: Bool.Type) throws -> Bool { try decoder.value(type) }
    func decode(_ type: String.Type) throws -> String { try decoder.value(type) }
    func decode(_ type: Double.Type) throws -> Double { try decoder.value(type) }
    func decode(_ type: Float.Type) throws -> Float { try decoder.value(type) }
    func decode(_ type: Int.Type) throws -> Int { try decoder.integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try decoder.integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try decoder.integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try decoder.integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try decoder.integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try decoder.integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try decoder.integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try decoder.integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try decoder.integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try decoder.integer(type) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if case .some(let inner) = decoder.node.content, Value.self is any PlainOptional.Type {
            return try PlainDecoder(node: inner, codingPath: codingPath).value(type)
        }
        return try decoder.value(type)
    }
}
