// SPDX-License-Identifier: Apache-2.0
//  Batches in a channel as bytes: what an unaligned checkpoint takes along.

import ThalwegBase
import ThalwegData

/// Turns the batches of one edge to bytes and back, without naming their type.
public protocol PacketCodec: AnyObject {
    /// The schema of the records.
    var schema: RecordSchema { get }
    /// What the records' type says of its earlier forms.
    var evolution: DeclaredEvolution { get throws }
    /// Appends a batch: its number of records, whether they have timestamps, these, and the records.
    func encode(_ batch: AnyObject, into writer: inout ByteWriter) throws
    /// Reads what ``encode(_:into:)`` wrote as batches of a capacity.
    func decode(_ reader: inout ByteReader, capacity: Int) throws -> [AnyObject]
    /// Drops the records whose key group is not among those; only for edges by key.
    func keep(_ keyGroups: Range<Int>, of maxParallelism: Int, in batch: AnyObject) throws
}

/// The codec of batches of one record type.
final class RecordPacketCodec<Record: Codable & Sendable>: PacketCodec {
    private let codec: RecordCodec<Record>
    private let hash: ((Batch<Record>, UnsafeMutablePointer<UInt64>) throws -> Void)?
    let schema: RecordSchema

    init(hash: ((Batch<Record>, UnsafeMutablePointer<UInt64>) throws -> Void)?) throws {
        let type = try RecordType<Record>.learn()
        schema = type.schema
        codec = RecordCodec(type)
        self.hash = hash
    }

    var evolution: DeclaredEvolution { get throws { try RecordType<Record>.learn().evolution } }

    func encode(_ batch: AnyObject, into writer: inout ByteWriter) throws {
        let batch = connected(batch, to: Batch<Record>.self)
        writer.appendVarint(UInt64(batch.count))
        writer.append(batch.isTimed ? 1 as UInt8 : 0)
        if batch.isTimed { for index in 0..<batch.count { writer.append(batch.times[index]) } }
        try codec.encode(batch.rows, count: batch.count, into: &writer)
    }

    func decode(_ reader: inout ByteReader, capacity: Int) throws -> [AnyObject] {
        let count = try reader.readLength(itemBytes: 1)
        let isTimed = try reader.read(UInt8.self) == 1
        var times: [Int64] = []
        if isTimed {
            times.reserveCapacity(count)
            for _ in 0..<count { times.append(try reader.read(Int64.self)) }
        }
        var batches: [AnyObject] = []
        var done = 0
        while done < count {
            let batch = Batch<Record>(capacity: capacity)
            let share = min(capacity, count - done)
            try codec.decode(&reader, count: share, into: batch.rows)
            batch.count = share
            batch.isTimed = isTimed
            if isTimed { for index in 0..<share { batch.times[index] = times[done + index] } }
            batches.append(batch)
            done += share
        }
        return batches
    }

    func keep(_ keyGroups: Range<Int>, of maxParallelism: Int, in batch: AnyObject) throws {
        guard let hash else { return }
        let batch = connected(batch, to: Batch<Record>.self)
        let count = batch.count
        let hashes = UnsafeMutablePointer<UInt64>.allocate(capacity: max(1, count))
        defer { hashes.deallocate() }
        try hash(batch, hashes)
        batch.count = 0
        var kept = 0
        for index in 0..<count {
            if keyGroups.contains(KeyGroup.of(hash: hashes[index], maxParallelism: maxParallelism)) {
                if kept != index { (batch.rows + kept).moveInitialize(from: batch.rows + index, count: 1) }
                batch.times[kept] = batch.times[index]
                kept += 1
            } else {
                (batch.rows + index).deinitialize(count: 1)
            }
        }
        batch.count = kept
    }
}

/// Codecs of edges whose type is known to be `Codable` at run time only.
public enum PacketCodecs {
    /// How the codec of an edge is made; nil for types that are not `Codable`.
    public static func maker<Element: Sendable>(
        of _: Element.Type, hash: (@Sendable (Batch<Element>, UnsafeMutablePointer<UInt64>) throws -> Void)?
    ) -> (@Sendable () throws -> any PacketCodec)? {
        guard let codable = Element.self as? any Codable.Type else { return nil }
        // `Sendable` has no witness table, and `Element` is known to be `Sendable`.
        // "as" keeps the existential from being opened.
        let type = unsafeBitCast(codable as any Codable.Type, to: (any SendableCodable.Type).self)
        return open(type, hash)
    }

    private typealias SendableCodable = Codable & Sendable

    private static func open<Opened: Codable & Sendable>(
        _: Opened.Type, _ hash: (any Sendable)?
    ) -> @Sendable () throws -> any PacketCodec {
        {
            try RecordPacketCodec<Opened>(
                hash: hash as? (@Sendable (Batch<Opened>, UnsafeMutablePointer<UInt64>) throws -> Void))
        }
    }
}
