// SPDX-License-Identifier: Apache-2.0
//  A complete snapshot, to restore from.

import ThalwegBase

/// A snapshot whose metadata has been read. Segments are read when they are asked for.
public struct Snapshot: Sendable {
    public let metadata: SnapshotMetadata
    /// Its directory.
    public let path: String
    private let root: String
    public let fileSystem: any FileSystem

    init(_ metadata: SnapshotMetadata, path: String, root: String, fileSystem: any FileSystem) {
        self.metadata = metadata
        self.path = path
        self.root = root
        self.fileSystem = fileSystem
    }

    /// A snapshot that lies nowhere and holds nothing: what one is made from that comes from no other.
    public static func empty(_ metadata: SnapshotMetadata, fileSystem: any FileSystem) -> Snapshot {
        Snapshot(metadata, path: "", root: "", fileSystem: fileSystem)
    }

    /// What the snapshot holds of an operator; nil when it does not know one of this name. Reads the footers of the
    /// operator's segments.
    public func restoredState(of operatorName: String) throws -> RestoredSnapshotState? {
        guard let known = metadata.operators.first(where: { $0.name == operatorName }) else { return nil }
        let files = metadata.files.filter { $0.operators.contains(operatorName) }
        return try RestoredSnapshotState(
            of: known, files: files.map { (location($0), $0) }, root: root,
            isUserOwned: SnapshotKind(rawValue: metadata.kind)?.isUserOwned ?? true, fileSystem: fileSystem)
    }

    /// Opens one of its segments.
    public func segment(_ file: SegmentFile) throws -> SegmentReader {
        try Self.open(location(file), file, fileSystem)
    }

    /// Reads every byte of every segment and compares it with its checksums.
    ///
    /// - Throws: kind `corrupt`, with the file and the reason.
    public func verify() throws {
        for file in metadata.files { try verify(file) }
    }

    /// Reads every byte of one segment and compares it with its checksums: block by block, then the whole file.
    ///
    /// - Throws: kind `corrupt`, with the file, the block and the reason.
    public func verify(_ file: SegmentFile) throws {
        let path = location(file)
        let reader = try Self.open(path, file, fileSystem)
        try reader.verify()
        guard reader.footer.entries == UInt64(exactly: file.entries) else {
            throw Self.damage(path, "it has \(reader.footer.entries) entries, \(file.entries) were written")
        }
        try verifyChecksum(of: path, file)
    }

    private func verifyChecksum(of path: String, _ file: SegmentFile) throws {
        let source = try Self.openBytes(path, file, fileSystem)
        let checksum = RunningChecksum()
        let buffer = GrowingBuffer(capacity: 256 << 10)
        var offset: UInt64 = 0
        while true {
            let count = try source.read(at: offset, into: buffer.room(buffer.capacity))
            if count == 0 { break }
            checksum.update(buffer.bytes(count))
            offset += UInt64(count)
        }
        guard checksum.value.hex == file.checksum else { throw Self.damage(path, "the checksum of the file differs") }
    }

    /// Where a file lies. Those of the snapshot's own directory are found there whatever it is called now.
    public func location(_ file: SegmentFile) -> String {
        let own = CheckpointStore.directoryName(metadata.checkpoint) + "/"
        return file.path.hasPrefix(own) ? path + "/" + file.path.dropFirst(own.count) : root + "/" + file.path
    }

    /// Whether all files are there in full size.
    func checkFiles() throws(ThalwegError) {
        for file in metadata.files { _ = try Self.checkedByteCount(location(file), file, fileSystem) }
    }

    // MARK: Files

    static func open(
        _ path: String, _ file: SegmentFile, _ fileSystem: any FileSystem
    ) throws(ThalwegError) -> SegmentReader {
        try SegmentReader(try openBytes(path, file, fileSystem), byteCount: file.byteCount)
    }

    private static func openBytes(
        _ path: String, _ file: SegmentFile, _ fileSystem: any FileSystem
    ) throws(ThalwegError) -> any ByteSource {
        _ = try checkedByteCount(path, file, fileSystem)
        return try fileSystem.open(path)
    }

    private static func checkedByteCount(
        _ path: String, _ file: SegmentFile, _ fileSystem: any FileSystem
    ) throws(ThalwegError) -> Int64 {
        let count: Int64
        do {
            count = try fileSystem.byteCount(of: path)
        } catch {
            guard error.kind == .input else { throw error }
            var missing = damage(path, "it is not there or may not be read")
            missing.cause = error
            throw missing
        }
        guard count == file.byteCount else { throw damage(path, "it has \(count) bytes, not \(file.byteCount)") }
        return count
    }

    static func damage(_ path: String, _ reason: String) -> ThalwegError {
        ThalwegError(
            .corrupt, "a snapshot is damaged", detail: "file \(path): \(reason)",
            hint: "bring the file back from a copy, or start from another snapshot")
    }
}
