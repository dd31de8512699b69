// SPDX-License-Identifier: Apache-2.0
//  Segments put together byte by byte, as docs/segment-format.md says and without the engine's writer.

import ThalwegStorage

/// An entry of a block.
struct ForgedEntry: Equatable {
    var kind: UInt8
    var key: [UInt8]
    var rowBytes: Int
    var value: [UInt8]
}

/// A block before it is compressed.
struct ForgedBlock {
    var state: Int
    /// What the block says about itself.
    var count: Int
    var plain: [UInt8]
    var filter: [UInt8] = []

    /// The entries that the bytes are, as far as they can be read.
    var entries: [ForgedEntry] {
        var rest = plain[...]
        var entries: [ForgedEntry] = []
        func varint() -> Int? {
            var (value, shift) = (0, 0)
            while shift < 35, let byte = rest.popFirst() {
                value |= Int(byte & 0x7F) << shift
                if byte < 0x80 { return value }
                shift += 7
            }
            return nil
        }
        while !rest.isEmpty {
            guard let first = varint(), let suffix = varint(), let last = varint() else { break }
            let before = entries.last
            let shared = first >> 1
            guard shared <= before?.key.count ?? 0 else { break }
            var rowBytes = shared >= before?.rowBytes ?? .max ? before?.rowBytes ?? 0 : shared + suffix
            if first & 1 != 0 {
                guard let row = varint() else { break }
                rowBytes = row
            }
            guard rowBytes <= shared + suffix, suffix + last >> 2 <= rest.count else { break }
            let key = Array(before?.key.prefix(shared) ?? []) + rest.prefix(suffix)
            rest = rest.dropFirst(suffix)
            let value = Array(rest.prefix(last >> 2))
            rest = rest.dropFirst(last >> 2)
            entries.append(ForgedEntry(kind: UInt8(last & 3), key: key, rowBytes: rowBytes, value: value))
        }
        return entries
    }
}

enum SegmentBytes {
    static let magic = Array("THWLSEG\n".utf8)
    static let headerBytes = 16
    static let trailerBytes = 40
    static let blockHeaderBytes = 16

    /// A whole file.
    ///
    /// - Parameters:
    ///   - table: the table of states, as JSON.
    ///   - states: how many there are.
    ///   - blocks: in order.
    static func file(table: [UInt8], states: Int, _ blocks: [ForgedBlock]) -> [UInt8] {
        var file = header
        var index: [UInt8] = []
        var found = [[ForgedEntry]](repeating: [], count: states)
        for block in blocks {
            var stored: [UInt8] = []
            stored.append(little: UInt32(block.plain.count))
            stored.append(little: UInt32(block.plain.count))
            stored.append(little: UInt32(block.count))
            stored.append(little: UInt16(block.state))
            stored.append(little: UInt16(0))
            stored += block.plain
            let checksum = SegmentFormat.checksum(of: stored)
            stored.append(little: checksum)
            file += stored
            if !block.filter.isEmpty {
                file += block.filter
                file.append(little: SegmentFormat.checksum(of: block.filter))
            }
            let entries = block.entries
            index.append(little: UInt16(block.state))
            index.append(little: UInt32(stored.count))
            index.append(little: UInt32(block.filter.isEmpty ? 0 : block.filter.count + 8))
            index.append(little: UInt32(block.plain.count))
            index.append(little: UInt32(block.count))
            index.append(little: checksum)
            index.append(counted: entries.first?.key ?? [])
            found[block.state] += entries
        }
        var footer: [UInt8] = []
        footer.append(counted: table)
        for entries in found {
            footer.append(little: UInt64(entries.count))
            footer.append(little: UInt64(entries.count { $0.kind != 0 }))
            footer.append(little: UInt64(entries.reduce(0) { $0 + $1.key.count + $1.value.count }))
            footer.append(counted: entries.first?.key ?? [])
            footer.append(counted: entries.last?.key ?? [])
        }
        footer.append(little: UInt32(blocks.count))
        footer += index
        return file + footer + trailer(of: footer, at: file.count)
    }

    static var header: [UInt8] {
        var bytes = magic
        bytes.append(little: UInt32(2))
        bytes.append(little: UInt32(0))
        return bytes
    }

    static func trailer(of footer: [UInt8], at offset: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(little: UInt64(offset))
        bytes.append(little: UInt64(footer.count))
        bytes.append(little: UInt32(2))
        bytes.append(little: UInt32(0))
        bytes.append(little: SegmentFormat.checksum(of: footer + bytes))
        return bytes + magic
    }
}

extension [UInt8] {
    mutating func append<Value: FixedWidthInteger>(little value: Value) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    mutating func append(counted bytes: [UInt8]) {
        append(little: UInt32(bytes.count))
        append(contentsOf: bytes)
    }

    func little<Value: FixedWidthInteger>(at place: Int, as _: Value.Type) -> Value {
        var value: Value = 0
        for index in 0..<MemoryLayout<Value>.size {
            value |= Value(truncatingIfNeeded: self[place + index]) << (8 * index)
        }
        return value
    }

    mutating func store<Value: FixedWidthInteger>(little value: Value, at place: Int) {
        Swift.withUnsafeBytes(of: value.littleEndian) { replaceSubrange(place..<place + $0.count, with: $0) }
    }
}
