// SPDX-License-Identifier: Apache-2.0
//  Files in memory.

import Glibc
import Synchronization
import ThalwegBase

/// A file system in memory. Directories exist as soon as a file lies below them.
public final class MemoryFileSystem: FileSystem {
    private let contents: Guarded<[String: [UInt8]]>
    /// Directories that were made, without those that are there for a file below them.
    private let made = Guarded<Set<String>>([])
    private let locks = LockTable()

    public init(_ files: [String: String] = [:]) { contents = Guarded(files.mapValues { Array($0.utf8) }) }

    /// The paths of all files, hidden and temporary ones too, sorted.
    public var paths: [String] { contents.withLock { $0.keys.sorted() } }

    /// A file's bytes; nil removes it.
    public subscript(path: String) -> [UInt8]? {
        get { contents.withLock { $0[path] } }
        set { contents.withLock { $0[path] = newValue } }
    }

    /// A file's bytes as text.
    public func text(_ path: String) -> String? { self[path].map { String(decoding: $0, as: UTF8.self) } }

    public func files(at path: String) throws(ThalwegError) -> [FileEntry] {
        let all = contents.withLock { $0.map { FileEntry(path: $0.key, byteCount: Int64($0.value.count)) } }
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        let isPattern = name.contains { $0 == "*" || $0 == "?" }
        let root = isPattern ? String(path.dropLast(name.count)) : path.hasSuffix("/") ? path : path + "/"
        let found = all.filter { file in
            if file.path == path { return true }
            guard file.path.hasPrefix(root) else { return false }
            let rest = file.path.dropFirst(root.count).split(separator: "/")
            let isVisible = rest.allSatisfy { !$0.hasPrefix(".") && !$0.hasPrefix("_") }
            return isVisible && (!isPattern || fnmatch(name, String(rest[0]), 0) == 0)
        }
        if found.isEmpty && !isPattern { throw Self.missing(path) }
        return found.sorted { $0.path < $1.path }
    }

    public func open(_ path: String) throws(ThalwegError) -> any ByteSource {
        guard let bytes = self[path] else { throw Self.missing(path) }
        return MemoryByteSource(bytes, name: path)
    }

    public func create(_ path: String) throws(ThalwegError) -> any FileOutput {
        self[path] = []
        return Output(path: path, disk: self)
    }

    public func rename(_ path: String, to newPath: String) throws(ThalwegError) {
        let isThere = contents.withLock { contents in
            guard let bytes = contents.removeValue(forKey: path) else { return false }
            contents[newPath] = bytes
            return true
        }
        if !isThere { throw Self.missing(path) }
    }

    public func remove(_ path: String) { self[path] = nil }

    public func isDirectory(_ path: String) -> Bool {
        if path == "." || path == "/" { return true }
        let root = Self.directory(path)
        if root.isEmpty { return true }
        let isAboveFile = contents.withLock { $0.keys.contains { $0.hasPrefix(root) } }
        return isAboveFile || made.withLock { $0.contains { $0.hasPrefix(root) } }
    }

    public func names(in directory: String) throws(ThalwegError) -> [String] {
        let root = Self.directory(directory)
        guard isDirectory(directory) else { throw Self.missing(directory) }
        let below = contents.withLock { Array($0.keys) } + made.withLock { Array($0) }
        let names = below.filter { $0.hasPrefix(root) && $0.count > root.count }.map {
            String($0.dropFirst(root.count).prefix { $0 != "/" })
        }
        return Set(names).sorted()
    }

    public func byteCount(of path: String) throws(ThalwegError) -> Int64 {
        guard let bytes = self[path] else { throw Self.missing(path) }
        return Int64(bytes.count)
    }

    public func makeDirectory(_ path: String) throws(ThalwegError) {
        let root = Self.directory(path)
        made.withLock { _ = $0.insert(root) }
    }

    public func removeTree(_ path: String) throws(ThalwegError) {
        let root = Self.directory(path)
        contents.withLock { $0 = $0.filter { $0.key != path && !$0.key.hasPrefix(root) } }
        made.withLock { $0 = $0.filter { !$0.hasPrefix(root) } }
    }

    public func syncFile(_ path: String) throws(ThalwegError) {
        guard self[path] != nil else { throw Self.missing(path) }
    }

    public func syncDirectory(_ path: String) throws(ThalwegError) {
        guard isDirectory(path) else { throw Self.missing(path) }
    }

    public func reopen(_ path: String, truncatedTo byteCount: Int64) throws(ThalwegError) -> any FileOutput {
        guard let bytes = self[path] else { throw Self.missing(path) }
        guard Int64(bytes.count) >= byteCount else {
            throw Self.tooShort(path, has: Int64(bytes.count), promised: byteCount)
        }
        self[path] = Array(bytes.prefix(Int(byteCount)))
        return Output(path: path, disk: self)
    }

    public func lock(_ path: String, for owner: String) throws(ThalwegError) -> (any FileLock)? {
        try locks.lock(path, for: owner)
    }

    /// What the paths below a directory begin with; `.` is where relative paths begin.
    private static func directory(_ path: String) -> String {
        path == "." ? "" : path.hasSuffix("/") ? path : path + "/"
    }

    public static func missing(_ path: String) -> ThalwegError {
        ThalwegError(.input, "no such file or directory", detail: path, hint: "check the path")
    }

    private final class Output: FileOutput {
        let path: String
        let disk: MemoryFileSystem

        init(path: String, disk: MemoryFileSystem) {
            self.path = path
            self.disk = disk
        }

        func write(_ bytes: UnsafeRawBufferPointer) { disk.contents.withLock { $0[path]?.append(contentsOf: bytes) } }
        func sync() {}
        func close() {}
    }
}
