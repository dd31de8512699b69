// SPDX-License-Identifier: Apache-2.0
//  Which checkpoints there are, and the one to start from.

import ThalwegBase

extension CheckpointStore {
    /// The checkpoints that have been completed, the newest first, damaged ones too.
    public func list() throws -> [Listing] {
        try checkpoints().reversed().filter(isComplete).map { checkpoint in
            let path = directory(checkpoint)
            do {
                let snapshot = try read(path, root: root)
                return Listing(checkpoint: checkpoint, path: path, state: .complete(snapshot.metadata))
            } catch {
                let reason = (error as? ThalwegError)?.detail ?? "\(error)"
                return Listing(checkpoint: checkpoint, path: path, state: .damaged(reason))
            }
        }
    }

    /// The highest number of a checkpoint that was completed, damaged or not; nil when there is none. Savepoints do not
    /// count: they have published nothing, and a job may have gone back behind them (FLIP-47).
    public var latestCheckpointID: Int64? {
        get throws { try checkpoints().last { try isComplete($0) && !isSavepoint($0) } }
    }

    private func isSavepoint(_ checkpoint: Int64) -> Bool {
        (try? readMetadata(directory(checkpoint)))?.kind == SnapshotKind.savepoint.rawValue
    }

    /// The newest savepoint after a checkpoint, or after the beginning.
    public func newestSavepoint(after checkpoint: Int64?) throws -> Int64? {
        try checkpoints().last { try $0 > checkpoint ?? -1 && isComplete($0) && isSavepoint($0) }
    }

    /// The highest number of a directory, of a complete checkpoint or of one whose files others refer to, or of those
    /// that were there when the last run went back: numbers below it would be taken for those of the run before.
    public var highestNumber: Int64? {
        get throws { [try checkpoints().last, (try? startRecord())?.base].compactMap(\.self).max() }
    }

    /// The snapshot to start from.
    ///
    /// - Parameter path: `latest` or nil: the newest checkpoint of the newest run, or what that run began with if it
    ///   has completed none. Else a checkpoint of this store by name (`chk-6`), or the path of a checkpoint, of its
    ///   metadata, or of a store.
    /// - Throws: kind `input` when there is none, kind `corrupt` when it is damaged; then the hint names the newest
    ///   earlier one that is complete. A damaged one is never passed over in silence.
    public func load(_ path: String? = nil) throws -> Snapshot {
        guard let path, path != "latest" else { return try loadNewest() }
        var trimmed = path[...]
        while trimmed.count > 1 && trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        if trimmed == Self.metadataName { trimmed = "." }
        if trimmed.hasSuffix("/" + Self.metadataName) { trimmed = trimmed.dropLast(Self.metadataName.count + 1) }
        let wanted = String(trimmed)
        if Self.checkpoint(ofDirectory: wanted) != nil, fileSystem.isDirectory(root + "/" + wanted) {
            return try load(directory: root + "/" + wanted)
        }
        guard fileSystem.isDirectory(wanted) else {
            throw Self.checkpoint(ofDirectory: wanted) == nil ? missing(path) : missing(named: wanted)
        }
        let names = try fileSystem.names(in: wanted)
        if !names.contains(Self.metadataName), names.contains(where: { Self.checkpoint(ofDirectory: $0) != nil }) {
            return try CheckpointStore(root: wanted, fileSystem: fileSystem).loadNewest()
        }
        return try load(directory: wanted)
    }

    private func loadNewest() throws -> Snapshot {
        guard let snapshot = try loadLatest() else { throw missing(root) }
        return snapshot
    }

    /// What `latest` stands for; nil for the beginning.
    public func loadLatest() throws -> Snapshot? {
        let latest = try latestCheckpointID
        if let record = try startRecord(), latest ?? 0 <= record.base {
            return try record.snapshot.map { try loadStart($0) }
        }
        return try latest.map { try load(directory: directory($0)) }
    }

    private func load(directory path: String) throws -> Snapshot {
        let parent = Self.parent(of: path)
        guard try fileSystem.names(in: path).contains(Self.metadataName) else {
            throw ThalwegError(
                .input, "a checkpoint is not complete", detail: "\(path) has no \(Self.metadataName)",
                hint: earlierHint(than: path, in: parent))
        }
        do {
            return try read(path, root: parent)
        } catch var error as ThalwegError {
            if error.kind == .corrupt { error.hint = earlierHint(than: path, in: parent) }
            throw error
        }
    }

    private func read(_ path: String, root: String) throws -> Snapshot {
        let metadata = try readMetadata(path)
        if let number = path.split(separator: "/").last.flatMap({ Self.checkpoint(ofDirectory: String($0)) }),
            number != metadata.checkpoint
        {
            throw Snapshot.damage(path + "/" + Self.metadataName, "it is that of checkpoint \(metadata.checkpoint)")
        }
        let snapshot = Snapshot(metadata, path: path, root: root, fileSystem: fileSystem)
        try snapshot.checkFiles()
        return snapshot
    }

    func readMetadata(_ directory: String, _ name: String = metadataName) throws -> SnapshotMetadata {
        let path = directory + "/" + name
        let count = try fileSystem.byteCount(of: path)
        guard count <= SnapshotMetadata.byteCountMax else {
            throw Snapshot.damage(path, "it has \(count) bytes, at most \(SnapshotMetadata.byteCountMax) are possible")
        }
        do {
            return try SnapshotMetadata(try readWhole(path))
        } catch let mismatch as JSONTree.Mismatch {
            throw Snapshot.damage(path, mismatch.reason)
        }
    }

    /// - Throws: `JSONTree.Mismatch` when the file gets shorter meanwhile.
    func readWhole(_ path: String) throws -> [UInt8] {
        let source = try fileSystem.open(path)
        var bytes = [UInt8](repeating: 0, count: Int(try fileSystem.byteCount(of: path)))
        var done = 0
        while done < bytes.count {
            let read = try bytes.withUnsafeMutableBytes {
                try source.read(at: UInt64(done), into: UnsafeMutableRawBufferPointer(rebasing: $0[done...]))
            }
            guard read > 0 else { throw JSONTree.Mismatch(reason: "it is cut off") }
            done += read
        }
        return bytes
    }

    // MARK: Refusals

    private func missing(_ path: String) -> ThalwegError {
        ThalwegError(
            .input, "there is no snapshot to start from", detail: path,
            hint: "check the path, or start the job without one")
    }

    /// A name instead of a path is that of a checkpoint in this store.
    private func missing(named name: String) -> ThalwegError {
        let known = ((try? list()) ?? []).map { Self.directoryName($0.checkpoint) }
        return ThalwegError(
            .input, "there is no checkpoint of this name",
            detail: "\(name) in \(root), which has " + (known.isEmpty ? "none" : known.joined(separator: ", ")),
            hint: known.isEmpty
                ? "check --checkpoint-dir, or start the job without --from" : "name one of these, or latest")
    }

    /// What to do about a snapshot that turns out to be damaged while it is being read.
    public func adviceAfterDamage(of snapshot: Snapshot) -> String {
        earlierHint(than: snapshot.path, in: Self.parent(of: snapshot.path))
    }

    /// What to do about a damaged checkpoint: the newest intact one before it, if there is one.
    func earlierHint(than path: String, in parent: String) -> String {
        let store = CheckpointStore(root: parent, fileSystem: fileSystem)
        let number = path.split(separator: "/").last.flatMap { Self.checkpoint(ofDirectory: String($0)) } ?? .max
        let listed = (try? store.list()) ?? []
        guard let earlier = listed.first(where: { $0.checkpoint < number && store.isIntact($0) }) else {
            return "bring the file back from a copy; there is no earlier intact checkpoint"
        }
        let name = parent == root ? Self.directoryName(earlier.checkpoint) : earlier.path
        return "bring the file back from a copy, or start from the one before: --from \(name) --repeat-output, "
            + "which writes again what was published since"
    }

    private func isIntact(_ listing: Listing) -> Bool {
        guard listing.metadata != nil, let snapshot = try? read(listing.path, root: root) else { return false }
        return (try? snapshot.verify()) != nil
    }
}
