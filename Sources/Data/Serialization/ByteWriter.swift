// SPDX-License-Identifier: Apache-2.0
//  A growable buffer of bytes that owns its memory.

import ThalwegBase

/// A buffer that grows as bytes are appended.
///
///     var writer = ByteWriter()
///     writer.append(UInt32(7))
///     writer.withBytes { send($0) }
@frozen
public struct ByteWriter: ~Copyable, @unchecked Sendable {
    // Unchecked: the buffer is owned and cannot be copied, so there is only ever one user of the pointer.
    @usableFromInline var base: UnsafeMutableRawPointer
    @usableFromInline var used: Int
    @usableFromInline var room: Int

    /// The bytes written so far.
    @inlinable public var count: Int { used }
    /// The bytes that fit without growing.
    @inlinable public var capacity: Int { room }

    @inlinable
    public init(capacity: Int = 1024) {
        room = max(capacity, 64)
        base = .allocate(byteCount: room, alignment: 16)
        used = 0
    }

    @inlinable
    deinit { base.deallocate() }

    /// Forgets the bytes and keeps the memory.
    @inlinable
    public mutating func removeAll() { used = 0 }

    /// Forgets the bytes after the first `count`.
    @inlinable
    public mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= used)
        used = count
    }

    /// Makes room for `extra` more bytes.
    @inlinable @inline(__always)
    public mutating func reserve(_ extra: Int) {
        if _slowPath(room &- used < extra) { grow(extra) }
    }

    @usableFromInline @inline(never)
    mutating func grow(_ extra: Int) {
        room = max(room * 2, used + extra)
        let bigger = UnsafeMutableRawPointer.allocate(byteCount: room, alignment: 16)
        bigger.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = bigger
    }

    /// Where the next byte goes. Valid until the next call that may grow.
    @inlinable @inline(__always)
    public var end: UnsafeMutableRawPointer { base + used }

    /// Says that `written` bytes were put at ``end``, inside what was reserved.
    @inlinable @inline(__always)
    public mutating func advance(by written: Int) {
        assert(written >= 0 && count + written <= capacity)
        used &+= written
    }

    /// Appends a number, little-endian.
    @inlinable @inline(__always)
    public mutating func append(_ value: some FixedWidthInteger & BitwiseCopyable) {
        let size = value.bitWidth / 8
        reserve(size)
        (base + used).storeBytes(of: value.littleEndian, as: type(of: value))
        used &+= size
    }

    @inlinable
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
        reserve(bytes.count)
        (base + used).copyMemory(from: source, byteCount: bytes.count)
        used &+= bytes.count
    }

    /// Appends a number in 7-bit groups, least significant first.
    @inlinable
    public mutating func appendVarint(_ value: UInt64) {
        reserve(10)
        var rest = value
        while rest >= 0x80 {
            (base + used).storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
            used &+= 1
            rest >>= 7
        }
        (base + used).storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        used &+= 1
    }

    /// Overwrites four bytes, little-endian.
    @inlinable
    public mutating func store(_ value: UInt32, at offset: Int) {
        precondition(offset >= 0 && offset + 4 <= count)
        (base + offset).storeBytes(of: value.littleEndian, as: UInt32.self)
    }

    /// Lends the bytes written so far.
    @inlinable
    public borrowing func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// A copy of the bytes.
    public borrowing func bytes() -> [UInt8] { Array(UnsafeRawBufferPointer(start: base, count: count)) }
}
