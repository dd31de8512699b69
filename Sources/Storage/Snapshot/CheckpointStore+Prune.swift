// SPDX-License-Identifier: Apache-2.0
//  Removes what nobody needs, by what the snapshots say of themselves and never by the age of files.

import ThalwegBase

/// What a prune has removed, or would remove.
public struct PruneReport: Sendable, Hashable {
    /// Complete checkpoints, by number.
    public internal(set) var checkpoints: [Int64] = []
    /// Files that no snapshot refers to any more, relative to the root.
    public internal(set) var files: [String] = []
    /// The bytes of those files.
    public internal(set) var byteCount: Int64 = 0
    /// Complete checkpoints that stay, by number.
    public internal(set) var kept: [Int64] = []
}

extension CheckpointStore {
    /// Removes the checkpoints that the job owns but for the newest, and then every segment that no snapshot in the
    /// directory refers to (FLIP-47 b4). What `latest` stands for stays, and so do the user's snapshots.
    ///
    /// - Parameters:
    ///   - count: how many of the job's checkpoints stay.
    ///   - isTrial: whether nothing is removed.
    /// - Throws: kind `retry` while a job writes here; kind `corrupt` when a snapshot cannot be read, as it is not
    ///   known then what it refers to; nothing has been removed.
    public func prune(keeping count: Int, isTrial: Bool = false) throws -> PruneReport {
        guard fileSystem.isDirectory(root) else {
            throw ThalwegError(.input, "there is no such directory", detail: root, hint: "check the path")
        }
        // A checkpoint under way has files that nothing refers to yet.
        let lock = isTrial ? nil : try lockRoot(for: "a prune")
        defer { lock?.release() }
        let snapshots = try allMetadata()
        let latest = try loadLatest()?.path
        let complete = snapshots.compactMap { name, metadata in
            Self.checkpoint(ofDirectory: name).map { (number: $0, metadata: metadata) }
        }.sorted { $0.number > $1.number }
        let own = complete.filter { $0.metadata.owner == .job }
        let going = own.dropFirst(max(0, count)).map(\.number).filter { directory($0) != latest }
        var report = PruneReport()
        report.checkpoints = going.sorted()
        report.kept = complete.map(\.number).filter { !going.contains($0) }.sorted()
        var referenced: Set<String> = []
        for (name, metadata) in snapshots where !going.contains(where: { Self.directoryName($0) == name }) {
            referenced.formUnion(Self.listedPaths(metadata, in: name))
        }
        if !isTrial {
            for number in going {
                // First, and durably: a checkpoint that lost a file must not look complete.
                try fileSystem.removeFile(directory(number) + "/" + Self.metadataName)
                try fileSystem.syncDirectory(directory(number))
            }
        }
        for number in try checkpoints() {
            let isOver = try !isComplete(number) || report.checkpoints.contains(number)
            try removeUnreferenced(
                in: Self.directoryName(number), isOver: isOver, referenced, isTrial: isTrial, into: &report)
        }
        if fileSystem.isDirectory(root + "/" + Self.runDirectory) {
            try removeUnreferenced(
                in: Self.runDirectory, isOver: true, referenced, isTrial: isTrial, into: &report)
        }
        if !isTrial { try fileSystem.syncDirectory(root) }
        return report
    }

    /// The metadata of every snapshot in the directory, by the name of its own, renamed ones and copies too.
    private func allMetadata() throws -> [String: SnapshotMetadata] {
        var found: [String: SnapshotMetadata] = [:]
        var damages: [ThalwegError] = []
        for name in try snapshotNames() {
            do { found[name] = try readMetadata(root + "/" + name) } catch let error as ThalwegError {
                guard error.kind == .corrupt else { throw error }
                damages.append(error)
            }
        }
        guard damages.isEmpty else {
            throw ThalwegError(
                .corrupt, "nothing is removed, as it is not known what damaged snapshots refer to",
                detail: damages.compactMap(\.detail).joined(separator: "; "),
                hint: "bring the metadata back from a copy, or remove these snapshots by hand first")
        }
        return found
    }

    /// - Parameter isOver: whether the directory goes too once it is empty.
    private func removeUnreferenced(
        in directory: String, isOver: Bool, _ referenced: Set<String>, isTrial: Bool, into report: inout PruneReport
    ) throws {
        let path = root + "/" + directory
        var isEmpty = true
        for name in try fileSystem.names(in: path) {
            let listed = directory + "/" + name
            let isOurs = name.hasSuffix(Self.segmentEnding) || name.hasPrefix(Self.metadataName + ".")
            if !isOurs || referenced.contains(listed) {
                if !(isTrial && name == Self.metadataName) { isEmpty = false }
                continue
            }
            report.files.append(listed)
            report.byteCount += try fileSystem.byteCount(of: path + "/" + name)
            if !isTrial { try fileSystem.removeFile(path + "/" + name) }
        }
        if isOver, isEmpty, !isTrial { try fileSystem.removeTree(path) }
    }
}
