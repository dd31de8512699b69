// SPDX-License-Identifier: Apache-2.0
//  A value whose Swift type is not known, only its schema.

import ThalwegBase

/// A value as its schema describes it: what tools read from bytes without the program that wrote them (FLIP-43).
public indirect enum DynamicValue: Hashable, Sendable {
    /// A field of a record.
    public struct Field: Hashable, Sendable {
        public var name: String
        public var value: DynamicValue

        public init(_ name: String, _ value: DynamicValue) {
            self.name = name
            self.value = value
        }
    }

    /// An optional that is nil.
    case null
    case bool(Bool)
    /// A whole number of a signed type, or of an unsigned one of at most 32 bits.
    case integer(Int64)
    case unsigned(UInt64)
    case float(Float)
    case double(Double)
    case string(String)
    case time(EventTime)
    case array([DynamicValue])
    case record([Field])
    /// The value of an optional that holds another optional, to tell the outer nil from the inner one.
    case some(DynamicValue)

    /// The value of a field of a record; nil when there is none of this name.
    public subscript(name: String) -> DynamicValue? {
        guard case .record(let fields) = self else { return nil }
        return fields.first { $0.name == name }?.value
    }
}

extension SchemaType {
    /// The least bytes that a value takes in a record's encoding.
    var encodedBytesMin: Int {
        switch self {
        case .scalar(.string), .optional, .array, .rawValue: 1
        case .scalar(let kind): kind.size
        case .record(let fields): fields.reduce(0) { $0 + $1.type.encodedBytesMin }
        case .codable: 4
        }
    }
}

// MARK: What only its own Codable understands

extension DynamicValue {
    /// Such values describe themselves: their names are known, the exact types of their numbers are not.
    init(_ node: PlainNode) {
        switch node.content {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .integer(value)
        case .unsigned(let value): self = .unsigned(value)
        case .float(let value): self = .float(value)
        case .double(let value): self = .double(value)
        case .string(let text): self = .string(text)
        case .array(let nodes): self = .array(nodes.map { DynamicValue($0) })
        case .map(let entries): self = .record(entries.map { Field($0.key, DynamicValue($0.value)) })
        case .some(let node): self = .some(DynamicValue(node))
        }
    }

    /// What plain `Codable` reads.
    var node: PlainNode {
        switch self {
        case .null: PlainNode(.null)
        case .bool(let value): PlainNode(.bool(value))
        case .integer(let value): PlainNode(.int(value))
        case .unsigned(let value): PlainNode(.unsigned(value))
        case .float(let value): PlainNode(.float(value))
        case .double(let value): PlainNode(.double(value))
        case .string(let text): PlainNode(.string(text))
        case .time(let time): PlainNode(.int(time.milliseconds))
        case .array(let values): PlainNode(.array(values.map(\.node)))
        case .record(let fields): PlainNode(.map(fields.map { ($0.name, $0.value.node) }))
        case .some(let value): PlainNode(.some(value.node))
        }
    }

    static func plain(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) -> DynamicValue {
        var reader = ByteReader(bytes)
        let node = try PlainNode.read(from: &reader, depth: 0)
        guard reader.remaining == 0 else { throw reader.damaged("bytes follow the value") }
        return DynamicValue(node)
    }
}
