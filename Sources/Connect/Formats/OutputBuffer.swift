// SPDX-License-Identifier: Apache-2.0
//  Growing bytes that writers append to.

import Glibc
import ThalwegBase

/// A growable run of bytes with appending made for text: no bounds are checked beyond the room reserved.
public struct OutputBuffer: ~Copyable {
    private(set) var base: UnsafeMutableRawPointer
    public private(set) var count = 0
    private var capacity: Int

    public init(capacity: Int = 64 * 1024) {
        self.capacity = max(capacity, 64)
        base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    /// The bytes, for the time of the call.
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    /// A copy of the bytes.
    public var array: [UInt8] { Array(UnsafeRawBufferPointer(start: base, count: count)) }

    /// The byte appended last; 0 when there is none.
    @inline(__always)
    var lastByte: UInt8 { count > 0 ? base.load(fromByteOffset: count - 1, as: UInt8.self) : 0 }

    /// Forgets the bytes from `count` on; the room stays.
    public mutating func removeAll(keepingFirst kept: Int = 0) {
        precondition(kept >= 0 && kept <= count)
        count = kept
    }

    /// Makes room for `extra` more bytes and returns where they go; `commit` makes them part of the buffer.
    @inline(__always)
    mutating func reserve(_ extra: Int) -> UnsafeMutablePointer<UInt8> {
        if capacity - count < extra { grow(extra) }
        return (base + count).assumingMemoryBound(to: UInt8.self)
    }

    @inline(__always)
    mutating func commit(_ written: Int) {
        assert(count + written <= capacity)
        count += written
    }

    @inline(never)
    private mutating func grow(_ extra: Int) {
        capacity = max(capacity * 2, count + extra)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        memcpy(larger, base, count)
        base.deallocate()
        base = larger
    }

    @inline(__always)
    public mutating func append(_ byte: UInt8) {
        reserve(1).pointee = byte
        count += 1
    }

    @inline(__always)
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        memcpy(reserve(bytes.count), start, bytes.count)
        count += bytes.count
    }

    public mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Appends a number in decimal.
    public mutating func append(decimal value: Int64) {
        if value < 0 { append(UInt8(ascii: "-")) }
        append(decimal: value.magnitude)
    }

    /// Appends a number in decimal, two digits at a time, from the right.
    public mutating func append(decimal value: UInt64) {
        let room = reserve(20)
        if value < 10 {
            room.pointee = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value)
            count += 1
            return
        }
        let width = Self.digits(value)
        var rest = value
        var at = width
        while rest >= 100 {
            let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
            rest = quotient
            at -= 2
            Self.writePair(pair, to: room + at)
        }
        if rest >= 10 {
            Self.writePair(rest, to: room)
        } else {
            room.pointee = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest)
        }
        count += width
    }

    /// Appends the shortest text that reads back as the same number; not finite numbers as `nan`, `inf`, `-inf`.
    public mutating func append(_ value: Double) { append(value.description) }

    /// Appends the shortest text that reads back as the same number.
    public mutating func append(_ value: Float) { append(value.description) }

    /// Appends `yyyy-MM-ddTHH:mm:ss.SSS` (UTC; years outside 0...9999 carry a sign), or the same without milliseconds.
    public mutating func append(iso8601 time: EventTime, milliseconds withMilliseconds: Bool = true) {
        let (days, ofDay) = time.milliseconds.flooredDivision(by: 86_400_000)
        let (year, month, day) = CivilDate.fromDays(days)
        guard (0...9999).contains(year) else {
            var text: [UInt8] = []
            time.appendISO8601(to: &text, milliseconds: withMilliseconds)
            return append(text)
        }
        let room = reserve(23)
        Self.writePair(UInt64(year / 100), to: room)
        Self.writePair(UInt64(year % 100), to: room + 2)
        room[4] = UInt8(ascii: "-")
        Self.writePair(UInt64(month), to: room + 5)
        room[7] = UInt8(ascii: "-")
        Self.writePair(UInt64(day), to: room + 8)
        room[10] = UInt8(ascii: "T")
        Self.writePair(UInt64(ofDay / 3_600_000), to: room + 11)
        room[13] = UInt8(ascii: ":")
        Self.writePair(UInt64(ofDay / 60_000 % 60), to: room + 14)
        room[16] = UInt8(ascii: ":")
        Self.writePair(UInt64(ofDay / 1000 % 60), to: room + 17)
        room[19] = UInt8(ascii: ".")
        room[20] = UInt8(ascii: "0") + UInt8(ofDay % 1000 / 100)
        Self.writePair(UInt64(ofDay % 100), to: room + 21)
        count += withMilliseconds ? 23 : 19
    }

    @inline(__always)
    private static func writePair(_ value: UInt64, to room: UnsafeMutablePointer<UInt8>) {
        room[0] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / 10)
        room[1] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value % 10)
    }

    private static func digits(_ value: UInt64) -> Int {
        var (count, limit): (Int, UInt64) = (1, 10)
        while value >= limit {
            count += 1
            if count == 20 { return 20 }
            limit &*= 10
        }
        return count
    }
}
