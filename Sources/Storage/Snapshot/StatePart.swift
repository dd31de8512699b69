// SPDX-License-Identifier: Apache-2.0
//  A frozen state on its way into a snapshot.

import ThalwegBase

/// One state as it was at the barrier. Made on the task's thread at once; written later, on another thread, while the
/// operator goes on.
public struct StatePart: Sendable {
    public let descriptor: StateDescriptor
    /// Of a state that must be the same in every subtask: a number that tells different contents apart. Called at most
    /// once, off the task's thread.
    public let digest: (@Sendable () throws -> UInt64)?
    private let body: @Sendable (any EntryWriter) throws -> Void

    /// - Parameter write: adds every entry in ascending order of its key's bytes. Must see the state as it was when the
    ///   part was made, whatever the operator does meanwhile. Called once, from any thread.
    public init(
        _ descriptor: StateDescriptor, digest: (@Sendable () throws -> UInt64)? = nil,
        write: @escaping @Sendable (any EntryWriter) throws -> Void
    ) {
        self.descriptor = descriptor
        self.digest = digest
        body = write
    }

    /// Writes the entries.
    public func write(to writer: any EntryWriter) throws { try body(writer) }
}

/// Takes the entries of one state, in ascending order of their keys' bytes, no key twice.
public protocol EntryWriter: AnyObject {
    /// Takes an entry of any kind. Tombstones are for what lies over older segments; they have no value.
    ///
    /// - Parameter rowBytes: how many bytes of the key, from its beginning, are the row that the entry belongs to: key
    ///   group and key of the operator. Filters are of rows. A row tombstone's key is its row.
    /// - Throws: a `ThalwegError` when the disk fails, or `CancellationError` when nobody wants the snapshot any more.
    func add(_ kind: EntryKind, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, rowBytes: Int) throws
}

extension EntryWriter {
    /// Takes an entry whose key is a row of its own.
    @inlinable
    public func add(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) throws {
        try add(.put, key: key, value: value, rowBytes: key.count)
    }

    /// Takes an entry of a row that may have others.
    @inlinable
    public func add(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, rowBytes: Int) throws {
        try add(.put, key: key, value: value, rowBytes: rowBytes)
    }

    /// A key is gone, whatever older segments say.
    ///
    /// - Parameter rowBytes: the whole key unless told otherwise.
    @inlinable
    public func addTombstone(key: UnsafeRawBufferPointer, rowBytes: Int? = nil) throws {
        try add(
            .tombstone, key: key, value: UnsafeRawBufferPointer(start: nil, count: 0), rowBytes: rowBytes ?? key.count)
    }

    /// All that older segments have of a row is gone. The row's entries that are there may follow.
    @inlinable
    public func addRowTombstone(key row: UnsafeRawBufferPointer) throws {
        try add(.rowTombstone, key: row, value: UnsafeRawBufferPointer(start: nil, count: 0), rowBytes: row.count)
    }
}
