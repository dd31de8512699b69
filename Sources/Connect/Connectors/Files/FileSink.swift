// SPDX-License-Identifier: Apache-2.0
//  Writes records to files that appear whole or not at all.

import ThalwegBase
import ThalwegData
import ThalwegFormats
import ThalwegOperator
import ThalwegStorage

/// Writes a file, or a directory of parts when the path ends in `/`; each record exactly once.
///
///     .write(to: .files("hot-items.csv", format: .csv))
///     .write(to: FileSink("orders/", format: .json).partitioned { "day=\($0.day)" })
///
/// What is being written lies beside its final place under a name that begins with `.`; it is renamed when what it
/// belongs to is complete:
///
/// - One file appears when the input has ended and the whole job has succeeded. Over restarts it is cut back to the
///   checkpoint that the job goes back to, and written on.
/// - Parts of a directory appear with the checkpoint that follows their closing; see ``RollingPolicy``. A restart
///   closes those that its checkpoint has as unfinished ones where it has them, so that savepoints taken since are
///   refused rather than restored with other records than they had. Parts are called
///   `part-<checkpoint>-<subtask>-<number>`, which sorts in the order of appearance. In a job without checkpoints and
///   without a policy, there is one `part-<subtask>` for each subtask, and all appear at the end.
///
/// A job without checkpoints that fails leaves neither a partial file nor a changed old one. One with checkpoints keeps
/// its unfinished files, as they are needed to go on; those that no checkpoint needs are removed at the next start.
///
/// A job with checkpoints refuses a directory with parts that are newer than the checkpoint it goes on from, unless
/// `CheckpointOptions/repeatsOutput` is set.
///
/// Not promised: that two jobs can share a directory, that a job can go back to a checkpoint older than the last one it
/// went on from, or that finished files may be taken away before the checkpoint after theirs is complete.
public struct FileSink<Element: Sendable>: Sink {
    public let kind = "files"
    public let path: String
    public let format: OutputFormat<Element>
    let fileSystem: any FileSystem
    let rolling: RollingPolicy?
    private(set) var partition: (@Sendable (Element) throws -> String)?
    private(set) var partitionCommit: PartitionCommit?
    /// The files of a writer that are open at a time; others are closed and opened again when needed.
    public var openFilesMax = 64
    /// The unfinished files that a writer may have, and the partitions whose marker it may owe.
    public var unfinishedFilesMax = 10_000

    /// - Parameter rolling: when the parts of a directory are closed; nil: at every checkpoint if there are any.
    public init(
        _ path: String, format: OutputFormat<Element>, rolling: RollingPolicy? = nil,
        fileSystem: any FileSystem = LocalFileSystem()
    ) {
        self.path = path
        self.format = format
        self.rolling = rolling
        self.fileSystem = fileSystem
    }

    /// Divides the output into directories below the path, such as `day=2024-05-01` or `eu/day=1`.
    ///
    /// - Parameters:
    ///   - name: the directory of a record, relative to the path; no component may be empty or begin with `.` or `_`.
    ///   - commit: how readers are told about a partition; nil leaves them to look.
    public func partitioned(
        commit: PartitionCommit? = nil, by name: @escaping @Sendable (Element) throws -> String
    ) -> FileSink {
        var sink = self
        sink.partition = name
        sink.partitionCommit = commit
        return sink
    }

    /// One file has one writer.
    public var parallelismMax: Int? { place.isDirectory ? nil : 1 }

    var place: FilePlace { FilePlace(path: path, fileExtension: format.name) }

    public func makeWriter(_ context: SinkContext) throws -> FileSinkWriter<Element> {
        try check()
        return try FileSinkWriter(self, context)
    }

    private func check() throws(ThalwegError) {
        guard !path.isEmpty else {
            throw ThalwegError(.job, "an output has no path", hint: "name a file, or a directory with / at its end")
        }
        guard rolling?.isValid ?? true, openFilesMax > 0, unfinishedFilesMax > 0 else {
            throw ThalwegError(
                .job, "a bound of a file sink is not positive", detail: path,
                hint: "leave out bounds that are not wanted")
        }
        if let marker = partitionCommit?.name {
            guard marker.hasPrefix("_"), !marker.contains("/"), marker.utf8.count <= FilePlace.nameBytesMax else {
                throw ThalwegError(
                    .job, "the marker of a partition has a bad name", detail: "\"\(marker)\" in \(path)",
                    hint: "begin it with _ so that sources pass over it, such as _SUCCESS")
            }
        }
        try checkDirectories()
        guard !place.isDirectory else { return }
        guard rolling == nil, partition == nil else {
            throw ThalwegError(
                .job, "one file can neither roll nor be partitioned", detail: path,
                hint: "end the path in / to write a directory of parts")
        }
        guard !fileSystem.isDirectory(path) else {
            throw ThalwegError(
                .job, "an output is a directory", detail: path,
                hint: "name a file in it, or end the path in / to write one part per subtask")
        }
        if let kind = fileSystem.specialFile(path) {
            throw ThalwegError(
                .job, "an output is not a plain file", detail: "\(path) is \(kind)",
                hint: "an output is replaced as a whole: name a plain file, or write to .print() for standard output")
        }
    }

    /// A file may stand where a directory has to be.
    private func checkDirectories() throws(ThalwegError) {
        for slash in path.indices where path[slash] == "/" && slash != path.startIndex {
            let directory = String(path[..<slash])
            guard (try? fileSystem.byteCount(of: directory)) != nil else { continue }
            throw ThalwegError(
                .job, "an output is to lie in a file", detail: "\(path): \(directory) is a file, not a directory",
                hint: "name another place, or remove the file")
        }
    }

    /// Renames what was prepared; what bears its final name already was renamed by an earlier call.
    public func commit(_ committables: [FileCommittable]) throws {
        for file in committables where file.kind == .part { try publish(file) }
        guard let commit = partitionCommit else { return }
        var directories: Set<String> = []
        for file in committables {
            switch (commit.moment, file.kind) {
            case (.whenFinished, .marker): directories.insert(file.final)
            case (.afterCheckpoint, .part): directories.insert(String(file.final.prefix(through: file.final.lastSlash)))
            default: break
            }
        }
        for directory in directories.sorted() { try mark(directory, commit) }
    }

    private func publish(_ file: FileCommittable) throws(ThalwegError) {
        if let count = try fileSystem.byteCountIfThere(of: file.temporary) {
            guard count == file.byteCount else { throw Self.damaged(file, "\(file.temporary) has \(count) bytes") }
            try checkReplaced(file)
            return try fileSystem.rename(file.temporary, to: file.final)
        }
        guard let count = try fileSystem.byteCountIfThere(of: file.final) else {
            throw Self.damaged(file, "neither \(file.temporary) nor \(file.final) is there")
        }
        guard count == file.byteCount else {
            throw Self.damaged(file, "\(file.temporary) is gone, and \(file.final) has \(count) bytes")
        }
        // Whoever renamed it may have died before the name was durable.
        let directory = String(file.final.prefix(through: file.final.lastSlash))
        try fileSystem.syncDirectory(directory.hasSuffix("/") ? directory : ".")
    }

    /// A part of a checkpoint bears a name that nothing else has: what is there already with other content is never
    /// replaced.
    private func checkReplaced(_ file: FileCommittable) throws(ThalwegError) {
        let name = file.final.split(separator: "/").last.map(String.init) ?? file.final
        guard place.isDirectory, place.checkpoint(ofPart: name) ?? 0 > 0,
            try fileSystem.byteCountIfThere(of: file.final) != nil
        else { return }
        guard try fileSystem.hasSameBytes(file.temporary, file.final) else {
            throw ThalwegError(
                .job, "an output holds another part of the same name",
                detail: "\(file.final) has other content than \(file.temporary), which is to take its place",
                hint: "move the part elsewhere, then start with --from latest: that publishes the other one")
        }
    }

    private static func damaged(_ file: FileCommittable, _ found: String) -> ThalwegError {
        ThalwegError(
            .corrupt, "output of a checkpoint is not as it was prepared",
            detail: "\(found); \(file.byteCount) bytes were prepared",
            hint: "put the file back, or start from a checkpoint whose files are there")
    }

    private func mark(_ directory: String, _ commit: PartitionCommit) throws(ThalwegError) {
        guard try fileSystem.byteCountIfThere(of: directory + commit.name) == nil else { return }
        if commit.moment == .whenFinished {
            // Whoever publishes the last file finds no other, and writes the marker.
            let names = try fileSystem.names(in: directory)
            guard !names.contains(where: { place.owner(ofUnfinished: $0) != nil }) else { return }
        }
        let temporary = directory + FilePlace.unfinished(commit.name)
        let output = try fileSystem.create(temporary)
        defer { output.close() }
        try output.sync()
        try fileSystem.rename(temporary, to: directory + commit.name)
    }

    /// Removes what was prepared, but for files that an earlier checkpoint has as unfinished ones.
    public func abort(_ committables: [FileCommittable]) {
        for file in committables where file.kind == .part && !file.isKept { fileSystem.remove(file.temporary) }
    }
}

extension String {
    /// The last `/`; of a path without one, its beginning.
    fileprivate var lastSlash: Index { lastIndex(of: "/") ?? startIndex }
}

extension FileSink: LocatedSink {
    public var location: String { path }
}

extension Sink {
    /// Writes a file, or a directory of parts when the path ends in `/`.
    public static func files<Element: Sendable>(
        _ path: String, format: OutputFormat<Element>, rolling: RollingPolicy? = nil
    ) -> FileSink<Element> where Self == FileSink<Element> { FileSink(path, format: format, rolling: rolling) }
}
