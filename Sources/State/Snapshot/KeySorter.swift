// SPDX-License-Identifier: Apache-2.0
//  Sorts the encoded keys of one key group.

import Glibc
import ThalwegData

/// Keys of one key group in ascending order of their bytes.
///
/// What all keys begin with is left out; the 8 bytes after it are sorted byte by byte (radix sort, only over bytes that
/// differ), and only keys that agree in all 8 are compared.
struct KeySorter: ~Copyable {
    struct Item: BitwiseCopyable {
        let start: UInt32
        let end: UInt32
        let place: Int
        var prefix: UInt64 = 0
    }

    /// The keys, in no order.
    private(set) var items: [Item] = []
    private var spare: [Item] = []
    private var bytes = ByteWriter()

    /// From this number of keys on counting beats comparing.
    private static let countingMin = 64

    mutating func removeAll() {
        items.removeAll(keepingCapacity: true)
        bytes.removeAll()
    }

    /// Adds the key that `encode` appends; false when the keys take more than 4 GiB.
    @inline(__always)
    mutating func add(_ place: Int, _ encode: (inout ByteWriter) throws -> Void) rethrows -> Bool {
        let start = bytes.count
        try encode(&bytes)
        guard let end = UInt32(exactly: bytes.count) else { return false }
        items.append(Item(start: UInt32(truncatingIfNeeded: start), end: end, place: place))
        return true
    }

    /// Calls `body` with the keys in ascending order.
    mutating func forEach(_ body: (UnsafeRawBufferPointer, Int) throws -> Void) rethrows {
        let items = sorted()
        try bytes.withBytes { bytes in
            for item in items {
                try body(UnsafeRawBufferPointer(rebasing: bytes[Int(item.start)..<Int(item.end)]), item.place)
            }
        }
    }

    private mutating func sorted() -> [Item] {
        // The bytes stay where they are until a key is added.
        guard items.count > 1, let base = bytes.withBytes(\.baseAddress) else { return items }
        setPrefixes(base, skipping: commonCount(base))
        if items.count < Self.countingMin {
            items.sort { Self.precedes($0, $1, base) }
        } else {
            sortByPrefix()
            sortEqualPrefixes(base)
        }
        return items
    }

    /// How many bytes all keys have in common at their start.
    private func commonCount(_ base: UnsafeRawPointer) -> Int {
        let first = items[0]
        var common = Int(first.end - first.start)
        for item in items {
            var shared = 0
            let room = min(common, Int(item.end - item.start))
            let (left, right) = (base + Int(first.start), base + Int(item.start))
            while shared &+ 8 <= room,
                left.loadUnaligned(fromByteOffset: shared, as: UInt64.self)
                    == right.loadUnaligned(fromByteOffset: shared, as: UInt64.self)
            {
                shared &+= 8
            }
            while shared < room,
                left.load(fromByteOffset: shared, as: UInt8.self)
                    == right.load(fromByteOffset: shared, as: UInt8.self)
            {
                shared &+= 1
            }
            common = shared
            if common == 0 { break }
        }
        return common
    }

    /// The 8 bytes after what is common, as a number that sorts as they do; what is missing counts as 0.
    private mutating func setPrefixes(_ base: UnsafeRawPointer, skipping common: Int) {
        for index in items.indices {
            let start = base + Int(items[index].start) + common
            let count = Int(items[index].end - items[index].start) - common
            if count >= 8 {
                items[index].prefix = UInt64(bigEndian: start.loadUnaligned(as: UInt64.self))
            } else {
                var word: UInt64 = 0
                for byte in 0..<count {
                    word |= UInt64(start.load(fromByteOffset: byte, as: UInt8.self)) << UInt64(56 - 8 * byte)
                }
                items[index].prefix = word
            }
        }
    }

    private mutating func sortByPrefix() {
        let first = items[0].prefix
        var differing: UInt64 = 0
        for item in items { differing |= item.prefix ^ first }
        if spare.count < items.count { spare = Array(repeating: items[0], count: items.count + items.count / 4) }
        for shift in stride(from: UInt64(0), to: 64, by: 8) where (differing >> shift) & 0xFF != 0 { deal(by: shift) }
    }

    /// Deals the items out by one byte of their prefixes and keeps their order otherwise.
    private mutating func deal(by shift: UInt64) {
        let count = items.count
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { next in
            next.initialize(repeating: 0)
            items.withUnsafeBufferPointer { from in
                spare.withUnsafeMutableBufferPointer { to in
                    for index in 0..<count { next[Int(from[index].prefix >> shift & 0xFF)] &+= 1 }
                    var sum = 0
                    for byte in 0..<256 { (next[byte], sum) = (sum, sum &+ next[byte]) }
                    for index in 0..<count {
                        let byte = Int(from[index].prefix >> shift & 0xFF)
                        to[next[byte]] = from[index]
                        next[byte] &+= 1
                    }
                }
            }
            items.withUnsafeMutableBufferPointer { to in
                spare.withUnsafeBufferPointer { from in
                    for index in 0..<count { to[index] = from[index] }
                }
            }
        }
    }

    private mutating func sortEqualPrefixes(_ base: UnsafeRawPointer) {
        var start = 0
        while start < items.count {
            var end = start &+ 1
            while end < items.count, items[end].prefix == items[start].prefix { end &+= 1 }
            if end - start > 1 { items[start..<end].sort { Self.precedes($0, $1, base) } }
            start = end
        }
    }

    private static func precedes(_ left: Item, _ right: Item, _ base: UnsafeRawPointer) -> Bool {
        if left.prefix != right.prefix { return left.prefix < right.prefix }
        let (leftCount, rightCount) = (Int(left.end - left.start), Int(right.end - right.start))
        let order = memcmp(base + Int(left.start), base + Int(right.start), min(leftCount, rightCount))
        return order != 0 ? order < 0 : leftCount < rightCount
    }
}
