// SPDX-License-Identifier: Apache-2.0
//  Entries in memory that are put in order.

import ThalwegBase
import ThalwegData

/// Entries in any order, and then in that of their keys.
struct SortBuffer: ~Copyable {
    private struct Item: BitwiseCopyable {
        /// The first 16 bytes of the key, so that most comparisons look at nothing else.
        var high: UInt64
        var low: UInt64
        var start: Int
        var keyCount: Int32
        var valueCount: Int32
    }

    private var bytes = ByteWriter(capacity: 1 << 16)
    private var items: [Item] = []

    var count: Int { items.count }

    /// What it takes in memory.
    var byteCount: Int { bytes.count + items.count * MemoryLayout<Item>.stride }

    mutating func add(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        let start = bytes.count
        bytes.append(key)
        bytes.append(value)
        items.append(
            Item(
                high: Self.word(key, at: 0), low: Self.word(key, at: 8), start: start,
                keyCount: Int32(truncatingIfNeeded: key.count), valueCount: Int32(truncatingIfNeeded: value.count)))
    }

    mutating func removeAll() {
        bytes.removeAll()
        items.removeAll(keepingCapacity: true)
    }

    /// Eight bytes of a key as a number that sorts as they do; what is not there is 0.
    @inline(__always)
    private static func word(_ key: UnsafeRawBufferPointer, at offset: Int) -> UInt64 {
        guard let base = key.baseAddress, key.count > offset else { return 0 }
        if key.count >= offset &+ 8 { return base.loadUnaligned(fromByteOffset: offset, as: UInt64.self).bigEndian }
        var word: UInt64 = 0
        for place in offset..<key.count {
            word |= UInt64(base.load(fromByteOffset: place, as: UInt8.self)) << UInt64(56 &- 8 &* (place &- offset))
        }
        return word
    }

    mutating func sort() {
        bytes.withBytes { bytes in
            items.withUnsafeMutableBufferPointer { items in
                items.sort { left, right in
                    if left.high != right.high { return left.high < right.high }
                    if left.low != right.low { return left.low < right.low }
                    return compare(Self.key(left, bytes), Self.key(right, bytes)) < 0
                }
            }
        }
    }

    private static func key(_ item: Item, _ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[item.start..<item.start &+ Int(item.keyCount)])
    }

    /// Lends an entry.
    borrowing func withEntry<Result>(
        _ index: Int, _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        let item = items[index]
        return try bytes.withBytes { bytes in
            let end = item.start + Int(item.keyCount)
            return try body(
                Self.key(item, bytes), UnsafeRawBufferPointer(rebasing: bytes[end..<end + Int(item.valueCount)]))
        }
    }
}
