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
        ThalwegError(.input, "cannot \(what)", detail: "\(path): \(String(cString: strerror(errno)))")
    }
}
