// SPDX-License-Identifier: Apache-2.0
//  Finds a row among the entries of a block, without putting keys together.

import ThalwegBase

/// Walks over the entries of a block. Of each key only the bytes are looked at that can tell: how much it shares with
/// the key before says the rest.
enum RowScan {
    /// Adds the entries of a row to a buffer.
    ///
    /// - Returns: whether the block ends before the row surely does; nil when the block is damaged.
    static func scan(_ block: UnsafeRawBufferPointer, _ row: UnsafeRawBufferPointer, into buffer: RowBuffer) -> Bool? {
        guard var at = block.baseAddress, let wanted = row.baseAddress else { return block.isEmpty ? true : nil }
        let end = at + block.count
        let rowBytes = row.count
        // How many bytes of the row the last key begins with; all of them once the row has begun.
        var matched = 0
        var keyBytes = 0
        while at < end {
            let (first, rest, last): (Int, Int, Int)
            // Most entries are short, and say nothing of their rows: then each length is one byte.
            let word = end - at >= 4 ? UInt32(littleEndian: at.loadUnaligned(as: UInt32.self)) : .max
            if word & 0x80_8081 == 0 {
                first = Int(word & 0x7F)
                rest = Int(word &>> 8 & 0x7F)
                last = Int(word &>> 16 & 0x7F)
                at += 3
            } else {
                guard let one = length(&at, end), let two = length(&at, end), let three = length(&at, end) else {
                    return nil
                }
                if one & 1 != 0 && length(&at, end) == nil { return nil }
                (first, rest, last) = (one, two, three)
            }
            let shared = first &>> 1
            let valueBytes = last &>> 2
            let left = end - at
            guard shared <= keyBytes, rest <= left, valueBytes <= left &- rest else { return nil }
            keyBytes = shared &+ rest
            if shared < matched { return false }
            if shared == matched || matched == rowBytes {
                var skipped = 0
                if matched < rowBytes {
                    let room = min(rest, rowBytes &- matched)
                    while skipped < room && byte(at, skipped) == byte(wanted, matched &+ skipped) { skipped &+= 1 }
                    if skipped < room && byte(at, skipped) > byte(wanted, matched &+ skipped) { return false }
                    matched &+= skipped
                }
                if matched == rowBytes {
                    guard let kind = EntryKind(rawValue: UInt8(truncatingIfNeeded: last & 3)),
                        kind == .put || valueBytes == 0
                    else { return nil }
                    buffer.append(
                        kind, shared: max(0, shared &- rowBytes),
                        rest: UnsafeRawBufferPointer(start: at + skipped, count: rest &- skipped),
                        value: UnsafeRawBufferPointer(start: at + rest, count: valueBytes))
                }
            }
            at += rest &+ valueBytes
        }
        return true
    }

    @inline(__always)
    private static func byte(_ base: UnsafeRawPointer, _ offset: Int) -> UInt8 {
        base.load(fromByteOffset: offset, as: UInt8.self)
    }

    /// A varint of at most 5 bytes; nil when the block ends before it does.
    @inline(__always)
    private static func length(_ at: inout UnsafeRawPointer, _ end: UnsafeRawPointer) -> Int? {
        guard at < end else { return nil }
        let first = at.load(as: UInt8.self)
        at += 1
        if first < 0x80 { return Int(first) }
        return longLength(Int(first & 0x7F), &at, end)
    }

    private static func longLength(_ start: Int, _ at: inout UnsafeRawPointer, _ end: UnsafeRawPointer) -> Int? {
        var value = start
        var shift = 7
        while at < end && shift < 35 {
            let byte = at.load(as: UInt8.self)
            at += 1
            value |= Int(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        return nil
    }
}
