// SPDX-License-Identifier: Apache-2.0
//  Reads bytes that cannot be trusted.

import ThalwegBase

/// Walks over borrowed bytes. Every read checks the end; damaged bytes give an error, never a trap.
@frozen
public struct ByteReader {
    @usableFromInline var cursor: UnsafeRawPointer
    @usableFromInline let end: UnsafeRawPointer
    @usableFromInline let start: UnsafeRawPointer

    /// Reads `bytes`, which must outlive the reader.
    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer) {
        // An empty buffer may have no address; any address does for a range that is never read.
        start = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 16).unsafelyUnwrapped
        cursor = start
        end = start + bytes.count
    }

    /// The bytes not yet read.
    @inlinable public var remaining: Int { end - cursor }
    /// The bytes read so far.
    @inlinable public var position: Int { cursor - start }

    /// Reads a number, little-endian.
    @inlinable @inline(__always)
    public mutating func read<Value: FixedWidthInteger & BitwiseCopyable>(
        _: Value.Type = Value.self
    ) throws(ThalwegError) -> Value {
        let size = MemoryLayout<Value>.size
        guard remaining >= size else { throw truncated() }
        let value = Value(littleEndian: cursor.loadUnaligned(as: Value.self))
        cursor += size
        return value
    }

    /// Takes the next `count` bytes, which stay where they are.
    @inlinable @inline(__always)
    public mutating func read(count: Int) throws(ThalwegError) -> UnsafeRawBufferPointer {
        guard count >= 0, remaining >= count else { throw truncated() }
        let bytes = UnsafeRawBufferPointer(start: cursor, count: count)
        cursor += count
        return bytes
    }

    /// Reads a number in 7-bit groups.
    @inlinable @inline(__always)
    public mutating func readVarint() throws(ThalwegError) -> UInt64 {
        guard remaining > 0 else { throw truncated() }
        let first = cursor.load(as: UInt8.self)
        if first < 0x80 {
            cursor += 1
            return UInt64(first)
        }
        return try readLongVarint()
    }

    @usableFromInline @inline(never)
    mutating func readLongVarint() throws(ThalwegError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 64 {
            guard remaining > 0 else { throw truncated() }
            let byte = cursor.load(as: UInt8.self)
            cursor += 1
            if shift == 63, byte > 1 { break }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw damaged("a number is longer than 64 bits")
    }

    /// Reads a length and checks that so many items of at least `itemBytes` can follow.
    @inlinable @inline(__always)
    public mutating func readLength(itemBytes: Int = 1) throws(ThalwegError) -> Int {
        let length = try readVarint()
        guard length <= UInt64(remaining / max(itemBytes, 1)) else {
            throw damaged("a length of \(length) is more than what follows")
        }
        return Int(length)
    }

    /// The error for bytes that end too early.
    @usableFromInline @inline(never)
    func truncated() -> ThalwegError { damaged("the bytes end too early") }

    /// The error for bytes that cannot be what they should.
    @usableFromInline @inline(never)
    func damaged(_ detail: String) -> ThalwegError {
        ThalwegError(.corrupt, "damaged record bytes", detail: "\(detail), at byte \(position)")
    }
}
