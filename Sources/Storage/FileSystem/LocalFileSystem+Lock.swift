// SPDX-License-Identifier: Apache-2.0
//  Locks of the operating system, and paths that hold in every directory.

import Glibc
import Synchronization
import ThalwegBase

extension LocalFileSystem {
    /// Locks a file by `flock`: the system lets go of it when the process is gone, however it ends. The file stays, and
    /// names the last holder.
    public func lock(_ path: String, for owner: String) throws(ThalwegError) -> (any FileLock)? {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.failure(errno, "create", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            let holder = Self.text(descriptor)
            Glibc.close(descriptor)
            switch code {
            case EWOULDBLOCK: throw LockTable.heldError(path, by: holder.isEmpty ? "an unknown process" : holder)
            // Some mounts have no locks.
            case ENOLCK, ENOTSUP, ENOSYS, EINVAL: return nil
            default: throw Self.failure(code, "lock", path)
            }
        }
        // For people only: what cannot be written is no reason to go without the lock.
        let text = "process \(getpid()) on \(Self.hostName) (\(owner))"
        _ = ftruncate(descriptor, 0)
        _ = text.withCString { pwrite(descriptor, $0, strlen($0), 0) }
        return LocalFileLock(descriptor)
    }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        return gethostname(&name, name.count - 1) == 0 ? text(name[...]) : "an unknown host"
    }

    private static func text(_ descriptor: Int32) -> String {
        var bytes = [CChar](repeating: 0, count: 512)
        let count = pread(descriptor, &bytes, bytes.count - 1, 0)
        return text(bytes.prefix(max(0, count)))
    }

    private static func text(_ bytes: ArraySlice<CChar>) -> String {
        String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    public func absolutePath(_ path: String) -> String {
        if let resolved = realpath(path, nil) {
            defer { free(resolved) }
            return String(cString: resolved)
        }
        guard !path.hasPrefix("/"), let here = getcwd(nil, 0) else { return path }
        defer { free(here) }
        return String(cString: here) + "/" + path
    }
}

/// A lock that the system keeps with an open file.
private final class LocalFileLock: FileLock {
    private let descriptor: Guarded<Int32>

    init(_ descriptor: Int32) { self.descriptor = Guarded(descriptor) }

    deinit { release() }

    func release() {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { close(descriptor) }
            descriptor = -1
        }
    }
}
