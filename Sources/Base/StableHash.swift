// SPDX-License-Identifier: Apache-2.0
//  The stable 64-bit hash behind key groups and keyed state.

/// Version 1 of the engine's hash. It decides which key group a key belongs to, so it must give the same value on every
/// machine and in every release: a change needs a new version and a migration of snapshots.
@frozen
public enum StableHash {
    /// The version recorded in snapshots.
    @inlinable public static var version: Int { 1 }

    /// Mixes 64 bits so that every input bit reaches the low and the high half of the result.
    @inlinable @inline(__always)
    public static func mix(_ word: UInt64) -> UInt64 {
        let (high, low) = (word ^ 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        return high ^ low ^ word
    }

    /// Folds one more word into a running hash.
    @inlinable @inline(__always)
    public static func combine(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let (high, low) = (hash ^ 0xE703_7ED1_A0B4_28DB).multipliedFullWidth(by: word ^ 0x8EBC_6AF0_9C88_C6E3)
        return high ^ low ^ (hash &+ word)
    }

    /// Hashes bytes, eight at a time (little-endian), the length folded in at the end.
    @inlinable
    public static func bytes(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0x2D35_8DCC_AA6C_78A5
        var position = 0
        let count = bytes.count
        while position &+ 8 <= count {
            hash = combine(hash, UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)))
            position &+= 8
        }
        if position < count {
            var tail: UInt64 = 0
            var shift: UInt64 = 0
            while position < count {
                tail |= UInt64(bytes[position]) << shift
                shift &+= 8
                position &+= 1
            }
            hash = combine(hash, tail)
        }
        return mix(hash ^ UInt64(truncatingIfNeeded: count))
    }
}
