// SPDX-License-Identifier: Apache-2.0
//  Bytes of a file descriptor: one of the few types that touch the file system.

import Glibc
import ThalwegBase

/// The bytes of a file, read with `pread`; of a pipe or terminal, read in order.
public final class FileByteSource: ByteSource {
    public let name: String
    private let descriptor: Int32
    private let isOwner: Bool
    private let isSeekable: Bool
    /// Of a pipe: how far it was read, and its first bytes, so that the format can be told without losing them.
    private var pipeOffset: UInt64 = 0
    private var pipeHead: [UInt8] = []
    private static let pipeHeadBytesMax = 16

    /// Opens a file for reading.
    public convenience init(path: String) throws(ThalwegError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(errno, name: path, doing: "open") }
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            close(descriptor)
            throw ThalwegError(
                .input, "cannot read a directory", detail: "file \(path)", hint: "give a file, or a pattern of files")
        }
        self.init(descriptor: descriptor, name: path, closesDescriptor: true)
    }

    /// Reads an open descriptor, for instance standard input.
    public init(descriptor: Int32, name: String, closesDescriptor: Bool = false) {
        self.descriptor = descriptor
        self.name = name
        isOwner = closesDescriptor
        isSeekable = lseek(descriptor, 0, SEEK_CUR) >= 0
    }

    deinit {
        if isOwner { close(descriptor) }
    }

    /// How many bytes the file has now; nil for a pipe.
    public func byteCount() throws(ThalwegError) -> UInt64? {
        guard isSeekable else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure(errno, name: name, doing: "look up") }
        return UInt64(status.st_size)
    }

    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ThalwegError) -> Int {
        guard buffer.count > 0 else { return 0 }
        return isSeekable ? try readFile(at: offset, into: buffer) : try readPipe(at: offset, into: buffer)
    }

    private func readFile(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ThalwegError) -> Int {
        while true {
            let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
            if count >= 0 { return count }
            if errno != EINTR { throw Self.failure(errno, name: name, doing: "read", at: offset) }
        }
    }

    private func readPipe(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(ThalwegError) -> Int {
        if offset < UInt64(pipeHead.count) {
            let count = min(pipeHead.count - Int(offset), buffer.count)
            buffer.copyBytes(from: pipeHead[Int(offset)..<Int(offset) + count])
            return count
        }
        guard offset == pipeOffset else {
            throw ThalwegError(
                .job, "cannot move in a pipe", detail: "\(name) is at byte \(pipeOffset), asked for byte \(offset)",
                hint: "read from a file when the job must be able to resume")
        }
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failure(errno, name: name, doing: "read", at: offset)
            }
            if pipeHead.count < Self.pipeHeadBytesMax {
                pipeHead.append(contentsOf: buffer.prefix(min(count, Self.pipeHeadBytesMax - pipeHead.count)))
            }
            pipeOffset += UInt64(count)
            return count
        }
    }

    private static func failure(_ code: Int32, name: String, doing: String, at offset: UInt64? = nil) -> ThalwegError {
        let reason = String(cString: strerror(code))
        let place = offset.map { " at byte \($0)" } ?? ""
        switch code {
        case ENOENT:
            return ThalwegError(.input, "no such file", detail: "file \(name)", hint: "check the path")
        case EACCES, EPERM:
            return ThalwegError(.input, "file may not be read", detail: "file \(name)", hint: "check its permissions")
        default:
            return ThalwegError(
                .retry, "cannot \(doing) file", detail: "file \(name)\(place): \(reason)",
                hint: "check the disk or mount the file lies on")
        }
    }
}
