// SPDX-License-Identifier: Apache-2.0
//  Where the newest run of a job began, when that is not the newest checkpoint.

import ThalwegBase

/// What `latest` stands for until the run that wrote this has completed a checkpoint of its own.
///
/// A run that starts from a savepoint, goes back, or begins afresh beside old checkpoints publishes output at once that
/// the newest checkpoint knows nothing of: that one must not be restored any more, not even after a crash.
public struct StartRecord: Hashable, Sendable {
    /// The run's own checkpoints have higher numbers.
    public var base: Int64
    /// The snapshot that the run began with: inside the store its path from the root, elsewhere a whole one; nil for
    /// the beginning.
    public var snapshot: String?
    /// Whether the run may write output again that had been published.
    public var repeatsOutput: Bool
}

extension CheckpointStore {
    private static let startName = "_start"
    private static let unfinishedStartName = "_start.unfinished"

    /// The record that is in effect; nil when `latest` is the newest checkpoint.
    ///
    /// - Throws: kind `corrupt` when it cannot be read.
    public func startRecord() throws -> StartRecord? {
        let path = root + "/" + Self.startName
        guard fileSystem.isDirectory(root), try fileSystem.names(in: root).contains(Self.startName) else { return nil }
        do {
            let tree = try JSONTree.sealed(try readWhole(path))
            return StartRecord(
                base: try tree.number("base"),
                snapshot: tree["snapshot"] == .null ? nil : try tree.string("snapshot"),
                repeatsOutput: tree["repeatsOutput"] == .bool(true))
        } catch let mismatch as JSONTree.Mismatch {
            throw ThalwegError(
                .corrupt, "it is not known where the last run of the job began",
                detail: "file \(path): \(mismatch.reason)",
                hint: "bring the file back from a copy, or name the snapshot to start from: --from PATH")
        }
    }

    /// Makes `latest` mean where a run begins, durably; called before the run publishes anything.
    ///
    /// - Parameter snapshot: nil for the beginning.
    public func noteStart(from snapshot: Snapshot?, repeatsOutput: Bool) throws {
        // A store may be moved, and the next run may begin in another directory.
        let name = snapshot.map { snapshot in
            let (place, home) = (fileSystem.absolutePath(snapshot.path), fileSystem.absolutePath(root) + "/")
            return place.hasPrefix(home) ? String(place.dropFirst(home.count)) : place
        }
        let tree = JSONTree.object([
            "base": .number(try highestNumber ?? 0), "snapshot": name.map { .string($0) } ?? .null,
            "repeatsOutput": .bool(repeatsOutput),
        ])
        let unfinished = root + "/" + Self.unfinishedStartName
        let output = try fileSystem.create(unfinished)
        defer { output.close() }
        try tree.sealedBytes().withUnsafeBytes { try output.write($0) }
        try output.sync()
        try fileSystem.rename(unfinished, to: root + "/" + Self.startName)
        try fileSystem.syncDirectory(root)
    }

    /// The snapshot that a record names.
    func loadStart(_ name: String) throws -> Snapshot {
        let inside = root + "/" + name
        if !name.hasPrefix("/"), fileSystem.isDirectory(inside) { return try load(inside) }
        // Releases before 1.0 wrote paths as they were given.
        return try load(name)
    }

    /// A newer checkpoint beside a snapshot of another store: what that has published would be written again.
    ///
    /// - Returns: its path; nil when none is known, or when the run in that store had gone back to the snapshot.
    public func publishedAfter(_ snapshot: Snapshot) throws -> String? {
        let home = CheckpointStore(root: Self.parent(of: snapshot.path), fileSystem: fileSystem)
        guard fileSystem.absolutePath(home.root) != fileSystem.absolutePath(root),
            let newest = try home.latestCheckpointID, newest > snapshot.metadata.checkpoint
        else { return nil }
        if let latest = try? home.loadLatest(), latest.metadata == snapshot.metadata { return nil }
        // Snapshots of several jobs may have been copied to one place.
        if let name = try? home.readMetadata(home.directory(newest)).jobName, name != snapshot.metadata.jobName {
            return nil
        }
        return home.path(of: newest)
    }
}
