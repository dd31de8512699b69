// SPDX-License-Identifier: Apache-2.0
//  Which rows of a store have changed since the newest layer, in which epoch.

import ThalwegBase
import ThalwegData

/// The book of notes in a store: under each epoch, the rows that were put or removed in it and that the checkpoint at
/// its end has to write, as memory has them no more.
///
/// Epochs are numbered by this subtask's checkpoints. What a failed one should have written the next one writes.
struct ShelfNotes {
    /// How many failed checkpoints are borne before their notes are brought together: each takes a cursor.
    private static let epochsMax = 16

    /// The epoch of notes that are made now.
    private(set) var epoch: UInt64 = 0
    /// How many notes there are, by epoch; a row that was noted twice counts twice.
    private(set) var counts: [UInt64: Int] = [:]
    /// The first epoch whose notes the next checkpoint takes.
    private var next: UInt64 = 0
    /// Ranges of epochs whose notes nobody needs.
    private var obsolete: [Range<UInt64>] = []

    mutating func note(_ row: UnsafeRawBufferPointer, into batch: inout RowBatch) {
        var key = ByteWriter(capacity: 64)
        Self.append(epoch, to: &key)
        key.append(row)
        key.withBytes { batch.put($0, value: UnsafeRawBufferPointer(start: nil, count: 0)) }
        counts[epoch, default: 0] += 1
    }

    /// The epochs with notes that the next checkpoint takes.
    var waiting: Range<UInt64> { next..<epoch + 1 }

    /// A checkpoint has been frozen: what comes belongs to the next.
    mutating func begin() -> Range<UInt64> {
        defer {
            epoch += 1
            next = epoch
        }
        return waiting
    }

    /// A checkpoint has been written.
    mutating func end(_ epochs: Range<UInt64>) {
        let isAny = epochs.contains { counts[$0] != nil }
        for epoch in epochs { counts[epoch] = nil }
        if isAny { obsolete.append(epochs) }
    }

    /// A checkpoint has failed.
    mutating func fail(_ epochs: Range<UInt64>) { next = min(next, epochs.lowerBound) }

    /// Removes what nobody needs, and brings the notes of many epochs together.
    mutating func tidy(_ store: any RowStore) throws {
        var batch = RowBatch()
        for epochs in obsolete { Self.remove(epochs, from: &batch) }
        obsolete = []
        let many = waiting.filter { counts[$0] != nil }
        if many.count > Self.epochsMax {
            let view = store.snapshot()
            for epoch in many where epoch != self.epoch {
                let cursor = try Self.rows(of: epoch, in: view)
                while try cursor.next() {
                    note(Self.row(cursor.key), into: &batch)
                    guard batch.byteCount >= RowShelf.batchBytesMax else { continue }
                    try store.write(batch)
                    batch.removeAll()
                }
                counts[epoch] = nil
                Self.remove(epoch..<epoch + 1, from: &batch)
            }
        }
        if !batch.isEmpty { try store.write(batch) }
    }

    // MARK: Keys

    private static func append(_ epoch: UInt64, to key: inout ByteWriter) {
        key.append(ShelfSpace.notes)
        key.append(epoch.bigEndian)
    }

    private static func remove(_ epochs: Range<UInt64>, from batch: inout RowBatch) {
        var from = ByteWriter(capacity: 16)
        var to = ByteWriter(capacity: 16)
        append(epochs.lowerBound, to: &from)
        append(epochs.upperBound, to: &to)
        from.withBytes { from in to.withBytes { batch.removeRange(from: from, to: $0) } }
    }

    static func row(_ key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: key.dropFirst(9))
    }

    /// The notes of an epoch, in ascending order of their rows.
    static func rows(of epoch: UInt64, in store: any RowStoreReader) throws -> any RowStoreCursor {
        var from = ByteWriter(capacity: 16)
        var to = ByteWriter(capacity: 16)
        append(epoch, to: &from)
        append(epoch + 1, to: &to)
        return try from.withBytes { from in try to.withBytes { try store.cursor(from: from, to: $0) } }
    }
}
