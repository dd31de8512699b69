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
    /// Gives a file a second name: whoever removes one leaves the other. Only for files that are never written again.
    ///
    /// - Returns: false when this file system cannot, or not between these places.
    func link(_ path: String, to newPath: String) -> Bool
    /// Removes a file if it is there.
    func remove(_ path: String)
    /// What bears a name other than a plain file, a directory or nothing: a device, a pipe, a link; nil for those.
    func specialFile(_ path: String) -> String?
    /// Whether a directory bears this name.
    func isDirectory(_ path: String) -> Bool
    /// The names of all files and directories in a directory, hidden ones too, sorted.
    func names(in directory: String) throws(ThalwegError) -> [String]
    /// How many bytes a file has now.
    func byteCount(of path: String) throws(ThalwegError) -> Int64
    /// Makes a directory and those above it, as far as they are not there.
    func makeDirectory(_ path: String) throws(ThalwegError)
    /// Removes a file; none there is no error, one that stays is.
    func removeFile(_ path: String) throws(ThalwegError)
    /// Removes a directory with all that is in it, or a file; nothing there is no error. Links are not followed.
    func removeTree(_ path: String) throws(ThalwegError)
    /// Makes the names in a directory, added and removed ones, survive a loss of power.
    func syncDirectory(_ path: String) throws(ThalwegError)
    /// Makes all that was written to a file survive a loss of power; from any thread, also while it is being written.
    func syncFile(_ path: String) throws(ThalwegError)
    /// Opens a file that is there to write on from `byteCount`; what was behind is cut off.
    ///
    /// - Throws: kind `corrupt` when the file is shorter than that.
    func reopen(_ path: String, truncatedTo byteCount: Int64) throws(ThalwegError) -> any FileOutput
    /// Takes a lock that no other run has until it is let go of or its process is gone, however that ends.
    ///
    /// - Parameter owner: what others are told of who holds it.
    /// - Returns: nil when this file system has no locks.
    /// - Throws: ``LockTable/heldError(_:by:)`` when somebody has it.
    func lock(_ path: String, for owner: String) throws(ThalwegError) -> (any FileLock)?
    /// The same place by a path that does not depend on the current directory, without links as far as it is there.
    func absolutePath(_ path: String) -> String
}

extension FileSystem {
    public func link(_ path: String, to newPath: String) -> Bool { false }

    public func specialFile(_ path: String) -> String? { nil }

    public func isDirectory(_ path: String) -> Bool { false }

    public func names(in directory: String) throws(ThalwegError) -> [String] {
        throw Self.lacking("list a directory", directory)
    }

    public func byteCount(of path: String) throws(ThalwegError) -> Int64 { throw Self.lacking("look up a file", path) }

    public func makeDirectory(_ path: String) throws(ThalwegError) { throw Self.lacking("make a directory", path) }

    public func removeFile(_ path: String) throws(ThalwegError) { remove(path) }

    public func removeTree(_ path: String) throws(ThalwegError) { throw Self.lacking("remove a directory", path) }

    public func syncDirectory(_ path: String) throws(ThalwegError) { throw Self.lacking("sync a directory", path) }

    public func syncFile(_ path: String) throws(ThalwegError) { throw Self.lacking("sync a file by name", path) }

    public func reopen(_ path: String, truncatedTo byteCount: Int64) throws(ThalwegError) -> any FileOutput {
        throw Self.lacking("write on in a file", path)
    }

    public func lock(_ path: String, for owner: String) throws(ThalwegError) -> (any FileLock)? { nil }

    public func absolutePath(_ path: String) -> String { path }

    private static func lacking(_ what: String, _ path: String) -> ThalwegError {
        ThalwegError(
            .job, "this file system cannot \(what)", detail: "\(path) in a \(Self.self)",
            hint: "use a file system that can, such as LocalFileSystem")
    }

    /// The error of ``reopen(_:truncatedTo:)`` when bytes that were promised are gone.
    public static func tooShort(_ path: String, has count: Int64, promised: Int64) -> ThalwegError {
        ThalwegError(
            .corrupt, "a file is shorter than what was written to it",
            detail: "\(path) has \(count) bytes, \(promised) were made durable",
            hint: "restore the file, or start from a snapshot that is older")
    }
}

/// A file being written.
public protocol FileOutput: AnyObject {
    func write(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError)
    /// Makes all that was written survive a loss of power.
    func sync() throws(ThalwegError)
    func close()
}
