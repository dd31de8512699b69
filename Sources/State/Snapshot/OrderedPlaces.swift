// SPDX-License-Identifier: Apache-2.0
//  Entries in the order in which they are stored.

import CThalweg
import ThalwegBase
import ThalwegData

/// Where the entries of a snapshot are, and what their keys are.
protocol KeyPlaces: Sendable {
    associatedtype Place: FixedWidthInteger & UnsignedInteger & Sendable

    /// The key group of the key at a place.
    func group(_ place: Place) -> Int
    /// Where the key of a place lies, to have it fetched early.
    func address(_ place: Place) -> UnsafeRawPointer
    /// Appends the key of a place, without its key group.
    func encode(_ place: Place, into bytes: inout ByteWriter) throws
}

/// The places of entries in ascending order of the bytes of their keys.
///
/// A key begins with its key group (2 bytes, big-endian): entries are dealt into their key groups first and sorted
/// within them. Only the places are kept: encoding a key again costs less than reading it back from memory that the
/// task could use.
struct OrderedPlaces<Source: KeyPlaces>: Sendable {
    typealias Place = Source.Place

    let places: [Place]
    /// The ranks of each key group: those of group `g` are `bounds[g]..<bounds[g + 1]`.
    let bounds: [Int]
    let source: Source

    var count: Int { places.count }

    /// Takes places that are in order already.
    init(arranged places: [Place], bounds: [Int], of source: Source) {
        self.places = places
        self.bounds = bounds
        self.source = source
    }

    init(_ places: [Place], of source: Source, maxParallelism: Int) throws {
        (self.places, bounds) = try Self.sorted(places, source, maxParallelism)
        self.source = source
    }

    /// Calls `body` with each place in order, its rank and its key.
    ///
    /// - Parameter address: where what `body` reads of a place lies, to have it fetched early; nil: nowhere.
    @inline(__always)
    func forEach(
        prefetching address: (Place) -> UnsafeRawPointer?,
        _ body: (_ place: Place, _ rank: Int, _ key: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var bytes = ByteWriter(capacity: 256)
        try places.withUnsafeBufferPointer { places in
            for group in 0..<bounds.count - 1 {
                for rank in bounds[group]..<bounds[group + 1] {
                    if rank &+ keysAhead < places.count {
                        let next = places[rank &+ keysAhead]
                        thalweg_prefetch_read(source.address(next))
                        if let address = address(next) { thalweg_prefetch_read(address) }
                    }
                    bytes.removeAll()
                    bytes.append(UInt16(truncatingIfNeeded: group).bigEndian)
                    try source.encode(places[rank], into: &bytes)
                    try bytes.withBytes { try body(places[rank], rank, $0) }
                }
            }
        }
    }

    /// Replaces what is in `bytes` by the key at a rank, with its key group.
    func encodeKey(_ rank: Int, into bytes: inout ByteWriter) throws {
        bytes.removeAll()
        bytes.append(UInt16(truncatingIfNeeded: source.group(places[rank])).bigEndian)
        try source.encode(places[rank], into: &bytes)
    }

    private static func sorted(
        _ places: [Place], _ source: Source, _ maxParallelism: Int
    ) throws -> (places: [Place], bounds: [Int]) {
        var (dealt, bounds) = deal(places, source, maxParallelism)
        var sorter = KeySorter()
        for group in 0..<maxParallelism where bounds[group] < bounds[group + 1] {
            sorter.removeAll()
            for rank in bounds[group]..<bounds[group + 1] {
                if rank + keysAhead < dealt.count { thalweg_prefetch_read(source.address(dealt[rank + keysAhead])) }
                let place = dealt[rank]
                guard try sorter.add(Int(truncatingIfNeeded: place), { try source.encode(place, into: &$0) }) else {
                    throw ThalwegError(
                        .job, "the keys of one key group take more than 4 GiB", hint: "raise the maximum parallelism")
                }
            }
            var rank = bounds[group]
            sorter.forEach { _, place in
                dealt[rank] = Place(truncatingIfNeeded: place)
                rank &+= 1
            }
        }
        return (dealt, bounds)
    }

    /// Places by key group: those of group `g` lie in `bounds[g]..<bounds[g + 1]`.
    private static func deal(
        _ places: [Place], _ source: Source, _ maxParallelism: Int
    ) -> (dealt: [Place], bounds: [Int]) {
        var bounds = Array(repeating: 0, count: maxParallelism + 1)
        let groups = places.map { UInt16(truncatingIfNeeded: source.group($0)) }
        for group in groups { bounds[Int(group) + 1] += 1 }
        for group in 0..<maxParallelism { bounds[group + 1] += bounds[group] }
        var next = bounds
        var dealt = Array(repeating: 0 as Place, count: places.count)
        for (place, group) in zip(places, groups) {
            dealt[next[Int(group)]] = place
            next[Int(group)] += 1
        }
        return (dealt, bounds)
    }
}

/// How many entries ahead memory is fetched: neighbours in the order of their keys lie far apart.
private let keysAhead = 12

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
