// SPDX-License-Identifier: Apache-2.0
//  Keys as bytes that sort as the keys do.

import ThalwegBase

/// Encodes keys so that comparing the bytes compares the keys.
///
/// | value | bytes |
/// |---|---|
/// | whole number, moment | big-endian, sign bit flipped |
/// | `Double`, `Float` | total order; -0 is 0, every NaN is the same and comes last |
/// | `String` | UTF-8 with 0x00 as 0x00 0xFF, then 0x00 0x00 |
/// | optional | 0x00 for nil, else 0x01 and the value |
/// | array | 0x01 before each element, 0x00 at the end |
/// | enum | its raw value |
/// | record | its fields in the order of declaration |
///
/// Strings compare by Unicode scalars. Values that only plain `Codable` reaches are encoded and decoded, but their
/// bytes have no meaningful order: ``isOrdered`` tells.
public struct KeyEncoder<Key: Codable & Sendable>: Sendable {
    /// True if the order of the bytes is the order of the keys.
    public let isOrdered: Bool
    /// The fingerprint of the key's schema.
    public let fingerprint: UInt64
    let program: Program?

    /// Learns the key's type.
    public init() throws(ThalwegError) { self.init(try RecordType<Key>.learn()) }

    public init(_ type: RecordType<Key>) {
        isOrdered = type.layout != nil && type.codableFields.isEmpty
        fingerprint = type.fingerprint
        program = type.layout?.program
    }

    /// Appends the encoding of `key`. Encodings can follow each other: none is the start of another.
    public func encode(_ key: Key, into writer: inout ByteWriter) throws(ThalwegError) {
        let mark = writer.count
        do throws(ThalwegError) {
            if let program {
                try withUnsafePointer(to: key) { pointer throws(ThalwegError) in
                    try program.encodeKey(UnsafeRawPointer(pointer), into: &writer)
                }
            } else {
                var plain = ByteWriter()
                try PlainCodec.encode(key, into: &plain)
                plain.withBytes { writer.appendEscaped($0) }
            }
        } catch {
            writer.truncate(to: mark)
            throw error
        }
    }

    /// The encoding of `key`.
    public func encode(_ key: Key) throws(ThalwegError) -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        try encode(key, into: &writer)
        return writer.bytes()
    }

    /// Reads a key back. The bytes need not be trusted.
    public func decode(_ reader: inout ByteReader) throws(ThalwegError) -> Key {
        guard let program else {
            let plain = try reader.readEscaped()
            return try PlainCodec.decode(Key.self, from: plain)
        }
        let memory = UnsafeMutablePointer<Key>.allocate(capacity: 1)
        defer { memory.deallocate() }
        try program.decodeKey(&reader, into: UnsafeMutableRawPointer(memory))
        return memory.move()
    }
}

extension ByteWriter {
    /// Appends a number most significant byte first.
    @inline(__always)
    mutating func appendBigEndian(_ value: some FixedWidthInteger & BitwiseCopyable) { append(value.byteSwapped) }

    /// Appends bytes so that they end recognisably and sort as they are.
    mutating func appendEscaped(_ bytes: UnsafeRawBufferPointer) {
        var start = 0
        for index in 0..<bytes.count where bytes[index] == 0 {
            append(UnsafeRawBufferPointer(rebasing: bytes[start...index]))
            append(0xFF as UInt8)
            start = index + 1
        }
        append(UnsafeRawBufferPointer(rebasing: bytes[start...]))
        append(0 as UInt16)
    }
}

extension ByteReader {
    /// Reads a number most significant byte first.
    @inline(__always)
    mutating func readBigEndian<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type
    ) throws(ThalwegError) -> Value { try read(type).byteSwapped }

    /// Reads what ``ByteWriter/appendEscaped(_:)`` wrote.
    mutating func readEscaped() throws(ThalwegError) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let byte = try read(UInt8.self)
            if byte != 0 {
                bytes.append(byte)
                continue
            }
            switch try read(UInt8.self) {
            case 0: return bytes
            case 0xFF: bytes.append(0)
            default: throw damaged("a string in a key does not end")
            }
        }
    }
}
