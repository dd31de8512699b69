// SPDX-License-Identifier: Apache-2.0
//  What sources and sinks ask of a disk.

import ThalwegBase

/// A file as a directory lists it.
public struct FileEntry: Hashable, Sendable {
    public var path: String
    public var byteCount: Int64

    public init(path: String, byteCount: Int64) {
        self.path = path
        self.byteCount = byteCount
    }
}

/// Files and directories. The real one is ``LocalFileSystem``; tests and simulations bring their own.
public protocol FileSystem: Sendable {
    /// The files below a path, sorted by path: the file itself, all files in a directory and its subdirectories, or
    /// those that match a pattern with `*` and `?` in its last component. Names that begin with `.` or `_` are left
    /// out.
    func files(at path: String) throws(ThalwegError) -> [FileEntry]
    /// Opens a file for reading.
    func open(_ path: String) throws(ThalwegError) -> any ByteSource
    /// Creates or empties a file for writing, with the directories above it.
    func create(_ path: String) throws(ThalwegError) -> any FileOutput
    /// Gives a file another name in the same directory at once, durably, replacing what bore it.
    func rename(_ path: String, to newPath: String) throws(ThalwegError)
    /// Removes a file if it is there.
    func remove(_ path: String)
    /// What bears a name other than a plain file, a directory or nothing: a device, a pipe, a link; nil for those.
    func specialFile(_ path: String) -> String?
    /// Whether a directory bears this name.
    func isDirectory(_ path: String) -> Bool
}

extension FileSystem {
    public func specialFile(_ path: String) -> String? { nil }

    public func isDirectory(_ path: String) -> Bool { false }
}

/// A file being written.
public protocol FileOutput: AnyObject {
    func write(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError)
    /// Makes all that was written survive a loss of power.
    func sync() throws(ThalwegError)
    func close()
}
