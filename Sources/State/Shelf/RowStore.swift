// SPDX-License-Identifier: Apache-2.0
//  The contract of stores of bytes in which rows of keyed state may rest.

import ThalwegBase

/// A way to keep rows of keyed state that memory has no room for elsewhere than in layers (FLIP-50).
///
/// A job begins it once; what is left of processes that have been killed is removed then. Any thread.
public protocol RowStoreBackend: Sendable {
    /// Its name in options and messages.
    var name: String { get }

    /// Makes ready for the stores of one job.
    ///
    /// - Parameter directory: of this machine; what a store needs on the disk goes into a directory of its own in it.
    /// - Throws: kind `retry` for what the disk says, kind `job` for what no restart helps against.
    func begin(in directory: String) throws(ThalwegError) -> any RowStores
}

/// The stores of one job, one for each subtask with keyed state. Any thread.
public protocol RowStores: AnyObject, Sendable {
    /// Opens an empty store.
    ///
    /// - Parameters:
    ///   - name: for files and messages; several stores may have the same.
    ///   - budgetBytes: the memory that it may take. A store that cannot do with so little takes the least it needs.
    /// - Throws: kind `retry` for what the disk says.
    func open(_ name: String, budgetBytes: Int) throws(ThalwegError) -> any RowStore

    /// The job has ended: removes all that is on the disk.
    func end()
}

/// What can be read of a store.
public protocol RowStoreReader: AnyObject {
    /// Calls `body` with the value of a key.
    ///
    /// - Returns: whether there is one.
    /// - Throws: kind `retry` or `task` for what the store says, and what `body` throws.
    func get(_ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Bool

    /// The entries from a key on and below another, in ascending order of their keys' bytes. Both keys are copied.
    ///
    /// - Throws: kind `retry` or `task` for what the store says.
    func cursor(from: UnsafeRawBufferPointer, to: UnsafeRawBufferPointer) throws -> any RowStoreCursor
}

/// Goes over entries of a store. Used by one thread.
public protocol RowStoreCursor: AnyObject {
    /// Steps to the next entry, at first to the first.
    ///
    /// - Returns: whether there is one.
    /// - Throws: kind `retry` or `task` for what the store says.
    func next() throws -> Bool
    /// The entry's key, valid until the next step.
    var key: UnsafeRawBufferPointer { get }
    /// The entry's value, valid until the next step.
    var value: UnsafeRawBufferPointer { get }
}

/// An ordered store of bytes by key, for one subtask and one attempt to run it.
///
/// - Operations: batches of changes are written; keys are looked up, ranges gone over; ``snapshot()`` holds the present
///   contents.
/// - Guarantees: what a batch has changed every later read sees, as a whole; a snapshot sees none of what is written
///   after it. Keys are ordered by their bytes, without sign.
/// - Not promised: that anything survives the process, or even that it is ever written to a disk. Recovery is from
///   checkpoints, which are made of segments whatever the store.
/// - Threads: the store is used by one thread at a time, its snapshots meanwhile by another. Cursors of the store see
///   what was there when they were made, or also what was written later: none is used across a write.
/// - Failure: an error ends the attempt; the next one has another store. Nothing is asked of a store that has failed.
public protocol RowStore: RowStoreReader {
    /// Makes changes, all or none of them.
    ///
    /// - Throws: kind `retry` for what the disk says, else kind `task`.
    func write(_ batch: borrowing RowBatch) throws

    /// The present contents, to be read on another thread. They stay as long as the snapshot is kept, also when the
    /// store itself is kept no more.
    func snapshot() -> any RowStoreReader & Sendable

    /// The memory that it takes, in bytes, as far as it knows.
    var memoryBytes: Int { get }
}
