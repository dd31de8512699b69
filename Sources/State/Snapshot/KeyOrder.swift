// SPDX-License-Identifier: Apache-2.0
//  Entries in the order in which they are stored.

import Glibc
import ThalwegBase
import ThalwegData

/// The keys of entries in ascending order of their bytes, each with the place where its entry is found.
///
/// A key begins with its key group (2 bytes, big-endian): entries are dealt into their key groups first and sorted
/// within them, by the first 8 bytes and only then by the rest.
final class KeyOrder: Sendable {
    let places: [Int]
    private let ends: [Int]
    private let bytes: ByteWriter

    var count: Int { places.count }

    private init(places: [Int], ends: [Int], bytes: consuming ByteWriter) {
        self.places = places
        self.ends = ends
        self.bytes = bytes
    }

    /// Lends the key at a rank, with its key group.
    @inline(__always)
    func withKey<Result>(_ rank: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let start = rank == 0 ? 0 : ends[rank - 1]
        return try bytes.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<ends[rank]])) }
    }

    private struct Item {
        let prefix: UInt64
        let start: Int32
        let end: Int32
        let place: Int
    }

    /// - Parameters:
    ///   - places: where entries are.
    ///   - group: the key group of a place.
    ///   - encode: appends the key of a place, without its key group.
    static func make(
        _ places: [Int], maxParallelism: Int, group: (Int) -> Int, encode: (Int, inout ByteWriter) throws -> Void
    ) throws -> KeyOrder {
        let (dealt, bounds) = deal(places, maxParallelism: maxParallelism, group: group)
        var ordered: [Int] = []
        var ends: [Int] = []
        ordered.reserveCapacity(places.count)
        ends.reserveCapacity(places.count)
        var bytes = ByteWriter(capacity: places.count * 12)
        var plain = ByteWriter()
        var items: [Item] = []
        for group in 0..<maxParallelism where bounds[group] < bounds[group + 1] {
            plain.removeAll()
            items.removeAll(keepingCapacity: true)
            for place in dealt[bounds[group]..<bounds[group + 1]] {
                let start = plain.count
                try encode(place, &plain)
                guard let end = Int32(exactly: plain.count) else {
                    throw ThalwegError(
                        .job, "the keys of one key group take more than 2 GiB", hint: "raise the maximum parallelism")
                }
                let prefix = plain.withBytes { Self.prefix($0, from: start) }
                items.append(Item(prefix: prefix, start: Int32(truncatingIfNeeded: start), end: end, place: place))
            }
            plain.withBytes { plain in
                items.sort { left, right in
                    left.prefix != right.prefix ? left.prefix < right.prefix : precedes(left, right, plain)
                }
                for item in items {
                    bytes.append(UInt16(truncatingIfNeeded: group).bigEndian)
                    bytes.append(UnsafeRawBufferPointer(rebasing: plain[Int(item.start)..<Int(item.end)]))
                    ends.append(bytes.count)
                    ordered.append(item.place)
                }
            }
        }
        return KeyOrder(places: ordered, ends: ends, bytes: bytes)
    }

    /// Places by key group: those of group `g` lie in `bounds[g]..<bounds[g + 1]`.
    private static func deal(
        _ places: [Int], maxParallelism: Int, group: (Int) -> Int
    ) -> (dealt: [Int], bounds: [Int]) {
        var bounds = Array(repeating: 0, count: maxParallelism + 1)
        let groups = places.map { UInt16(truncatingIfNeeded: group($0)) }
        for group in groups { bounds[Int(group) + 1] += 1 }
        for group in 0..<maxParallelism { bounds[group + 1] += bounds[group] }
        var next = bounds
        var dealt = Array(repeating: 0, count: places.count)
        for (place, group) in zip(places, groups) {
            dealt[next[Int(group)]] = place
            next[Int(group)] += 1
        }
        return (dealt, bounds)
    }

    /// The first 8 bytes as a number that sorts as they do; what is missing counts as 0.
    private static func prefix(_ bytes: UnsafeRawBufferPointer, from start: Int) -> UInt64 {
        if bytes.count - start >= 8 {
            return UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        }
        var word: UInt64 = 0
        for index in start..<bytes.count { word |= UInt64(bytes[index]) << UInt64(56 - 8 * (index - start)) }
        return word
    }

    private static func precedes(_ left: Item, _ right: Item, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let (leftCount, rightCount) = (Int(left.end - left.start), Int(right.end - right.start))
        guard let base = bytes.baseAddress else { return false }
        let order = memcmp(base + Int(left.start), base + Int(right.start), min(leftCount, rightCount))
        return order != 0 ? order < 0 : leftCount < rightCount
    }
}

extension ByteWriter {
    /// Appends a moment so that the bytes sort as the moments do.
    public mutating func appendOrdered(_ time: Int64) { append((UInt64(bitPattern: time) ^ 1 << 63).bigEndian) }
}

extension ByteReader {
    /// Reads what ``ByteWriter/appendOrdered(_:)`` wrote.
    public mutating func readOrdered() throws(ThalwegError) -> Int64 {
        Int64(bitPattern: UInt64(bigEndian: try read(UInt64.self)) ^ 1 << 63)
    }
}
