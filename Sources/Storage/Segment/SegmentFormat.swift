// SPDX-License-Identifier: Apache-2.0
//  The numbers of the segment format (docs/segment-format.md), and the bytes they are made of.

import CXXHash
import ThalwegBase

/// What is fixed in the format of segments, and its limits.
public enum SegmentFormat {
    /// The version that is written.
    public static let version: UInt32 = 2
    /// The most bytes of a key.
    public static let keyBytesMax = 16 << 20
    /// The most bytes of a value.
    public static let valueBytesMax = 1 << 30
    /// The most states of a segment.
    public static let statesMax = Int(UInt16.max)

    /// The checksum that segments use: XXH3, 64 bits.
    public static func checksum(of bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes(\.checksum) }

    static let magic: [UInt8] = Array("THWLSEG\n".utf8)
    static let headerBytes = 16
    static let trailerBytes = 40
    static let blockHeaderBytes = 16
    static let checksumBytes = 8
    /// An entry's three lengths and that of its row as varints.
    static let entryLengthsBytesMax = 20
    /// One entry of the largest size after a block that was almost full.
    static let blockPlainBytesMax = valueBytesMax + keyBytesMax + (32 << 20)
    static let footerBytesMax: UInt64 = 1 << 31

    /// The first bytes of every segment.
    static func header(version: UInt32) -> [UInt8] {
        var bytes = magic
        bytes.append(little: version)
        bytes.append(little: UInt32(0))
        return bytes
    }
}

/// What an entry says about its key.
///
/// A row is all entries whose keys begin with the same bytes: the key group and the key of an operator. Where segments
/// lie in layers, the newest of them that says something about a key or its row is right (FLIP-50 s4).
public enum EntryKind: UInt8, Hashable, Sendable {
    /// The key has this value.
    case put = 0
    /// The key is gone, whatever older segments say.
    case tombstone = 1
    /// The key is a row, and all that older segments have of the row is gone; entries of the row in the same segment
    /// are there.
    case rowTombstone = 2
}

/// How segments are written.
public struct SegmentOptions: Sendable {
    /// A block is closed as soon as it has so many bytes before compression.
    public var blockBytes = 64 << 10
    /// Of zstd; 0 does not compress.
    public var compressionLevel: Int32 = 1
    /// Whether each block gets a filter that tells which rows it surely lacks: for segments that are asked for single
    /// rows. Costs 10 bits a row.
    public var hasFilters = false

    public init() {}

    /// For segments that are asked for single rows while a job runs: small blocks, not compressed, with filters.
    public static var run: SegmentOptions {
        var options = SegmentOptions()
        options.blockBytes = 1 << 10
        options.compressionLevel = 0
        options.hasFilters = true
        return options
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
}

extension UnsafeRawBufferPointer {
    func little<Value: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Value.Type) -> Value {
        Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }

    /// The XXH3 of all bytes.
    var checksum: UInt64 { thalweg_xxh3_64(baseAddress, count) }
}

/// Below 0 if `left` comes first, 0 if they are equal: bytes are unsigned, a prefix comes before what it begins.
func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let shared = sharedPrefix(left, right)
    if shared < left.count && shared < right.count { return Int(left[shared]) - Int(right[shared]) }
    return left.count - right.count
}

func compare(_ left: [UInt8], _ right: [UInt8]) -> Int {
    left.withUnsafeBytes { left in right.withUnsafeBytes { compare(left, $0) } }
}

/// How many bytes two keys have in common at their beginning.
@inline(__always)
func sharedPrefix(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let count = min(left.count, right.count)
    guard count > 0, let a = left.baseAddress, let b = right.baseAddress else { return 0 }
    var index = 0
    while index &+ 8 <= count {
        let difference =
            UInt64(littleEndian: a.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            ^ UInt64(littleEndian: b.loadUnaligned(fromByteOffset: index, as: UInt64.self))
        if difference != 0 { return index &+ difference.trailingZeroBitCount / 8 }
        index &+= 8
    }
    if count >= 8 {
        // The last word again: what it has of the bytes before is equal.
        let difference =
            UInt64(littleEndian: a.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self))
            ^ UInt64(littleEndian: b.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self))
        return difference == 0 ? count : count &- 8 &+ difference.trailingZeroBitCount / 8
    }
    while index < count {
        let isEqual =
            a.load(fromByteOffset: index, as: UInt8.self) == b.load(fromByteOffset: index, as: UInt8.self)
        if !isEqual { break }
        index &+= 1
    }
    return index
}

/// Whether a key begins with these bytes.
@inline(__always)
func begins(_ key: UnsafeRawBufferPointer, with prefix: UnsafeRawBufferPointer) -> Bool {
    key.count >= prefix.count && sharedPrefix(key, prefix) == prefix.count
}

/// XXH3 of bytes that come piece by piece.
package final class RunningChecksum {
    private let state: UnsafeMutableRawPointer

    package init() {
        guard let state = thalweg_xxh3_create() else { preconditionFailure("out of memory") }
        self.state = state
    }

    deinit { thalweg_xxh3_free(state) }

    package func update(_ bytes: UnsafeRawBufferPointer) { thalweg_xxh3_update(state, bytes.baseAddress, bytes.count) }

    /// Of what has come so far; more may follow.
    package var value: UInt64 { thalweg_xxh3_digest(state) }
}

extension UInt64 {
    /// 16 hexadecimal digits.
    var hex: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
