// SPDX-License-Identifier: Apache-2.0
//  The disk of this machine: with `FileByteSource` the only types that touch it.

import Glibc
import ThalwegBase

/// The machine's file system.
public struct LocalFileSystem: FileSystem {
    /// How deep directories are searched.
    public static let depthMax = 64
    /// The most files a source may have.
    public static let filesMax = 10_000_000

    public init() {}

    // MARK: Reading

    public func files(at path: String) throws(ThalwegError) -> [FileEntry] {
        let (directory, pattern) = Self.split(path)
        var found: [FileEntry] = []
        if pattern.utf8.contains(where: { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }) {
            for name in try names(in: directory) where Self.isVisible(name) && fnmatch(pattern, name, 0) == 0 {
                try collect(directory + "/" + name, into: &found, depth: 1)
            }
            return found.sorted { $0.path < $1.path }
        }
        try collect(path, into: &found, depth: 0)
        return found.sorted { $0.path < $1.path }
    }

    private static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    private static func isVisible(_ name: String) -> Bool { !name.hasPrefix(".") && !name.hasPrefix("_") }

    private func collect(_ path: String, into found: inout [FileEntry], depth: Int) throws(ThalwegError) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            // A file that vanished while its directory was being listed is not there; the path asked for must be.
            if depth > 0 && errno == ENOENT { return }
            throw Self.failure(errno, "look up", path)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            found.append(FileEntry(path: path, byteCount: Int64(status.st_size)))
            return
        }
        guard depth < Self.depthMax, found.count < Self.filesMax else {
            throw ThalwegError(
                .input, "a directory has too many files or is too deep",
                detail: "\(path): at most \(Self.filesMax) files, \(Self.depthMax) levels",
                hint: "read a part of the directory")
        }
        let base = path.hasSuffix("/") ? String(path.dropLast()) : path
        for name in try names(in: path) where Self.isVisible(name) {
            try collect(base + "/" + name, into: &found, depth: depth + 1)
        }
    }

    private func names(in directory: String) throws(ThalwegError) -> [String] {
        guard let stream = opendir(directory) else { throw Self.failure(errno, "list", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                // The end of the directory and a failure look alike but for this.
                if errno != 0 { throw Self.failure(errno, "list", directory) }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    public func open(_ path: String) throws(ThalwegError) -> any ByteSource { try FileByteSource(path: path) }

    // MARK: Writing

    public func create(_ path: String) throws(ThalwegError) -> any FileOutput {
        try makeDirectories(above: path)
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.failure(errno, "create", path) }
        return LocalFileOutput(descriptor: descriptor, path: path)
    }

    private func makeDirectories(above path: String) throws(ThalwegError) {
        for slash in path.indices where path[slash] == "/" && slash != path.startIndex {
            let prefix = String(path[..<slash])
            if mkdir(prefix, 0o755) != 0 && errno != EEXIST { throw Self.failure(errno, "create directory", prefix) }
        }
    }

    public func rename(_ path: String, to newPath: String) throws(ThalwegError) {
        guard Glibc.rename(path, newPath) == 0 else { throw Self.failure(errno, "rename to \(newPath)", path) }
        // The new name must survive a loss of power too.
        let descriptor = Glibc.open(Self.split(newPath).directory, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw Self.failure(errno, "sync directory of", newPath) }
    }

    public func specialFile(_ path: String) -> String? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG, S_IFDIR: return nil
        case S_IFLNK: return "a symbolic link"
        case S_IFIFO, S_IFSOCK: return "a pipe or socket"
        default: return "a device"
        }
    }

    public func remove(_ path: String) { unlink(path) }

    public func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func failure(_ code: Int32, _ doing: String, _ path: String) -> ThalwegError {
        let reason = String(cString: strerror(code))
        switch code {
        case ENOENT where path.isEmpty:
            return ThalwegError(.job, "a path is empty", hint: "name a file or a directory")
        case ENOENT: return ThalwegError(.input, "no such file or directory", detail: path, hint: "check the path")
        case EACCES, EPERM, EROFS:
            return ThalwegError(
                .input, "not permitted to \(doing)", detail: "\(path): \(reason)", hint: "check the permissions")
        case ENOSPC, EDQUOT:
            return ThalwegError(
                .retry, "the disk is full", detail: "\(path): could not \(doing) (\(reason))",
                hint: "free some space, or write elsewhere; nothing of this output was published")
        default:
            return ThalwegError(
                .retry, "could not \(doing)", detail: "\(path): \(reason)",
                hint: "check the disk or mount the file lies on")
        }
    }
}

/// A file of the machine being written.
public final class LocalFileOutput: FileOutput {
    private var descriptor: Int32
    private let path: String
    private let isOwner: Bool

    init(descriptor: Int32, path: String, isOwner: Bool = true) {
        self.descriptor = descriptor
        self.path = path
        self.isOwner = isOwner
    }

    /// The process's standard output.
    public static var standardOutput: LocalFileOutput {
        LocalFileOutput(descriptor: STDOUT_FILENO, path: "standard output", isOwner: false)
    }

    deinit { close() }

    public func write(_ bytes: UnsafeRawBufferPointer) throws(ThalwegError) {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw LocalFileSystem.failure(errno, "write", path)
            }
            written += count
        }
    }

    public func sync() throws(ThalwegError) {
        // Pipes and devices have nothing to sync.
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
            throw LocalFileSystem.failure(errno, "sync", path)
        }
    }

    public func close() {
        if descriptor >= 0 && isOwner { Glibc.close(descriptor) }
        descriptor = -1
    }
}
