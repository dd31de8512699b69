// SPDX-License-Identifier: Apache-2.0
//  Who may remove a snapshot.

import ThalwegBase

/// Who may remove a snapshot, and does (FLIP-47): nobody else.
public enum SnapshotOwner: String, Codable, Hashable, Sendable, CaseIterable {
    /// The jobs that write into its directory: it goes when newer ones have taken its place.
    case job
    /// A person: it stays until it is removed by hand.
    case user
}

extension SnapshotMetadata {
    /// The property that says who owns a snapshot, when that has been changed.
    public static let ownerName = "owner"

    /// Who owns it: unless that has been changed, the job its periodic checkpoints, the user all else.
    public var owner: SnapshotOwner {
        get {
            properties[Self.ownerName].flatMap { SnapshotOwner(rawValue: $0) }
                ?? (kind == SnapshotKind.checkpoint.rawValue ? .job : .user)
        }
        set { properties[Self.ownerName] = newValue.rawValue }
    }
}

extension SnapshotMetadata {
    /// Who owns a snapshot in a directory of this name. What does not lie where a job has written it, such as a copy,
    /// is the user's.
    public func owner(in directory: String) -> SnapshotOwner {
        let isMoved = directory.split(separator: "/").last.map(String.init) != CheckpointStore.directoryName(checkpoint)
        return isMoved && properties[Self.ownerName] == nil ? .user : owner
    }
}

extension Snapshot {
    /// Who owns it.
    public var owner: SnapshotOwner { metadata.owner(in: path) }

    /// Whether all its files lie in its own directory: it may be moved alone then.
    public var isSelfContained: Bool {
        let own = CheckpointStore.directoryName(metadata.checkpoint) + "/"
        return metadata.files.allSatisfy { $0.path.hasPrefix(own) }
    }
}

extension CheckpointStore {
    /// Gives a snapshot to another owner, durably. Its files stay where they are.
    ///
    /// - Parameter path: as in ``load(_:)``.
    /// - Throws: kind `input` when there is no such snapshot, or when the job cannot own it: those that a job owns lie
    ///   where it looks for them.
    public func give(_ path: String, to owner: SnapshotOwner) throws {
        let snapshot = try load(path)
        let name = Self.directoryName(snapshot.metadata.checkpoint)
        guard owner == .user || snapshot.path.split(separator: "/").last.map(String.init) == name else {
            throw ThalwegError(
                .input, "a job cannot own a snapshot that does not lie where it looks", detail: snapshot.path,
                hint: "it would have to be called \(name), in the job's directory of checkpoints")
        }
        guard snapshot.owner != owner else { return }
        var metadata = snapshot.metadata
        metadata.owner = owner
        try Self.writeMetadata(metadata, in: snapshot.path, fileSystem)
    }

    /// Removes a checkpoint whose place newer ones have taken, unless it is the user's by now; otherwise as
    /// ``discard(checkpoint:released:keeping:)``.
    @discardableResult
    public func release(
        checkpoint: Int64, released: Set<String> = [], keeping kept: Set<String> = []
    ) throws -> Set<String> {
        let path = directory(checkpoint)
        let isUsers = try fileSystem.isDirectory(path) && isComplete(checkpoint) && readMetadata(path).owner == .user
        return try discard(checkpoint: isUsers ? nil : checkpoint, released: released, keeping: kept)
    }
}
