// SPDX-License-Identifier: Apache-2.0
//  The entries of one state, one at a time.

import ThalwegBase

/// Walks over the entries of one state of a snapshot in ascending order of their keys, those of all files as one: of
/// each key the newest. In memory: a block of each file. Begins before the first entry.
public final class SnapshotEntries {
    private var merge: LayeredEntries<SegmentCursor>
    private var current: SegmentCursor?
    private let layers: [EntryLayer<SegmentCursor>]

    init(_ layers: [EntryLayer<SegmentCursor>], allowsCopies: Bool) {
        self.layers = layers
        merge = LayeredEntries(layers, allowsCopies: allowsCopies)
    }

    /// Moves to the next entry; false at the end.
    ///
    /// - Throws: kind `corrupt`, with the file, the place and the reason.
    public func next() throws -> Bool {
        current = try merge.next()
        return current != nil
    }

    /// The key. Lent until the next call of ``next()``; empty before the first and after the last entry.
    public var key: UnsafeRawBufferPointer { current?.key ?? UnsafeRawBufferPointer(start: nil, count: 0) }

    /// The value. Lent until the next call of ``next()``.
    public var value: UnsafeRawBufferPointer { current?.value ?? UnsafeRawBufferPointer(start: nil, count: 0) }

    /// How many bytes of the key, from its beginning, are the row that the entry belongs to.
    public var rowBytes: Int { current?.rowBytes ?? 0 }

    /// The bytes that were read from files.
    public var bytesRead: Int64 { layers.reduce(0) { $0 + $1.cursor.reader.bytesRead } }
}

extension RestoredSnapshotState {
    /// The entries of a state from the first key not before `from` to the last one before `to`. A state that the
    /// snapshot does not have is empty.
    public func cursor(of state: String, from: [UInt8]? = nil, to: [UInt8]? = nil) throws -> SnapshotEntries {
        guard let descriptor = states.first(where: { $0.name == state }) else {
            return SnapshotEntries([], allowsCopies: false)
        }
        return SnapshotEntries(
            try layers(of: descriptor, from: from, to: to), allowsCopies: descriptor.kind == .broadcast)
    }

    /// The bytes of a state's keys and values in all files, before compression; what newer files hide is counted too.
    public func plainBytes(of state: String) -> UInt64 {
        statistics(of: state).reduce(0) { $0 &+ $1.plainBytes }
    }
}
