// SPDX-License-Identifier: Apache-2.0
//  Any Codable value as self-describing bytes: the way for types whose memory is not understood.

import ThalwegBase

/// Encodes and decodes through `Codable`, keys and all. Slow and complete.
///
/// A value is a tag byte and its payload; see ``PlainNode/Tag``. Sets and dictionaries are sorted by their encoded
/// keys, so equal values have equal bytes.
enum PlainCodec {
    /// Values nested deeper than this are refused, so that hostile bytes cannot exhaust the stack.
    static let depthMax = 128

    static func encode(_ value: some Encodable, into writer: inout ByteWriter) throws(ThalwegError) {
        let mark = writer.count
        do {
            try PlainNode.boxed(value).write(into: &writer, depth: 0)
        } catch let error as ThalwegError {
            writer.truncate(to: mark)
            throw error
        } catch {
            writer.truncate(to: mark)
            throw ThalwegError(.input, "a value refused to be encoded", detail: "\(type(of: value))", cause: error)
        }
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws(ThalwegError) -> Value {
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ThalwegError) in try decode(type, from: buffer) }
        }
        return try result.get()
    }

    static func decode<Value: Decodable>(
        _: Value.Type, from bytes: UnsafeRawBufferPointer
    ) throws(ThalwegError) -> Value {
        var reader = ByteReader(bytes)
        let node = try PlainNode.read(from: &reader, depth: 0)
        guard reader.remaining == 0 else { throw reader.damaged("bytes follow the value") }
        do {
            return try Value(from: PlainDecoder(node: node, codingPath: []))
        } catch {
            throw ThalwegError(.corrupt, "bytes are no value of the type", detail: "\(Value.self)", cause: error)
        }
    }
}

/// A value between `Codable` and bytes. A class, because containers fill it after it was added to its parent.
final class PlainNode {
    enum Content {
        case null
        case bool(Bool)
        case int(Int64)
        case unsigned(UInt64)
        case float(Float)
        case double(Double)
        case string(String)
        case array([PlainNode])
        case map([(key: String, value: PlainNode)])
        /// A nil inside an optional that is not nil itself.
        case some(PlainNode)
    }

    enum Tag: UInt8 {
        case null, no, yes, int, unsigned, float, double, string, array, map, some
    }

    var content: Content

    init(_ content: Content) { self.content = content }

    /// The value as a node.
    static func boxed<Value: Encodable>(_ value: Value, codingPath: [any CodingKey] = []) throws -> PlainNode {
        let node = PlainNode(.null)
        try value.encode(to: PlainEncoder(node: node, codingPath: codingPath))
        if Value.self is any Unordered.Type { try node.sort(isDictionary: Value.self is any UnorderedPairs.Type) }
        return node
    }

    func write(into writer: inout ByteWriter, depth: Int) throws(ThalwegError) {
        guard depth < PlainCodec.depthMax else {
            throw ThalwegError(.input, "a value is nested too deep", detail: "more than \(PlainCodec.depthMax) levels")
        }
        switch content {
        case .null: writer.append(Tag.null.rawValue)
        case .bool(let value): writer.append((value ? Tag.yes : Tag.no).rawValue)
        case .int(let value):
            writer.append(Tag.int.rawValue)
            writer.appendVarint(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
        case .unsigned(let value):
            writer.append(Tag.unsigned.rawValue)
            writer.appendVarint(value)
        case .float(let value):
            writer.append(Tag.float.rawValue)
            writer.append(value.bitPattern)
        case .double(let value):
            writer.append(Tag.double.rawValue)
            writer.append(value.bitPattern)
        case .string(let value):
            writer.append(Tag.string.rawValue)
            writer.appendText(value)
        case .array(let nodes):
            writer.append(Tag.array.rawValue)
            writer.appendVarint(UInt64(nodes.count))
            for node in nodes { try node.write(into: &writer, depth: depth + 1) }
        case .map(let entries):
            writer.append(Tag.map.rawValue)
            writer.appendVarint(UInt64(entries.count))
            for entry in entries {
                writer.appendText(entry.key)
                try entry.value.write(into: &writer, depth: depth + 1)
            }
        case .some(let node):
            writer.append(Tag.some.rawValue)
            try node.write(into: &writer, depth: depth + 1)
        }
    }

    static func read(from reader: inout ByteReader, depth: Int) throws(ThalwegError) -> PlainNode {
        guard depth < PlainCodec.depthMax else { throw reader.damaged("values are nested too deep") }
        guard let tag = Tag(rawValue: try reader.read(UInt8.self)) else { throw reader.damaged("unknown tag") }
        switch tag {
        case .null: return PlainNode(.null)
        case .no: return PlainNode(.bool(false))
        case .yes: return PlainNode(.bool(true))
        case .int:
            let word = try reader.readVarint()
            return PlainNode(.int(Int64(bitPattern: word >> 1) ^ -Int64(bitPattern: word & 1)))
        case .unsigned: return PlainNode(.unsigned(try reader.readVarint()))
        case .float: return PlainNode(.float(Float(bitPattern: try reader.read())))
        case .double: return PlainNode(.double(Double(bitPattern: try reader.read())))
        case .string: return PlainNode(.string(try reader.readText()))
        case .array:
            let count = try reader.readLength()
            var nodes: [PlainNode] = []
            for _ in 0..<count { nodes.append(try read(from: &reader, depth: depth + 1)) }
            return PlainNode(.array(nodes))
        case .map:
            let count = try reader.readLength(itemBytes: 2)
            var entries: [(key: String, value: PlainNode)] = []
            for _ in 0..<count {
                entries.append((try reader.readText(), try read(from: &reader, depth: depth + 1)))
            }
            return PlainNode(.map(entries))
        case .some: return PlainNode(.some(try read(from: &reader, depth: depth + 1)))
        }
    }

    /// Puts the content of a set or dictionary into an order that does not depend on the process.
    private func sort(isDictionary: Bool) throws {
        switch content {
        case .map(let entries):
            content = .map(entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) })
        case .array(let nodes):
            let step = isDictionary ? 2 : 1
            guard nodes.count.isMultiple(of: step) else { return }
            var groups: [(key: [UInt8], nodes: ArraySlice<PlainNode>)] = []
            for start in stride(from: 0, to: nodes.count, by: step) {
                var writer = ByteWriter()
                try nodes[start].write(into: &writer, depth: 0)
                groups.append((writer.bytes(), nodes[start..<start + step]))
            }
            groups.sort { $0.key.lexicographicallyPrecedes($1.key) }
            content = .array(groups.flatMap(\.nodes))
        default: break
        }
    }
}

/// Tells optionals inside optionals from nil.
protocol PlainOptional {}
extension Optional: PlainOptional {}

/// Collections without an order of their own.
private protocol Unordered {}
private protocol UnorderedPairs {}
extension Set: Unordered {}
extension Dictionary: Unordered, UnorderedPairs {}

extension ByteWriter {
    /// Appends a string as its length and its UTF-8.
    mutating func appendText(_ text: String) {
        var text = text
        text.withUTF8 { utf8 in
            appendVarint(UInt64(utf8.count))
            append(UnsafeRawBufferPointer(utf8))
        }
    }
}

extension ByteReader {
    /// Reads what ``ByteWriter/appendText(_:)`` wrote.
    mutating func readText() throws(ThalwegError) -> String {
        let count = try readLength()
        let bytes = try read(count: count)
        guard let text = String(validating: bytes.bindMemory(to: UInt8.self), as: UTF8.self) else {
            throw damaged("a string is not UTF-8")
        }
        return text
    }
}
