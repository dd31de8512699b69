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

    public func names(in directory: String) throws(ThalwegError) -> [String] {
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
        return names.sorted()
    }

    public func byteCount(of path: String) throws(ThalwegError) -> Int64 {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Self.failure(errno, "look up", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ThalwegError(.input, "not a plain file", detail: path, hint: "check the path")
        }
        return Int64(status.st_size)
    }

    public func open(_ path: String) throws(ThalwegError) -> any ByteSource { try FileByteSource(path: path) }

    // MARK: Writing

    public func create(_ path: String) throws(ThalwegError) -> any FileOutput {
        try makeDirectories(above: path)
        var status = stat()
        // What bears another name too stays as it is there.
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink > 1 { unlink(path) }
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.failure(errno, "create", path) }
        return LocalFileOutput(descriptor: descriptor, path: path)
    }

    public func reopen(_ path: String, truncatedTo byteCount: Int64) throws(ThalwegError) -> any FileOutput {
        let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(errno, "open", path) }
        let output = LocalFileOutput(descriptor: descriptor, path: path)
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure(errno, "look up", path) }
        // Cutting to more than there is would fill the gap with zeros.
        guard Int64(status.st_size) >= byteCount else {
            throw Self.tooShort(path, has: Int64(status.st_size), promised: byteCount)
        }
        guard ftruncate(descriptor, off_t(byteCount)) == 0 else { throw Self.failure(errno, "cut", path) }
        guard lseek(descriptor, 0, SEEK_END) == off_t(byteCount) else { throw Self.failure(errno, "move in", path) }
        return output
    }

    public func makeDirectory(_ path: String) throws(ThalwegError) {
        try makeDirectories(above: path.hasSuffix("/") ? path : path + "/")
        // Something that is no directory may bear the name.
        guard isDirectory(path) else { throw Self.failure(ENOTDIR, "create directory", path) }
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
        try syncDirectory(Self.split(newPath).directory)
    }

    public func link(_ path: String, to newPath: String) -> Bool { Glibc.link(path, newPath) == 0 }

    public func syncFile(_ path: String) throws(ThalwegError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(errno, "sync", path) }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
            throw Self.failure(errno, "sync", path)
        }
    }

    public func syncDirectory(_ path: String) throws(ThalwegError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 {
            // A directory that may be written but not read cannot be synced on its own.
            if errno == EACCES { return }
            throw Self.failure(errno, "sync directory", path)
        }
        defer { Glibc.close(descriptor) }
        // Some mounts cannot sync directories and say so.
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
            throw Self.failure(errno, "sync directory", path)
        }
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

    public func removeFile(_ path: String) throws(ThalwegError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw Self.failure(errno, "remove", path) }
    }

    public func removeTree(_ path: String) throws(ThalwegError) { try removeTree(path, depth: 0) }

    private func removeTree(_ path: String, depth: Int) throws(ThalwegError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw Self.failure(errno, "look up", path)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return try removeFile(path) }
        guard depth < Self.depthMax else {
            throw ThalwegError(
                .input, "a directory is too deep to be removed", detail: "\(path): at most \(Self.depthMax) levels",
                hint: "remove it by hand")
        }
        for name in try names(in: path) { try removeTree(path + "/" + name, depth: depth + 1) }
        guard rmdir(path) == 0 || errno == ENOENT else { throw Self.failure(errno, "remove directory", path) }
    }

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
