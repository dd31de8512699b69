// SPDX-License-Identifier: Apache-2.0
//  Snapshots that a job takes over when it starts from them.

import ThalwegBase

/// What a claim says, beside the snapshot and in the store of the job that made it.
private struct ClaimRecord {
    /// Tells claims apart.
    let token: String
    let jobName: String
    /// The directory of checkpoints of the job, as it was called.
    let directory: String
    /// The snapshot, as it was called.
    let snapshot: String

    var tree: JSONTree {
        .object([
            "token": .string(token), "jobName": .string(jobName), "directory": .string(directory),
            "snapshot": .string(snapshot),
        ])
    }

    init(token: String, jobName: String, directory: String, snapshot: String) {
        (self.token, self.jobName, self.directory, self.snapshot) = (token, jobName, directory, snapshot)
    }

    init(_ tree: JSONTree) throws {
        self.init(
            token: try tree.string("token"), jobName: try tree.string("jobName"),
            directory: try tree.string("directory"), snapshot: try tree.string("snapshot"))
    }
}

extension CheckpointStore {
    /// Beside the metadata of a claimed snapshot.
    static let claimName = "_claim"
    /// In the root of the job that has claimed one.
    private static let claimedName = "_claimed"
    /// The metadata of a snapshot whose files are being removed.
    private static let removedName = "_metadata.removed"

    /// Takes a snapshot over for the job of this store (FLIP-47 b6): once a checkpoint of its own is complete,
    /// ``removeClaimed()`` removes it. Durable; repeated by the same job it changes nothing.
    ///
    /// - Parameters:
    ///   - jobName: for the error that a second claimer gets.
    ///   - time: of the claim, in milliseconds; tells it from others.
    /// - Throws: kind `job` when another job has claimed it; kind `retry` while a job writes where it lies.
    public func claim(_ snapshot: Snapshot, jobName: String, time: Int64) throws {
        let lock = try lockHome(of: snapshot.path)
        defer { lock?.release() }
        if isInside(snapshot.path) { return try give(snapshot.path, to: .job) }
        let own = try claimRecord(root, Self.claimedName)
        let found = try claimRecord(snapshot.path, Self.claimName)
        if let found {
            if found.token == own?.token { return }
            throw ThalwegError(
                .job, "another job has claimed the snapshot",
                detail: "\(snapshot.path): job \"\(found.jobName)\" with checkpoints in \(found.directory)",
                hint: "start without --claim from a copy: thalweg state export \(snapshot.path) COPY")
        }
        // The job may be started again in another directory.
        let path = fileSystem.absolutePath(snapshot.path)
        let seed = Array("\(root)\n\(snapshot.path)\n\(jobName)\n\(time)".utf8)
        let record = ClaimRecord(
            token: seed.withUnsafeBytes(\.checksum).hex, jobName: jobName, directory: root, snapshot: path)
        // Own first: a snapshot with a claim that nobody knows of would be nobody's.
        try write(record.tree, root, Self.claimedName)
        try write(record.tree, snapshot.path, Self.claimName)
        guard try claimRecord(snapshot.path, Self.claimName)?.token == record.token else {
            throw ThalwegError(.job, "another job has claimed the snapshot at the same time", detail: snapshot.path)
        }
    }

    /// Removes the snapshot that has been claimed, if there is one: a checkpoint of this store has taken its place. Of
    /// the directory that it lies in nothing else is touched.
    public func removeClaimed() throws {
        guard let own = try claimRecord(root, Self.claimedName) else { return }
        if fileSystem.isDirectory(own.snapshot),
            try claimRecord(own.snapshot, Self.claimName)?.token == own.token
        {
            let lock = try lockHome(of: own.snapshot)
            defer { lock?.release() }
            try removeSnapshot(own.snapshot)
        }
        try fileSystem.removeFile(root + "/" + Self.claimedName)
        try fileSystem.syncDirectory(root)
    }

    private func isInside(_ path: String) -> Bool {
        fileSystem.absolutePath(Self.parent(of: path)) == fileSystem.absolutePath(root)
    }

    /// Keeps jobs out of the directory of another one in which a snapshot lies: one that runs builds on it.
    private func lockHome(of path: String) throws -> (any FileLock)? {
        guard !isInside(path),
            Self.checkpoint(ofDirectory: path.split(separator: "/").last.map(String.init) ?? "") != nil
        else { return nil }
        return try CheckpointStore(root: Self.parent(of: path), fileSystem: fileSystem).lockRoot(for: "a claim")
    }

    /// Removes a snapshot wherever it lies, with the files that are its alone.
    private func removeSnapshot(_ path: String) throws {
        let parent = CheckpointStore(root: Self.parent(of: path), fileSystem: fileSystem)
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        if let number = Self.checkpoint(ofDirectory: name) {
            try parent.discard(checkpoint: number)
            return
        }
        // First, and durably: a snapshot that lost a file must not look complete. Its list of files is needed still.
        if try fileSystem.names(in: path).contains(Self.metadataName) {
            try fileSystem.rename(path + "/" + Self.metadataName, to: path + "/" + Self.removedName)
        }
        if try fileSystem.names(in: path).contains(Self.removedName) {
            let metadata = try readMetadata(path, Self.removedName)
            let own = Self.directoryName(metadata.checkpoint) + "/"
            for file in metadata.files where file.path.hasPrefix(own) {
                try fileSystem.removeFile(path + "/" + file.path.dropFirst(own.count))
            }
            try fileSystem.removeFile(path + "/" + Self.removedName)
        }
        try fileSystem.removeFile(path + "/" + Self.claimName)
        if try fileSystem.names(in: path).isEmpty { try fileSystem.removeTree(path) }
    }

    private func claimRecord(_ directory: String, _ name: String) throws -> ClaimRecord? {
        guard fileSystem.isDirectory(directory), try fileSystem.names(in: directory).contains(name) else { return nil }
        let path = directory + "/" + name
        do { return try ClaimRecord(try JSONTree.sealed(try readWhole(path))) } catch let mismatch as JSONTree.Mismatch
        {
            throw ThalwegError(
                .corrupt, "it is not known who has claimed a snapshot", detail: "file \(path): \(mismatch.reason)",
                hint: "remove the file if no job has claimed it")
        }
    }

    private func write(_ tree: JSONTree, _ directory: String, _ name: String) throws {
        let unfinished = "\(directory)/\(name).unfinished"
        let output = try fileSystem.create(unfinished)
        defer { output.close() }
        try tree.sealedBytes().withUnsafeBytes { try output.write($0) }
        try output.sync()
        try fileSystem.rename(unfinished, to: directory + "/" + name)
        try fileSystem.syncDirectory(directory)
    }
}
