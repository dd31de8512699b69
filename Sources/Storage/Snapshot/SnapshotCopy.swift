// SPDX-License-Identifier: Apache-2.0
//  A snapshot made from another one, at another place.

import ThalwegBase

/// Writes a snapshot into a directory of its own, from files of another one and from new ones (FLIP-43, FLIP-47).
///
/// The directory has all its files and counts as a snapshot as soon as ``complete(_:)`` has returned. The snapshot that
/// is copied is only read. Used by one thread.
public final class SnapshotCopy {
    private let source: Snapshot
    private let path: String
    private let fileSystem: any FileSystem
    private let options: SegmentOptions
    private var names: Set<String> = []

    /// - Parameter path: the directory to make.
    /// - Throws: kind `input` when something is there already, or when it cannot be a snapshot's.
    public init(of source: Snapshot, to path: String, options: SegmentOptions = SegmentOptions()) throws {
        var path = path
        while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
        self.source = source
        self.path = path
        self.options = options
        fileSystem = source.fileSystem
        if fileSystem.isDirectory(path) {
            guard try fileSystem.names(in: path).isEmpty else {
                throw Self.refusal("there is something already", path, "name a directory that is not there")
            }
        } else if (try? fileSystem.byteCount(of: path)) != nil {
            throw Self.refusal("it is a file", path, "name a directory that is not there")
        }
        let name = String(path.split(separator: "/").last ?? "")
        if let number = CheckpointStore.checkpoint(ofDirectory: name), number != source.metadata.checkpoint {
            throw Self.refusal(
                "a directory of that name is checkpoint \(number), this is \(source.metadata.checkpoint)", path,
                "give it another name, such as copy")
        }
        guard source.path.isEmpty || !(path + "/").hasPrefix(source.path + "/") else {
            throw Self.refusal("it lies in the snapshot that is copied", path, "name a directory beside it")
        }
        try fileSystem.makeDirectory(path)
    }

    /// Begins a snapshot that comes from no other one.
    ///
    /// - Parameter metadata: without files.
    public convenience init(
        of metadata: SnapshotMetadata, to path: String, fileSystem: any FileSystem,
        options: SegmentOptions = SegmentOptions()
    ) throws {
        try self.init(of: .empty(metadata, fileSystem: fileSystem), to: path, options: options)
    }

    /// Where files may lie while the snapshot is written; whoever makes them removes them.
    public var scratchDirectory: String { path + "/.scratch" }

    private static func refusal(_ reason: String, _ path: String, _ hint: String) -> ThalwegError {
        ThalwegError(.input, "a snapshot cannot be written there", detail: "\(path): \(reason)", hint: hint)
    }

    // MARK: Files

    /// Copies a file byte for byte, and compares it with its checksum on the way.
    ///
    /// - Parameter isShared: whether the disk may keep it once, under both names. It is not read then: what is damaged
    ///   in it is found by whoever reads it.
    public func take(_ file: SegmentFile, isShared: Bool = false) throws -> SegmentFile {
        let from = source.location(file)
        if isShared {
            let name = newName(of: file.path)
            if fileSystem.link(from, to: path + "/" + name) { return file.at(listed(name)) }
            names.remove(name)
        }
        let input = try fileSystem.open(from)
        return try write(at: file.path) { output, _ in
            let checksum = RunningChecksum()
            let buffer = GrowingBuffer(capacity: 256 << 10)
            var offset: UInt64 = 0
            while true {
                let count = try input.read(at: offset, into: buffer.room(buffer.capacity))
                if count == 0 { break }
                checksum.update(buffer.bytes(count))
                try output.write(buffer.bytes(count))
                offset += UInt64(count)
            }
            guard offset == UInt64(exactly: file.byteCount), checksum.value.hex == file.checksum else {
                throw Snapshot.damage(from, "the checksum of the file differs")
            }
            return file
        }
    }

    /// Copies a file with other descriptions of its states, or without some of them.
    ///
    /// - Parameters:
    ///   - states: the table of states; as many as in the file, in the same order.
    ///   - leavingOut: places in that table of states whose entries are not copied.
    ///   - operators: the operators whose state the new file holds.
    /// - Returns: nil when no entries are left; then there is no file.
    public func edit(
        _ file: SegmentFile, states: [StateDescriptor], leavingOut: Set<Int>, operators: [String]
    ) throws -> SegmentFile? {
        let reader = try source.segment(file)
        guard states.count == reader.footer.states.count else {
            throw ThalwegError(.bug, "the table of states has another length", detail: file.path)
        }
        var edited = try write(file.path, subtask: file.subtask, states: states, operators: operators) { writer in
            try reader.copy(to: writer, leavingOut: leavingOut)
        }
        edited?.sequence = file.sequence
        edited?.keyGroups = file.keyGroups
        return edited
    }

    /// Writes a new file.
    ///
    /// - Parameters:
    ///   - name: what it is called, if that is not taken.
    ///   - sequence: its age among the files of these operators; see ``SegmentFile/sequence``.
    ///   - body: writes all entries, as ``SegmentWriter`` wants them.
    /// - Returns: nil when there are no entries; then there is no file.
    public func write(
        _ name: String, subtask: Int = 0, sequence: Int64 = 0, states: [StateDescriptor], operators: [String],
        _ body: (SegmentWriter) throws -> Void
    ) throws -> SegmentFile? {
        try write(at: name) { output, path in
            let writer = try SegmentWriter(output, states: states, options: options)
            try body(writer)
            guard let (footer, checksum) = try writer.finishUnlessEmpty() else { return nil }
            return SegmentFile(
                path: path, byteCount: writer.byteCount, checksum: checksum.hex, entries: Int64(footer.entries),
                operators: operators, subtask: subtask, sequence: sequence)
        }
    }

    private func write<Result: SegmentFileResult>(
        at suggestion: String, _ body: (any FileOutput, String) throws -> Result
    ) throws -> Result {
        let name = newName(of: suggestion)
        let output = try fileSystem.create(path + "/" + name)
        defer { output.close() }
        let listed = listed(name)
        let result = try body(output, listed)
        guard result.isThere else {
            try fileSystem.removeFile(path + "/" + name)
            return result
        }
        try output.sync()
        return result.at(listed)
    }

    private func listed(_ name: String) -> String {
        CheckpointStore.directoryName(source.metadata.checkpoint) + "/" + name
    }

    /// Files of several directories come together here.
    private func newName(of path: String) -> String {
        let name = String(path.split(separator: "/").last ?? "segment")
        let ending = ".segment"
        let stem = name.hasSuffix(ending) ? String(name.dropLast(ending.count)) : name
        var unused = stem + ending
        var number = 1
        while !names.insert(unused).inserted {
            number += 1
            unused = "\(stem)-\(number)\(ending)"
        }
        return unused
    }

    // MARK: The end

    /// Writes the metadata, last and durably.
    ///
    /// - Parameter metadata: its files must be those that were written here.
    public func complete(_ metadata: SnapshotMetadata) throws {
        guard metadata.checkpoint == source.metadata.checkpoint else {
            throw ThalwegError(.bug, "a copy has another number", detail: "\(metadata.checkpoint)")
        }
        try Snapshot(metadata, path: path, root: CheckpointStore.parent(of: path), fileSystem: fileSystem).checkFiles()
        try CheckpointStore.writeMetadata(metadata, in: path, fileSystem)
        try fileSystem.syncDirectory(CheckpointStore.parent(of: path))
    }

    /// Removes what was written: the copy has failed.
    public func abandon() { try? fileSystem.removeTree(path) }
}

/// A file that was written, or none.
private protocol SegmentFileResult {
    var isThere: Bool { get }
    func at(_ path: String) -> Self
}

extension SegmentFile: SegmentFileResult {
    fileprivate var isThere: Bool { true }
    fileprivate func at(_ path: String) -> SegmentFile {
        var file = self
        file.path = path
        return file
    }
}

extension SegmentFile?: SegmentFileResult {
    fileprivate var isThere: Bool { self != nil }
    fileprivate func at(_ path: String) -> SegmentFile? { map { $0.at(path) } }
}
