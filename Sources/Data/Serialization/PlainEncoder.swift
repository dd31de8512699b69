// SPDX-License-Identifier: Apache-2.0
//  The encoder side of the plain codec.

/// Turns what a value encodes into nodes.
struct PlainEncoder: Encoder {
    let node: PlainNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy _: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .map = node.content {} else { node.content = .map([]) }
        return KeyedEncodingContainer(PlainKeyedEncoder<Key>(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .array = node.content {} else { node.content = .array([]) }
        return PlainUnkeyedEncoder(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        PlainSingleEncoder(node: node, codingPath: codingPath)
    }
}

extension PlainNode {
    fileprivate convenience init(_ value: Int64) { self.init(.int(value)) }

    fileprivate convenience init(_ value: UInt64) {
        if let small = Int64(exactly: value) { self.init(.int(small)) } else { self.init(.unsigned(value)) }
    }

    fileprivate func set(_ node: PlainNode, forKey key: any CodingKey) {
        guard case .map(var entries) = content else { return }
        content = .null  // so that the array is not copied
        if let place = entries.firstIndex(where: { $0.key == key.stringValue }) {
            entries[place].value = node
        } else {
            entries.append((key.stringValue, node))
        }
        content = .map(entries)
    }

    fileprivate func append(_ node: PlainNode) {
        guard case .array(var nodes) = content else { return }
        content = .null  // so that the array is not copied
        nodes.append(node)
        content = .array(nodes)
    }
}

private struct PlainKeyedEncoder<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: PlainNode
    let codingPath: [any CodingKey]

    mutating func encodeNil(forKey key: Key) { node.set(PlainNode(.null), forKey: key) }
    mutating func encode(_ value: Bool, forKey key: Key) { node.set(PlainNode(.bool(value)), forKey: key) }
    mutating func encode(_ value: String, forKey key: Key) { node.set(PlainNode(.string(value)), forKey: key) }
    mutating func encode(_ value: Double, forKey key: Key) { node.set(PlainNode(.double(value)), forKey: key) }
    mutating func encode(_ value: Float, forKey key: Key) { node.set(PlainNode(.float(value)), forKey: key) }
    mutating func encode(_ value: Int, forKey key: Key) { node.set(PlainNode(Int64(value)), forKey: key) }
    mutating func encode(_ value: Int8, forKey key: Key) { node.set(PlainNode(Int64(value)), forKey: key) }
    mutating func encode(_ value: Int16, forKey key: Key) { node.set(PlainNode(Int64(value)), forKey: key) }
    mutating func encode(_ value: Int32, forKey key: Key) { node.set(PlainNode(Int64(value)), forKey: key) }
    mutating func encode(_ value: Int64, forKey key: Key) { node.set(PlainNode(Int64(value)), forKey: key) }
    mutating func encode(_ value: UInt, forKey key: Key) { node.set(PlainNode(UInt64(value)), forKey: key) }
    mutating func encode(_ value: UInt8, forKey key: Key) { node.set(PlainNode(UInt64(value)), forKey: key) }
    mutating func encode(_ value: UInt16, forKey key: Key) { node.set(PlainNode(UInt64(value)), forKey: key) }
    mutating func encode(_ value: UInt32, forKey key: Key) { node.set(PlainNode(UInt64(value)), forKey: key) }
    mutating func encode(_ value: UInt64, forKey key: Key) { node.set(PlainNode(UInt64(value)), forKey: key) }

    mutating func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        node.set(try PlainNode.boxed(value, codingPath: codingPath + [key]), forKey: key)
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy _: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        let child = PlainNode(.map([]))
        node.set(child, forKey: key)
        return KeyedEncodingContainer(PlainKeyedEncoder<Nested>(node: child, codingPath: codingPath + [key]))
    }

    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        let child = PlainNode(.array([]))
        node.set(child, forKey: key)
        return PlainUnkeyedEncoder(node: child, codingPath: codingPath + [key])
    }

    mutating func superEncoder() -> any Encoder { superEncoder(for: PlainKey.super) }
    mutating func superEncoder(forKey key: Key) -> any Encoder { superEncoder(for: key) }

    private func superEncoder(for key: any CodingKey) -> any Encoder {
        let child = PlainNode(.null)
        node.set(child, forKey: key)
        return PlainEncoder(node: child, codingPath: codingPath + [key])
    }
}

private struct PlainUnkeyedEncoder: UnkeyedEncodingContainer {
    let node: PlainNode
    let codingPath: [any CodingKey]

    var count: Int { if case .array(let nodes) = node.content { nodes.count } else { 0 } }

    mutating func encodeNil() { node.append(PlainNode(.null)) }
    mutating func encode(_ value: Bool) { node.append(PlainNode(.bool(value))) }
    mutating func encode(_ value: String) { node.append(PlainNode(.string(value))) }
    mutating func encode(_ value: Double) { node.append(PlainNode(.double(value))) }
    mutating func encode(_ value: Float) { node.append(PlainNode(.float(value))) }
    mutating func encode(_ value: Int) { node.append(PlainNode(Int64(value))) }
    mutating func encode(_ value: Int8) { node.append(PlainNode(Int64(value))) }
    mutating func encode(_ value: Int16) { node.append(PlainNode(Int64(value))) }
    mutating func encode(_ value: Int32) { node.append(PlainNode(Int64(value))) }
    mutating func encode(_ value: Int64) { node.append(PlainNode(Int64(value))) }
    mutating func encode(_ value: UInt) { node.append(PlainNode(UInt64(value))) }
    mutating func encode(_ value: UInt8) { node.append(PlainNode(UInt64(value))) }
    mutating func encode(_ value: UInt16) { node.append(PlainNode(UInt64(value))) }
    mutating func encode(_ value: UInt32) { node.append(PlainNode(UInt64(value))) }
    mutating func encode(_ value: UInt64) { node.append(PlainNode(UInt64(value))) }

    mutating func encode<Value: Encodable>(_ value: Value) throws {
        node.append(try PlainNode.boxed(value, codingPath: codingPath))
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy _: Nested.Type) -> KeyedEncodingContainer<Nested> {
        let child = PlainNode(.map([]))
        node.append(child)
        return KeyedEncodingContainer(PlainKeyedEncoder<Nested>(node: child, codingPath: codingPath))
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        let child = PlainNode(.array([]))
        node.append(child)
        return PlainUnkeyedEncoder(node: child, codingPath: codingPath)
    }

    mutating func superEncoder() -> any Encoder {
        let child = PlainNode(.null)
        node.append(child)
        return PlainEncoder(node: child, codingPath: codingPath)
    }
}

private struct PlainSingleEncoder: SingleValueEncodingContainer {
    let node: PlainNode
    let codingPath: [any CodingKey]

    mutating func encodeNil() { node.content = .null }
    mutating func encode(_ value: Bool) { node.content = PlainNode(.bool(value)).content }
    mutating func encode(_ value: String) { node.content = PlainNode(.string(value)).content }
    mutating func encode(_ value: Double) { node.content = PlainNode(.double(value)).content }
    mutating func encode(_ value: Float) { node.content = PlainNode(.float(value)).content }
    mutating func encode(_ value: Int) { node.content = PlainNode(Int64(value)).content }
    mutating func encode(_ value: Int8) { node.content = PlainNode(Int64(value)).content }
    mutating func encode(_ value: Int16) { node.content = PlainNode(Int64(value)).content }
    mutating func encode(_ value: Int32) { node.content = PlainNode(Int64(value)).content }
    mutating func encode(_ value: Int64) { node.content = PlainNode(Int64(value)).content }
    mutating func encode(_ value: UInt) { node.content = PlainNode(UInt64(value)).content }
    mutating func encode(_ value: UInt8) { node.content = PlainNode(UInt64(value)).content }
    mutating func encode(_ value: UInt16) { node.content = PlainNode(UInt64(value)).content }
    mutating func encode(_ value: UInt32) { node.content = PlainNode(UInt64(value)).content }
    mutating func encode(_ value: UInt64) { node.content = PlainNode(UInt64(value)).content }

    mutating func encode<Value: Encodable>(_ value: Value) throws {
        let inner = try PlainNode.boxed(value, codingPath: codingPath)
        switch inner.content {
        case .null where Value.self is any PlainOptional.Type: node.content = .some(inner)
        case .some where Value.self is any PlainOptional.Type: node.content = .some(inner)
        default: node.content = inner.content
        }
    }
}

/// A key by its text.
struct PlainKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
        intValue = nil
    }

    init(intValue: Int) {
        stringValue = "\(intValue)"
        self.intValue = intValue
    }

    static var `super`: PlainKey { PlainKey(stringValue: "super") }
}
