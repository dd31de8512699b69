// SPDX-License-Identifier: Apache-2.0
//  Bytes of text, eight at a time: letters from nibbles, decimal digits, strings without detours.

/// Writers of ASCII into raw memory. Each may write up to fifteen bytes more than it reports, never beyond the room it
/// names; the next writer overwrites them.
@usableFromInline
enum NexmarkText {
    /// Stores eight bytes, the lowest first.
    @inlinable @inline(__always)
    static func store(_ word: UInt64, _ to: UnsafeMutableRawPointer) {
        to.storeBytes(of: word.littleEndian, as: UInt64.self)
    }

    /// Eight nibbles (the low half of `nibbles`) as eight letters `a`...`p`, the lowest nibble first.
    @inlinable @inline(__always)
    static func letters(_ nibbles: UInt64) -> UInt64 {
        var x = nibbles & 0xFFFF_FFFF
        x = (x | x << 16) & 0x0000_FFFF_0000_FFFF
        x = (x | x << 8) & 0x00FF_00FF_00FF_00FF
        x = (x | x << 4) & 0x0F0F_0F0F_0F0F_0F0F
        return x &+ 0x6161_6161_6161_6161
    }

    /// Eight decimal digits of a number below 100 000 000, leading zeros included, the first digit lowest.
    @inlinable @inline(__always)
    static func digits(_ number: UInt64) -> UInt64 {
        let halves = number / 10_000 | (number % 10_000) << 32
        // Per 32-bit half: hundreds and rest by multiplication with 2^20 / 100; then tens and ones the same way.
        let hundreds = ((halves &* 10_486) >> 20) & 0x0000_007F_0000_007F
        let pairs = hundreds | (halves &- hundreds &* 100) << 16
        let tens = ((pairs &* 103) >> 10) & 0x000F_000F_000F_000F
        return tens | (pairs &- tens &* 10) << 8
    }

    /// Room: 24 bytes. Returns the digits of `number` (below 10^16), without leading zeros.
    @inlinable @inline(__always)
    static func decimal(_ number: UInt64, _ to: UnsafeMutableRawPointer) -> Int {
        var to = to
        var low = number
        var count = 0
        if number >= 100_000_000 {
            count = short(number / 100_000_000, to)
            to += count
            low = number % 100_000_000
            store(digits(low) | 0x3030_3030_3030_3030, to)
            return count &+ 8
        }
        return short(low, to)
    }

    /// Room: 8 bytes. The digits of a number below 100 000 000, without leading zeros.
    @inlinable @inline(__always)
    static func short(_ number: UInt64, _ to: UnsafeMutableRawPointer) -> Int {
        let all = digits(number)
        let zeros = min(all.trailingZeroBitCount & ~7, 56)
        store((all | 0x3030_3030_3030_3030) >> UInt64(truncatingIfNeeded: zeros), to)
        return 8 &- zeros >> 3
    }

    /// Room: the length of `text`.
    @inlinable @inline(__always)
    static func literal(_ text: StaticString, _ to: UnsafeMutableRawPointer) -> Int {
        to.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        return text.utf8CodeUnitCount
    }

    /// A string from bytes that `body` writes into at most `room` bytes of the stack.
    ///
    /// A copy from the stack makes the string exactly as large as it must be, and is measurably faster than writing
    /// into an uninitialised string with room to spare.
    @inlinable @inline(__always)
    static func string(room: Int, _ body: (UnsafeMutableRawPointer) -> Int) -> String {
        withUnsafeTemporaryAllocation(byteCount: room, alignment: 8) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            let count = body(start)
            return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
        }
    }

    /// A string of one to fifteen ASCII bytes: `low` the first eight, `high` the others; bytes from `count` on are
    /// ignored.
    ///
    /// On 64-bit platforms such a string is two words: the bytes in order, and on top `0xE0 | count`. Putting them
    /// together costs a tenth of any initialiser, which copies byte by byte. ``provesSmallStrings`` checks the layout.
    @inlinable @inline(__always)
    static func small(_ low: UInt64, _ high: UInt64, count: Int) -> String {
        let length = UInt64(truncatingIfNeeded: count)
        // Without branches: lengths are random.
        let lowMask = ~UInt64(0) &>> (64 &- min(length, 8) &* 8)
        let highMask = (1 &<< ((max(length, 8) &- 8) &* 8)) &- UInt64(1)
        #if (arch(x86_64) || arch(arm64)) && !os(Android)
            return unsafeBitCast((low & lowMask, high & highMask | (0xE0 | length) << 56), to: String.self)
        #else
            return string(room: 16) { to in
                store(low & lowMask, to)
                store(high & highMask, to + 8)
                return count
            }
        #endif
    }

    /// Whether strings put together from words are what they should be.
    @usableFromInline
    static let provesSmallStrings: Bool = (1...15).allSatisfy { count in
        let bytes = (0..<16).map { UInt8(ascii: "a") + $0 }
        let word = { (at: Int) in (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[at + $1]) << UInt64($1 * 8) } }
        var small = small(word(0), word(8), count: count)
        let plain = String(decoding: bytes[..<count], as: UTF8.self)
        return small == plain && small.hashValue == plain.hashValue && small.utf8.elementsEqual(plain.utf8)
            && small.withUTF8 { $0.count } == count
    }
}
