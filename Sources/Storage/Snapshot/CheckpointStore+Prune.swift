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
    /// Damaged snapshots, by the name of their directories.
    public internal(set) var damaged: [String] = []
}

extension CheckpointStore {
    /// Removes the checkpoints that the job owns but for the newest, and then every segment that no snapshot in the
    /// directory refers to (FLIP-47 b4). What `latest` stands for stays, and so do the user's snapshots.
    ///
    /// - Parameters:
    ///   - count: how many of the job's checkpoints stay.
    ///   - givesUpDamaged: whether damaged snapshots go too, whoever owns them, with the files that only they needed.
    ///     Not one that `latest` stands for: a job has to have gone back before it.
    ///   - isTrial: whether nothing is removed.
    /// - Throws: kind `retry` while a job writes here; kind `corrupt` when a snapshot cannot be read, as it is not
    ///   known then what it refers to, unless such ones are given up; nothing has been removed.
    public func prune(
        keeping count: Int, givesUpDamaged: Bool = false, isTrial: Bool = false
    ) throws -> PruneReport {
        guard fileSystem.isDirectory(root) else {
            throw ThalwegError(.input, "there is no such directory", detail: root, hint: "check the path")
        }
        // A checkpoint under way has files that nothing refers to yet.
        let lock = isTrial ? nil : try lockRoot(for: "a prune")
        defer { lock?.release() }
        let damaged = givesUpDamaged ? try damagedNames() : []
        let snapshots = try allMetadata(except: damaged)
        let latest = try loadLatest()?.path
        if let latest, damaged.contains(where: { root + "/" + $0 == latest }) {
            throw ThalwegError(
                .corrupt, "nothing is removed, as the job would go on from a damaged snapshot", detail: latest,
                hint: earlierHint(than: latest, in: root))
        }
        let complete = snapshots.compactMap { name, metadata in
            Self.checkpoint(ofDirectory: name).map { (number: $0, metadata: metadata) }
        }.sorted { $0.number > $1.number }
        let own = complete.filter { $0.metadata.owner == .job }
        let going = own.dropFirst(max(0, count)).map(\.number).filter { directory($0) != latest }
        var report = PruneReport()
        report.damaged = damaged.sorted()
        report.checkpoints = going.sorted()
        report.kept = complete.map(\.number).filter { !going.contains($0) }.sorted()
        var referenced: Set<String> = []
        for (name, metadata) in snapshots where !going.contains(where: { Self.directoryName($0) == name }) {
            referenced.formUnion(Self.listedPaths(metadata, in: name))
        }
        if !isTrial {
            for name in going.map(Self.directoryName) + report.damaged {
                // First, and durably: a checkpoint that lost a file must not look complete.
                try fileSystem.removeFile(root + "/" + name + "/" + Self.metadataName)
                try fileSystem.syncDirectory(root + "/" + name)
            }
        }
        let names = try checkpoints().map(Self.directoryName)
        for name in names + report.damaged.filter({ !names.contains($0) }) {
            let isKept = snapshots[name] != nil && !going.contains { Self.directoryName($0) == name }
            try removeUnreferenced(in: name, isOver: !isKept, referenced, isTrial: isTrial, into: &report)
        }
        if fileSystem.isDirectory(root + "/" + Self.runDirectory) {
            try removeUnreferenced(
                in: Self.runDirectory, isOver: true, referenced, isTrial: isTrial, into: &report)
        }
        if !isTrial { try fileSystem.syncDirectory(root) }
        return report
    }

    /// The metadata of every snapshot in the directory, by the name of its own, renamed ones and copies too.
    private func allMetadata(except damaged: Set<String>) throws -> [String: SnapshotMetadata] {
        var found: [String: SnapshotMetadata] = [:]
        var damages: [ThalwegError] = []
        for name in try snapshotNames() where !damaged.contains(name) {
            do { found[name] = try readMetadata(root + "/" + name) } catch let error as ThalwegError {
                guard error.kind == .corrupt else { throw error }
                damages.append(error)
            }
        }
        guard damages.isEmpty else {
            throw ThalwegError(
                .corrupt, "nothing is removed, as it is not known what damaged snapshots refer to",
                detail: damages.compactMap(\.detail).joined(separator: "; "),
                hint: "bring the metadata back from a copy, or give these snapshots up: thalweg state prune --damaged")
        }
        return found
    }

    /// The snapshots from which nothing can be restored: with metadata that cannot be read, with files that are not
    /// there in full, or with files whose checksums differ.
    private func damagedNames() throws -> Set<String> {
        var found: Set<String> = []
        for name in try snapshotNames() {
            let path = root + "/" + name
            do {
                let snapshot = Snapshot(try readMetadata(path), path: path, root: root, fileSystem: fileSystem)
                try snapshot.checkFiles()
                try snapshot.verify()
            } catch let error as ThalwegError where error.kind == .corrupt {
                found.insert(name)
            }
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
            if !Self.isOurs(name) || referenced.contains(listed) {
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
