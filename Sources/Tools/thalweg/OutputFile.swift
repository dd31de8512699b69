// SPDX-License-Identifier: Apache-2.0
//  A file being written.

import Glibc
import Thalweg

/// A file that is written from its start; every failure names the file.
final class OutputFile {
    private let path: String
    private var descriptor: Int32

    init(_ path: String) throws(ThalwegError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        if descriptor < 0 { throw Self.failure("open file for writing", path) }
    }

    deinit { if descriptor >= 0 { _ = Glibc.close(descriptor) } }

    func write(_ bytes: [UInt8]) throws(ThalwegError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.write(descriptor, buffer.baseAddress.map { $0 + written }, buffer.count - written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failure("write file", path)
            }
            written += count
        }
    }

    func close() throws(ThalwegError) {
        let result = Glibc.close(descriptor)
        descriptor = -1
        if result != 0 { throw Self.failure("write file", path) }
    }

    static func failure(_ what: String, _ path: String) -> ThalwegError {
        let code = errno
        let hint =
            switch code {
            case ENOENT where path.isEmpty: "name a file"
            case ENOENT: "make the directory that it is to lie in first, or name another place"
            case ENOTDIR: "a part of the path is a file: name another place"
            case EISDIR: "name a file in that directory"
            case EEXIST: "a file is there: name another place, or remove it"
            case EACCES, EPERM, EROFS: "name a place that you may write to"
            case ENOSPC, EDQUOT: "free some space, or write elsewhere; what is there is not complete"
            default: "check the disk or mount that it lies on"
            }
        return ThalwegError(
            .input, "cannot \(what)", detail: "\(path): \(String(cString: strerror(code)))", hint: hint)
    }
}
