// SPDX-License-Identifier: Apache-2.0
//  Strings as JSON.

import ThalwegBase

extension OutputBuffer {
    /// Appends a JSON string, quotation marks included.
    mutating func append(jsonString text: String) {
        let isDone: Void? = text.utf8.withContiguousStorageIfAvailable {
            append(jsonString: UnsafeRawBufferPointer($0))
        }
        if isDone == nil { append(jsonString: String(decoding: Array(text.utf8), as: UTF8.self)) }
    }

    /// Appends UTF-8 as a JSON string, eight bytes at a time while nothing has to be escaped.
    mutating func append(jsonString text: UnsafeRawBufferPointer) {
        append(UInt8(ascii: "\""))
        var at = 0
        let count = text.count
        let room = UnsafeMutableRawPointer(reserve(count + 8))
        if let base = text.baseAddress {
            while at + 8 <= count {
                let word = base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                if Self.mustEscape(word) { break }
                room.storeBytes(of: word, toByteOffset: at, as: UInt64.self)
                at += 8
            }
        }
        commit(at)
        while at < count {
            append(jsonByte: text[at])
            at += 1
        }
        append(UInt8(ascii: "\""))
    }

    /// Whether one of eight bytes is a control character, a quotation mark or a backslash.
    @inline(__always)
    private static func mustEscape(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        let control = (word &- ones &* 0x20) & ~word
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5C)
        let found = control | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)
        return found & highs != 0
    }

    private mutating func append(jsonByte byte: UInt8) {
        switch byte {
        case 0x22: append("\\\"" as StaticString)
        case 0x5C: append("\\\\" as StaticString)
        case 0x0A: append("\\n" as StaticString)
        case 0x0D: append("\\r" as StaticString)
        case 0x09: append("\\t" as StaticString)
        case 0x00..<0x20:
            append("\\u00" as StaticString)
            append(UInt8(ascii: "0") + byte >> 4)
            let low = byte & 15
            append(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
        default: append(byte)
        }
    }
}
