// SPDX-License-Identifier: Apache-2.0
//  Where snapshots lie: a directory with one directory per checkpoint.

import ThalwegBase

/// The snapshots of a job below one root: `chk-7/map-0.segment`, …, and `chk-7/_metadata`, written last: a checkpoint
/// without it is incomplete and counts as none (FLIP-47).
///
/// Called from any thread; one process at a time writes.
public struct CheckpointStore: Sendable {
    /// A checkpoint as the store lists it.
    public struct Listing: Sendable {
        public enum State: Sendable {
            case complete(SnapshotMetadata)
            /// With the file and the reason.
            case damaged(String)
        }

        public let checkpoint: Int64
        /// Its directory.
        public let path: String
        public let state: State

        /// The metadata, if it is complete.
        public var metadata: SnapshotMetadata? {
            if case .complete(let metadata) = state { metadata } else { nil }
        }
    }

    /// The file that makes a checkpoint complete.
    public static let metadataName = "_metadata"
    private static let unfinishedMetadataName = "_metadata.unfinished"
    private static let probeName = ".thalweg-probe"
    private static let lockName = ".thalweg-lock"
    static let segmentEnding = ".segment"

    public let root: String
    let fileSystem: any FileSystem
    private let options: SegmentOptions

    public init(root: String, fileSystem: any FileSystem, options: SegmentOptions = SegmentOptions()) {
        self.root = root.count > 1 && root.hasSuffix("/") ? String(root.dropLast()) : root
        self.fileSystem = fileSystem
        self.options = options
    }

    static func directoryName(_ checkpoint: Int64) -> String { "chk-\(checkpoint)" }

    /// Where a checkpoint lies.
    public func path(of checkpoint: Int64) -> String { directory(checkpoint) }

    func directory(_ checkpoint: Int64) -> String { root + "/" + Self.directoryName(checkpoint) }

    // MARK: Before a job starts

    /// Makes the root, proves that it can be written, keeps other runs out of it, and removes what checkpoints that
    /// were never completed left, and what attempts of tasks that were over left beside the files of complete ones.
    ///
    /// - Parameter owner: what other runs are told of this one.
    /// - Returns: what keeps others out as long as it is held; nil where the disk has no locks.
    /// - Throws: kind `retry` when another run is at work in the directory.
    @discardableResult
    public func prepare(for owner: String = "a job") throws -> (any FileLock)? {
        try makeRoot()
        let lock = try lockRoot(for: owner)
        try removeUnreferenced()
        return lock
    }

    private func makeRoot() throws {
        let probe = root + "/" + Self.probeName
        // Directories must survive a loss of power, as the checkpoints in them do: those that are made here, and those
        // that a process made which failed before it could make them durable.
        let parents = root.indices.filter { root[$0] == "/" && $0 != root.startIndex }.map { String(root[..<$0]) }
        do {
            try fileSystem.makeDirectory(root)
            for path in parents + [root] { try fileSystem.syncDirectory(Self.parent(of: path)) }
            let output = try fileSystem.create(probe)
            defer { output.close() }
            try [UInt8](Self.probeName.utf8).withUnsafeBytes { try output.write($0) }
            try output.sync()
            try fileSystem.removeFile(probe)
            try fileSystem.syncDirectory(root)
        } catch {
            throw ThalwegError(
                (error as? ThalwegError)?.kind ?? .retry, "checkpoints cannot be written", detail: "directory \(root)",
                hint: "name a directory that this process may write to and that has space", cause: error)
        }
    }

    /// The directories that ``prepare(for:)`` will have to make: the root and those above it, the innermost first.
    public var missingDirectories: [String] {
        let above = root.indices.filter { root[$0] == "/" && $0 != root.startIndex }.map { String(root[..<$0]) }
        return ([root] + above.reversed()).filter { !fileSystem.isDirectory($0) }
    }

    /// Where the root is, or will be: without links as far as it is there, and without detours.
    public var place: String {
        let missing = missingDirectories
        let there = missing.last.map(Self.parent(of:)) ?? root
        let rest = missing.first.map { _ in root.dropFirst(there == "." ? 0 : there.count) } ?? ""
        var parts: [Substring] = []
        for part in (fileSystem.absolutePath(there) + "/" + rest).split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// Removes directories that a run has made, as far as nothing is in them but its lock: a start that was refused
    /// leaves no trace. Only while the run holds the lock; what cannot be removed stays.
    ///
    /// - Parameter made: ``missingDirectories`` as they were before.
    public func withdraw(_ made: [String]) {
        for path in made {
            guard fileSystem.isDirectory(path), let names = try? fileSystem.names(in: path),
                names.isEmpty || path == root && names == [Self.lockName]
            else { return }
            guard (try? fileSystem.removeTree(path)) != nil else { return }
        }
    }

    func lockRoot(for owner: String) throws -> (any FileLock)? {
        do { return try fileSystem.lock(root + "/" + Self.lockName, for: owner) } catch {
            guard error.primary == LockTable.heldPrimary else { throw error }
            throw ThalwegError(
                .retry, "another run is at work in the directory of checkpoints", detail: error.detail,
                hint: "stop that process, or wait for its end: two runs would destroy each other's checkpoints; "
                    + "another job takes another directory")
        }
    }

    /// Removes what checkpoints that were never completed left, files beside those of complete ones that attempts of
    /// tasks left which are over, and runs that no checkpoint refers to. Only while no task of a job builds on them.
    public func removeUnreferenced() throws {
        // What a damaged one refers to is not known, and its metadata may be brought back from a copy.
        guard try snapshotNames().allSatisfy({ (try? readMetadata(root + "/" + $0)) != nil }) else { return }
        let referenced = try referencedPaths(without: nil)
        for checkpoint in try checkpoints() {
            if try isComplete(checkpoint) {
                try removeStrays(in: checkpoint, except: referenced)
            } else {
                try removeFiles(of: checkpoint, except: referenced)
            }
        }
        try removeRuns(except: referenced)
    }

    // MARK: Writing

    /// Writes the states of one subtask, durably but for the file's name: ``complete(_:)`` sees to that.
    ///
    /// - Parameters:
    ///   - name: of the file, without ending; characters that have a meaning in paths are replaced.
    ///   - isCancelled: asked once a block.
    /// - Returns: nil when there are no entries; then there is no file either.
    /// - Throws: `CancellationError` when it was cancelled; nothing is left then, nor after any other error.
    public func writeSegment(
        checkpoint: Int64, name: String, operators: [String], subtask: Int, parts: [StatePart],
        isCancelled: @Sendable () -> Bool
    ) throws -> SegmentFile? {
        try writeLayer(
            checkpoint: checkpoint, name: name, operators: operators, subtask: subtask, parts: parts,
            isCancelled: isCancelled)?.file
    }

    /// Writes the states of one subtask as ``writeSegment(checkpoint:name:operators:subtask:parts:isCancelled:)`` does.
    ///
    /// - Parameters:
    ///   - sequence: its age among the layers of its operators.
    ///   - options: how; nil: as other files of checkpoints.
    ///   - filteredRows: for how many rows a filter is kept in memory; nil: none.
    /// - Returns: what was written, open for looking up rows.
    public func writeLayer(
        checkpoint: Int64, name: String, operators: [String], subtask: Int, sequence: Int64 = 0, parts: [StatePart],
        options: SegmentOptions? = nil, filteredRows: Int? = nil, isCancelled: @Sendable () -> Bool
    ) throws -> Run? {
        let path = try newPath(checkpoint, name)
        var target = RunTarget(
            path: root + "/" + path, listedAs: path, operators: operators, subtask: subtask, sequence: sequence)
        target.options = options ?? self.options
        target.isDurable = true
        target.filteredRows = filteredRows
        return try withoutActuallyEscaping(isCancelled) { isCancelled in
            try Run.write(parts, to: target, fileSystem: fileSystem, isCancelled: isCancelled)
        }
    }

    /// A path that no file has: one that is there may belong to a complete checkpoint, as the last state of a task
    /// that ended after it and has been started again since.
    func newPath(_ checkpoint: Int64, _ name: String) throws -> String {
        let directory = directory(checkpoint)
        let taken = fileSystem.isDirectory(directory) ? Set(try fileSystem.names(in: directory)) : []
        var file = Self.fileName(name)
        var number = 1
        while taken.contains(file) {
            number += 1
            file = Self.fileName("\(name)-\(number)")
        }
        return Self.directoryName(checkpoint) + "/" + file
    }

    /// Makes a checkpoint complete: its files' names and then its metadata are made durable.
    ///
    /// - Throws: when a file is not there in full; when there is a complete checkpoint of this number. After an error
    ///   the checkpoint is either complete or ignored.
    public func complete(_ metadata: SnapshotMetadata) throws {
        let path = directory(metadata.checkpoint)
        try fileSystem.makeDirectory(path)
        guard try !isComplete(metadata.checkpoint) else {
            throw ThalwegError(
                .job, "there is a checkpoint of this number already", detail: path,
                hint: "give each job a directory of its own, or start it from the latest checkpoint")
        }
        guard metadata.files.allSatisfy(\.isInside) else {
            throw ThalwegError(.bug, "a file of a checkpoint lies outside its store", detail: path)
        }
        try Snapshot(metadata, path: path, root: root, fileSystem: fileSystem).checkFiles()
        // Files of tasks that have ended lie in the directories of other checkpoints, which may never be complete, and
        // those that tasks have written between checkpoints in one of their own.
        let owners = Set(metadata.files.map { Self.parent(of: $0.path) }).union([
            Self.directoryName(metadata.checkpoint)
        ])
        for owner in owners.sorted() { try fileSystem.syncDirectory(root + "/" + owner) }
        try fileSystem.syncDirectory(root)
        try Self.writeMetadata(metadata, in: path, fileSystem)
    }

    /// Makes a directory a snapshot: written under another name, synced, renamed, and the directory synced.
    static func writeMetadata(_ metadata: SnapshotMetadata, in path: String, _ fileSystem: any FileSystem) throws {
        let unfinished = path + "/" + unfinishedMetadataName
        let output = try fileSystem.create(unfinished)
        defer { output.close() }
        try metadata.encoded().withUnsafeBytes { try output.write($0) }
        try output.sync()
        try fileSystem.rename(unfinished, to: path + "/" + metadataName)
        try fileSystem.syncDirectory(path)
    }

    // MARK: Removing

    /// Removes a checkpoint, complete or not; files that complete ones refer to stay.
    ///
    /// - Parameters:
    ///   - released: files that nobody needs any more but complete checkpoints, relative to the root.
    ///   - kept: further files that stay: those that a checkpoint to come refers to.
    /// - Returns: the released files that stay for now, as a snapshot refers to them.
    @discardableResult
    public func discard(
        checkpoint: Int64, released: Set<String> = [], keeping kept: Set<String> = []
    ) throws -> Set<String> {
        try discard(checkpoint: Optional(checkpoint), released: released, keeping: kept)
    }

    /// - Parameter checkpoint: nil: only the released files.
    func discard(checkpoint: Int64?, released: Set<String>, keeping kept: Set<String>) throws -> Set<String> {
        guard let checkpoint else {
            let referenced = try referencedPaths(without: nil).union(kept)
            for file in released.subtracting(referenced).sorted() { try removeIfThere(file) }
            return released.intersection(referenced)
        }
        let path = directory(checkpoint)
        let isThere = fileSystem.isDirectory(path)
        guard isThere || !released.isEmpty else { return [] }
        let metadata = isThere ? try? readMetadata(path) : nil
        if try isThere && isComplete(checkpoint) {
            // First, and durably: a checkpoint that lost a file must not look complete.
            try fileSystem.removeFile(path + "/" + Self.metadataName)
            try fileSystem.syncDirectory(path)
        }
        let referenced = try referencedPaths(without: checkpoint).union(kept)
        if isThere { try removeFiles(of: checkpoint, except: referenced) }
        // Files that others left behind for this one.
        let owners = Set((metadata?.files ?? []).compactMap { Self.owner(of: $0.path) })
        for owner in owners.sorted() where owner != checkpoint && fileSystem.isDirectory(directory(owner)) {
            if try !isComplete(owner) { try removeFiles(of: owner, except: referenced) }
        }
        for file in released.subtracting(referenced).sorted() { try removeIfThere(file) }
        return released.intersection(referenced)
    }

    /// Removes a file, and its directory if nothing else is in it.
    private func removeIfThere(_ file: String) throws {
        let directory = root + "/" + Self.parent(of: file)
        guard fileSystem.isDirectory(directory), let name = file.split(separator: "/").last else { return }
        let names = try fileSystem.names(in: directory)
        guard names.contains(String(name)) else { return }
        try fileSystem.removeFile(root + "/" + file)
        // Tasks write into the directory of runs at any time: it stays.
        let isOfRuns = Self.parent(of: file) == Self.runDirectory
        if names.count == 1 && !isOfRuns { try fileSystem.removeTree(directory) }
    }

    /// Discards the complete checkpoints that the job owns but for the newest.
    public func retain(newest count: Int) throws {
        let own = try list().filter { $0.metadata?.owner == .job }
        for listing in own.dropFirst(max(0, count)) { try discard(checkpoint: listing.checkpoint) }
    }

    private func removeFiles(of checkpoint: Int64, except referenced: Set<String>) throws {
        let path = directory(checkpoint)
        var isEmpty = true
        for name in try fileSystem.names(in: path) {
            let isOurs = Self.isOurs(name) || name == Self.metadataName || name == Self.claimName
            if !isOurs || referenced.contains(Self.directoryName(checkpoint) + "/" + name) {
                isEmpty = false
            } else {
                try fileSystem.removeFile(path + "/" + name)
            }
        }
        if isEmpty { try fileSystem.removeTree(path) }
    }

    /// Whether a store writes files with such names beside the metadata of a snapshot. Others are somebody else's, and
    /// stay.
    static func isOurs(_ name: String) -> Bool {
        name.hasSuffix(segmentEnding) || name.hasPrefix(metadataName + ".")
    }

    /// The last snapshot of a task that started again lies in the directory of a checkpoint that the next attempt may
    /// have completed without it. Files that are no segments are not ours.
    private func removeStrays(in checkpoint: Int64, except referenced: Set<String>) throws {
        let path = directory(checkpoint)
        for name in try fileSystem.names(in: path) where name.hasSuffix(Self.segmentEnding) {
            guard !referenced.contains(Self.directoryName(checkpoint) + "/" + name) else { continue }
            try fileSystem.removeFile(path + "/" + name)
        }
    }

    /// The files that snapshots in the directory refer to, also renamed ones and copies.
    private func referencedPaths(without excluded: Int64?) throws -> Set<String> {
        var paths: Set<String> = []
        for name in try snapshotNames() where Self.checkpoint(ofDirectory: name) != excluded || excluded == nil {
            do {
                paths.formUnion(Self.listedPaths(try readMetadata(root + "/" + name), in: name))
            } catch let error as ThalwegError where error.kind == .corrupt {
                // Nothing can be restored from it: it keeps its own files and no others.
                continue
            }
        }
        return paths
    }

    /// The directories with snapshots, whatever they are called.
    func snapshotNames() throws -> [String] {
        try fileSystem.names(in: root).filter { name in
            try fileSystem.isDirectory(root + "/" + name)
                && fileSystem.names(in: root + "/" + name).contains(Self.metadataName)
        }
    }

    /// The files of a snapshot in a directory of a name, relative to the root: it finds those of its own directory
    /// there, whatever that is called now.
    static func listedPaths(_ metadata: SnapshotMetadata, in name: String) -> Set<String> {
        let named = directoryName(metadata.checkpoint) + "/"
        return Set(
            metadata.files.map { file in
                file.path.hasPrefix(named) ? name + "/" + file.path.dropFirst(named.count) : file.path
            })
    }

    private static func owner(of path: String) -> Int64? {
        path.split(separator: "/").first.flatMap { checkpoint(ofDirectory: String($0)) }
    }

    // MARK: Names

    static func parent(of path: String) -> String {
        path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }

    static func checkpoint(ofDirectory name: String) -> Int64? {
        guard name.hasPrefix("chk-"), let number = Int64(name.dropFirst(4)), number >= 0,
            directoryName(number) == name
        else { return nil }
        return number
    }

    /// The numbers of all checkpoints, complete or not, in ascending order.
    func checkpoints() throws -> [Int64] {
        guard fileSystem.isDirectory(root) else { return [] }
        return try fileSystem.names(in: root).compactMap(Self.checkpoint(ofDirectory:)).sorted()
    }

    func isComplete(_ checkpoint: Int64) throws -> Bool {
        try fileSystem.names(in: directory(checkpoint)).contains(Self.metadataName)
    }

    /// A name that is one on every disk: what is not plain is written as `%` and two digits.
    static func fileName(_ name: String) -> String {
        var out = ""
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default: out += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        let namesMax = 200
        if out.utf8.count > namesMax {
            out = String(out.prefix(namesMax)) + "-" + Array(name.utf8).withUnsafeBytes(\.checksum).hex
        }
        return out + Self.segmentEnding
    }
}
