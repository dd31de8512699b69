// SPDX-License-Identifier: Apache-2.0
//  Entries in the order in which they are stored.

import CThalweg
import ThalwegBase
import ThalwegData

/// The keys of entries in ascending order of their bytes, each with the place where its entry is found.
///
/// A key begins with its key group (2 bytes, big-endian): entries are dealt into their key groups first and sorted
/// within them.
final class KeyOrder: Sendable {
    /// How many entries ahead memory is fetched: neighbours in this order lie far apart.
    static let ahead = 12

    let places: [Int]
    private let ends: [Int]
    private let bytes: ByteWriter
    /// The ranks of each key group: those of group `g` are `bounds[g]..<bounds[g + 1]`.
    let bounds: [Int]

    var count: Int { places.count }

    private init(places: [Int], ends: [Int], bytes: consuming ByteWriter, bounds: [Int]) {
        self.places = places
        self.ends = ends
        self.bytes = bytes
        self.bounds = bounds
    }

    /// Lends the key at a rank, with its key group.
    @inline(__always)
    func withKey<Result>(_ rank: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let start = rank == 0 ? 0 : ends[rank - 1]
        return try bytes.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<ends[rank]])) }
    }

    /// Fetches what lies at the place some ranks after this one.
    @inline(__always)
    func prefetch(after rank: Int, below limit: Int = .max, _ address: (Int) -> UnsafeRawPointer) {
        guard rank &+ Self.ahead < places.count else { return }
        let place = places[rank &+ Self.ahead]
        if place < limit { thalweg_prefetch_read(address(place)) }
    }

    /// - Parameters:
    ///   - places: where entries are.
    ///   - group: the key group of a place.
    ///   - address: where the key of a place lies, to have it fetched early.
    ///   - encode: appends the key of a place, without its key group.
    static func make(
        _ places: [Int], maxParallelism: Int, group: (Int) -> Int, address: (Int) -> UnsafeRawPointer,
        encode: (Int, inout ByteWriter) throws -> Void
    ) throws -> KeyOrder {
        let (dealt, bounds) = deal(places, maxParallelism: maxParallelism, group: group)
        var ordered: [Int] = []
        var ends: [Int] = []
        ordered.reserveCapacity(places.count)
        ends.reserveCapacity(places.count)
        var bytes = ByteWriter(capacity: places.count * 12)
        var sorter = KeySorter()
        for group in 0..<maxParallelism where bounds[group] < bounds[group + 1] {
            sorter.removeAll()
            for rank in bounds[group]..<bounds[group + 1] {
                if rank + ahead < dealt.count { thalweg_prefetch_read(address(dealt[rank + ahead])) }
                let place = dealt[rank]
                guard try sorter.add(place, { try encode(place, &$0) }) else {
                    throw ThalwegError(
                        .job, "the keys of one key group take more than 4 GiB", hint: "raise the maximum parallelism")
                }
            }
            let prefix = UInt16(truncatingIfNeeded: group).bigEndian
            sorter.forEach { key, place in
                bytes.append(prefix)
                bytes.append(key)
                ends.append(bytes.count)
                ordered.append(place)
            }
        }
        return KeyOrder(places: ordered, ends: ends, bytes: bytes, bounds: bounds)
    }

    /// The same for places that are in order already.
    ///
    /// - Parameter bounds: the ranks of each key group.
    static func make(
        arranged places: [Int], bounds: [Int], address: (Int) -> UnsafeRawPointer,
        encode: (Int, inout ByteWriter) throws -> Void
    ) throws -> KeyOrder {
        var ends: [Int] = []
        ends.reserveCapacity(places.count)
        var bytes = ByteWriter(capacity: places.count * 12)
        for group in 0..<bounds.count - 1 {
            let prefix = UInt16(truncatingIfNeeded: group).bigEndian
            for rank in bounds[group]..<bounds[group + 1] {
                if rank + ahead < places.count { thalweg_prefetch_read(address(places[rank + ahead])) }
                bytes.append(prefix)
                try encode(places[rank], &bytes)
                ends.append(bytes.count)
            }
        }
        return KeyOrder(places: places, ends: ends, bytes: bytes, bounds: bounds)
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
