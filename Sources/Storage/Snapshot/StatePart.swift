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
    /// - Throws: a `ThalwegError` when the disk fails, or `CancellationError` when nobody wants the snapshot any more.
    func add(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) throws
}
