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
    /// Of the bytes handed over, in a file that is written on after a restart; nil for a part, which is not.
    private let checksum: RunningChecksum?

    /// Creates the file, in place of what bears its name.
    init(
        creating path: String, final: String?, partition: String, openedAt: Int64, _ fileSystem: any FileSystem
    ) throws(ThalwegError) {
        self.path = path
        self.final = final
        self.partition = partition
        self.openedAt = openedAt
        self.fileSystem = fileSystem
        checksum = final == nil ? nil : RunningChecksum()
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
        checksum = file.final.isEmpty ? nil : try Self.checksum(of: file, fileSystem)
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
            openedAt: openedAt, checksum: checksum.map { Int64(bitPattern: $0.value) })
    }

    /// Reads what a snapshot has of a file: another attempt may have cut it off further back, and have written on in
    /// its own way.
    private static func checksum(
        of file: UnfinishedFile, _ fileSystem: any FileSystem
    ) throws(ThalwegError) -> RunningChecksum {
        let (checksum, source) = (RunningChecksum(), try fileSystem.open(file.path))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var position: Int64 = 0
        while position < file.byteCount {
            let wanted = Int(min(Int64(buffer.count), file.byteCount - position))
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
            let count = try source.read(at: UInt64(position), into: piece)
            guard count > 0 else {
                throw ThalwegError(
                    .corrupt, "an unfinished file is shorter than a checkpoint has it",
                    detail: "\(file.path) has \(position) bytes of \(file.byteCount)",
                    hint: "put it back, or start from a checkpoint whose files are there")
            }
            checksum.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            position += Int64(count)
        }
        if let stored = file.checksum, stored != Int64(bitPattern: checksum.value) {
            throw ThalwegError(
                .corrupt, "an unfinished file holds other records than the snapshot has in it",
                detail:
                    "the first \(file.byteCount) bytes of \(file.path): a run that went back to an older checkpoint "
                    + "has written over them",
                hint: "start with --from latest, or afresh with --repeat-output")
        }
        return checksum
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
        try buffer.withBytes { bytes throws(ThalwegError) in
            try output.write(bytes)
            checksum?.update(bytes)
        }
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
