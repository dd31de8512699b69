// SPDX-License-Identifier: Apache-2.0
//  A disk with faults, as data.

import Synchronization
import Thalweg

/// What goes wrong on a disk.
public struct DiskFaults: Sendable {
    /// The bytes that can be written before the disk is full; nil: any number.
    public var spaceBytes: Int?
    /// Files that may not be read.
    public var unreadable: Set<String> = []
    /// Files that are listed but gone when they are opened.
    public var vanishing: Set<String> = []
    /// Files whose reads fail from this offset on.
    public var brokenFrom: [String: UInt64] = [:]
    /// Whether making data durable fails.
    public var failsSync = false
    /// Whether the rename onto one of these paths fails.
    public var failsRenameTo: Set<String> = []
    /// Whether creating files fails.
    public var failsCreate = false
    /// Bytes that come back damaged: for a file, what its byte at an offset is mixed (exclusive or) with.
    public var damaged: [String: [UInt64: UInt8]] = [:]
    /// Called before every read, write and sync with its path: how a slow disk passes virtual time, or waits.
    public var onAccess: (@Sendable (_ path: String) -> Void)?

    public init() {}
}

/// Another file system with faults laid over it.
public final class FaultyFileSystem: FileSystem {
    private let base: any FileSystem
    private let state: Guarded<DiskFaults>

    public init(_ base: any FileSystem, _ faults: DiskFaults) {
        self.base = base
        state = Guarded(faults)
    }

    /// The faults from now on.
    public var faults: DiskFaults {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    public func files(at path: String) throws(ThalwegError) -> [FileEntry] { try base.files(at: path) }

    public func open(_ path: String) throws(ThalwegError) -> any ByteSource {
        let faults = self.faults
        if faults.vanishing.contains(path) { throw MemoryFileSystem.missing(path) }
        if faults.unreadable.contains(path) {
            throw ThalwegError(.input, "file may not be read", detail: "file \(path)", hint: "check its permissions")
        }
        let source = try base.open(path)
        let damage = faults.damaged[path] ?? [:]
        let limit = faults.brokenFrom[path] ?? UInt64(Int64.max)
        if faults.brokenFrom[path] == nil && damage.isEmpty && faults.onAccess == nil { return source }
        return ClosureByteSource(name: path) { offset, buffer throws(ThalwegError) in
            faults.onAccess?(path)
            guard offset < limit else { throw Self.broken("read", path) }
            let asked = min(buffer.count, Int(limit - offset))
            let count = try source.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<asked]))
            for (place, mask) in damage where place >= offset && place < offset + UInt64(count) {
                buffer[Int(place - offset)] ^= mask
            }
            return count
        }
    }

    public func create(_ path: String) throws(ThalwegError) -> any FileOutput {
        if faults.failsCreate { throw Self.full(path) }
        return Output(base: try base.create(path), path: path, disk: self)
    }

    public func rename(_ path: String, to newPath: String) throws(ThalwegError) {
        if faults.failsRenameTo.contains(newPath) { throw Self.broken("rename to \(newPath)", path) }
        try base.rename(path, to: newPath)
    }

    public func remove(_ path: String) { base.remove(path) }

    public func specialFile(_ path: String) -> String? { base.specialFile(path) }

    public func isDirectory(_ path: String) -> Bool { base.isDirectory(path) }

    public func names(in directory: String) throws(ThalwegError) -> [String] { try base.names(in: directory) }

    public func byteCount(of path: String) throws(ThalwegError) -> Int64 { try base.byteCount(of: path) }

    public func makeDirectory(_ path: String) throws(ThalwegError) {
        if faults.failsCreate { throw Self.full(path) }
        try base.makeDirectory(path)
    }

    public func removeFile(_ path: String) throws(ThalwegError) { try base.removeFile(path) }

    public func removeTree(_ path: String) throws(ThalwegError) { try base.removeTree(path) }

    public func syncFile(_ path: String) throws(ThalwegError) {
        if faults.failsSync { throw Self.broken("sync", path) }
        try base.syncFile(path)
    }

    public func syncDirectory(_ path: String) throws(ThalwegError) {
        if faults.failsSync { throw Self.broken("sync", path) }
        try base.syncDirectory(path)
    }

    public func reopen(_ path: String, truncatedTo byteCount: Int64) throws(ThalwegError) -> any FileOutput {
        Output(base: try base.reopen(path, truncatedTo: byteCount), path: path, disk: self)
    }

    public func lock(_ path: String, for owner: String) throws(ThalwegError) -> (any FileLock)? {
        try base.lock(path, for: owner)
    }

    public func absolutePath(_ path: String) -> String { base.absolutePath(path) }

    private static func broken(_ doing: String, _ path: String) -> ThalwegError {
        ThalwegError(
            .retry, "could not \(doing)", detail: "\(path): input/output error",
            hint: "check the disk or mount the file lies on")
    }

    private static func full(_ path: String) -> ThalwegError {
        ThalwegError(
            .retry, "the disk is full", detail: "\(path): no space left on device",
            hint: "free some space, or write elsewhere; nothing of this output was published")
    }

    /// Takes space; false when there is not enough.
    private func take(_ count: Int) -> Bool {
        state.withLock { faults in
            guard let space = faults.spaceBytes else { return true }
            faults.spaceBytes = max(0, space - count)
            return space >= count
        }
    }

    private final class Output: FileOutput {
        let base: any FileOutput
        let path: String
        let disk: FaultyFileSystem

        init(base: any FileOutput, path: String, disk: FaultyFileSystem) {
            self.base = base
            self.path = path
            self.disk = disk
        }

        func write(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) {
            disk.faults.onAccess?(path)
            guard disk.take(bytes.count) else { throw FaultyFileSystem.full(path) }
            try base.write(bytes)
        }

        func sync() throws(ThalwegError) {
            disk.faults.onAccess?(path)
            if disk.faults.failsSync { throw FaultyFileSystem.broken("sync", path) }
            try base.sync()
        }

        func close() { base.close() }
    }
}
