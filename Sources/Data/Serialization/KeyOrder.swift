// SPDX-License-Identifier: Apache-2.0
//  The order of the parts of keys.

import Glibc
import ThalwegBase

/// Parts of keys in order: numbers as words that sort as the numbers do, strings by their UTF-8.
@usableFromInline
enum KeyOrder {
    @inlinable @inline(__always)
    static func word(_ value: Double) -> UInt64 {
        if value.isNaN { return .max }
        let bits = value == 0 ? 0 : value.bitPattern
        return bits >> 63 == 1 ? ~bits : bits | 1 << 63
    }

    static func double(_ word: UInt64) -> Double {
        Double(bitPattern: word == .max ? Double.nan.bitPattern : word >> 63 == 1 ? word & ~(1 << 63) : ~word)
    }

    static func word(_ value: Float) -> UInt32 {
        if value.isNaN { return .max }
        let bits = value == 0 ? 0 : value.bitPattern
        return bits >> 31 == 1 ? ~bits : bits | 1 << 31
    }

    static func float(_ word: UInt32) -> Float {
        Float(bitPattern: word == .max ? Float.nan.bitPattern : word >> 31 == 1 ? word & ~(1 << 31) : ~word)
    }

    /// The raw value of an enum: unsigned ones sort as they are.
    static func word(_ value: Int64, _ kind: ScalarKind) -> UInt64 {
        UInt64(bitPattern: value) ^ (kind == .uint64 ? 0 : 1 << 63)
    }

    static func integer(_ word: UInt64, _ kind: ScalarKind) -> Int64 {
        Int64(bitPattern: word ^ (kind == .uint64 ? 0 : 1 << 63))
    }

    /// Whether the UTF-8 of `left` comes before that of `right`.
    @inlinable @inline(__always)
    static func precedes(_ left: String, _ right: String) -> Bool { compare(left, right) < 0 }

    /// Less than, equal to or greater than 0 as the UTF-8 of `left` comes before, equals or follows that of `right`.
    @usableFromInline
    static func compare(_ left: String, _ right: String) -> Int {
        var (left, right) = (left, right)
        return left.withUTF8 { left in
            right.withUTF8 { right in
                let common = min(left.count, right.count)
                if common > 0, let first = left.baseAddress, let second = right.baseAddress {
                    let order = Int(memcmp(first, second, common))
                    if order != 0 { return order }
                }
                return left.count - right.count
            }
        }
    }
}
