// SPDX-License-Identifier: Apache-2.0
//  One file that a sink is writing.

import ThalwegBase
import ThalwegFormats
import ThalwegStorage

/// An unfinished file: its bytes on disk, and those still in memory. It may be *suspended*: then it has neither a
/// descriptor nor a buffer, and is opened again when the next record comes.
final class PartFile {
    let path: String
    /// The final path if it is decided already.
    let final: String?
    let partition: String
    let openedAt: Int64
    /// The bytes handed over to the file system.
    private(set) var written: Int64
    var recordCount: Int64
    /// Whether a snapshot names the file.
    var isKnown: Bool
    /// Rises with each use.
    var lastUse: UInt64 = 0
    var buffer = OutputBuffer(capacity: 64)
    private var output: (any FileOutput)?
    private let fileSystem: any FileSystem

    /// Creates the file, in place of what bears its name.
    init(
        creating path: String, final: String?, partition: String, openedAt: Int64, _ fileSystem: any FileSystem
    ) throws(ThalwegError) {
        self.path = path
        self.final = final
        self.partition = partition
        self.openedAt = openedAt
        self.fileSystem = fileSystem
        (written, recordCount, isKnown) = (0, 0, false)
        output = try fileSystem.create(path)
    }

    /// Goes on with a file as a snapshot has it; what was written later is cut off. It is suspended at first.
    init(restoring file: UnfinishedFile, _ fileSystem: any FileSystem) throws(ThalwegError) {
        guard let count = try fileSystem.byteCountIfThere(of: file.path) else {
            throw ThalwegError(
                .corrupt, "an unfinished file of a checkpoint is missing",
                detail: "\(file.path), \(file.byteCount) bytes long",
                hint: "put it back, or start from a checkpoint whose files are there")
        }
        guard count >= file.byteCount else {
            throw ThalwegError(
                .corrupt, "an unfinished file is shorter than a checkpoint has it",
                detail: "\(file.path) has \(count) bytes of \(file.byteCount)",
                hint: "put it back, or start from a checkpoint whose files are there")
        }
        path = file.path
        final = file.final.isEmpty ? nil : file.final
        partition = file.partition
        openedAt = file.openedAt
        self.fileSystem = fileSystem
        (written, recordCount, isKnown) = (file.byteCount, file.recordCount, true)
        try fileSystem.reopen(path, truncatedTo: written).close()
    }

    var state: UnfinishedFile {
        UnfinishedFile(
            path: path, final: final ?? "", partition: partition, byteCount: written, recordCount: recordCount,
            openedAt: openedAt)
    }

    var isSuspended: Bool { output == nil }
    /// The bytes on disk and in memory.
    var byteCount: Int64 { written + Int64(buffer.count) }

    func resume() throws(ThalwegError) {
        if output == nil { output = try fileSystem.reopen(path, truncatedTo: written) }
    }

    /// Hands the bytes in memory over to the file system.
    func drain() throws(ThalwegError) {
        guard buffer.count > 0, let output else { return }
        try buffer.withBytes { bytes throws(ThalwegError) in try output.write(bytes) }
        written += Int64(buffer.count)
        buffer.removeAll()
    }

    /// Gives up descriptor and memory.
    func suspend() throws(ThalwegError) {
        try drain()
        close()
        buffer = OutputBuffer(capacity: 64)
    }

    func close() {
        output?.close()
        output = nil
    }

    /// Closes and removes the file.
    func discard() {
        close()
        fileSystem.remove(path)
    }
}

extension FileSystem {
    /// How many bytes a file has; nil when there is none.
    func byteCountIfThere(of path: String) throws(ThalwegError) -> Int64? {
        do { return try byteCount(of: path) } catch {
            if error.kind == .input { return nil }
            throw error
        }
    }

    /// Whether two files hold the same.
    func hasSameBytes(_ one: String, _ other: String) throws(ThalwegError) -> Bool {
        guard try byteCount(of: one) == byteCount(of: other) else { return false }
        let (first, second) = (try open(one), try open(other))
        let blockBytes = 64 << 10
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * blockBytes, alignment: 16)
        defer { buffer.deallocate() }
        let (left, right) = (buffer[..<blockBytes], buffer[blockBytes...])
        var position: UInt64 = 0
        while true {
            let count = try first.read(at: position, into: UnsafeMutableRawBufferPointer(rebasing: left))
            if count == 0 { return true }
            // A read may give fewer bytes than there are.
            var done = 0
            while done < count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: right.prefix(count - done))
                let more = try second.read(at: position + UInt64(done), into: rest)
                guard more > 0, rest.prefix(more).elementsEqual(left.dropFirst(done).prefix(more)) else { return false }
                done += more
            }
            position += UInt64(count)
        }
    }
}
