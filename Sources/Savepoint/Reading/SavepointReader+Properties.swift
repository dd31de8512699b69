// SPDX-License-Identifier: Apache-2.0
//  What a snapshot is, in words that are the same for every kind of it (FLIP-47).

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// One property of a snapshot.
public struct SnapshotProperty: Sendable, Hashable {
    public let name: String
    public let value: DynamicValue

    init(_ name: String, _ value: DynamicValue) {
        self.name = name
        self.value = value
    }

    init(_ name: String, _ text: String) { self.init(name, .string(text)) }
    init(_ name: String, _ isSo: Bool) { self.init(name, .bool(isSo)) }
    init(_ name: String, _ number: some BinaryInteger) { self.init(name, .integer(Int64(clamping: number))) }
}

extension SavepointReader {
    public var owner: SnapshotOwner { snapshot.owner }

    /// Every property of the snapshot, in a fixed order: what it is, who owns it and what may be done with it.
    ///
    /// | property | meaning |
    /// |---|---|
    /// | `trigger` | `automatic`, or `request`: a person or a program asked for it |
    /// | `owner` | who may remove it: `job` or `user` |
    /// | `removedByTheJob` | whether the job removes it when newer ones have taken its place |
    /// | `format` | how its files are written; one format for all kinds |
    /// | `incremental` | whether it shares files with other snapshots |
    /// | `selfContained` | whether all its files lie in its own directory |
    /// | `relocatable` | what is moved together: the snapshot's directory, or that of all the snapshots |
    /// | `commitsOutput` | whether output is published with it |
    /// | `restoredAsLatest` | whether a job goes back to it by itself |
    /// | `holdsRecordsInFlight` | whether records lay in channels |
    /// | `rescalable` | the most subtasks that a job started from it can have |
    /// | `schemaEvolution` | whether types can change |
    /// | `toolReads`, `toolWrites` | whether `thalweg state` reads it, and makes changed copies of it |
    /// | `jobUpgrade` | whether a changed job can start from it; `unchanged channels` while records are in flight |
    public var properties: [SnapshotProperty] {
        let kind = SnapshotKind(rawValue: metadata.kind)
        let hasInFlight = hasInFlight
        let isJobs = owner == .job
        let fixed = [
            SnapshotProperty("job", metadata.jobName), SnapshotProperty("kind", metadata.kind),
            SnapshotProperty("checkpoint", metadata.checkpoint),
            SnapshotProperty("time", .time(EventTime(milliseconds: metadata.timeMilliseconds))),
            SnapshotProperty("maxParallelism", metadata.maxParallelism),
            SnapshotProperty("bytes", metadata.byteCount), SnapshotProperty("files", metadata.files.count),
            SnapshotProperty("trigger", kind == .checkpoint || kind == .final ? "automatic" : "request"),
            SnapshotProperty("owner", owner.rawValue), SnapshotProperty("removedByTheJob", isJobs),
            SnapshotProperty("format", "segments, metadata version \(metadata.formatVersion)"),
            SnapshotProperty("incremental", !isSelfContained), SnapshotProperty("selfContained", isSelfContained),
            SnapshotProperty(
                "relocatable", isSelfContained ? "by itself" : "with the directory of all snapshots"),
            SnapshotProperty("commitsOutput", kind != .savepoint),
            SnapshotProperty("restoredAsLatest", kind != .savepoint),
            SnapshotProperty("holdsRecordsInFlight", hasInFlight),
            SnapshotProperty("rescalable", "up to \(maxParallelism) subtasks"),
            SnapshotProperty("schemaEvolution", true),
            SnapshotProperty("jobUpgrade", hasInFlight ? "unchanged channels" : "any"),
            SnapshotProperty("toolReads", true), SnapshotProperty("toolWrites", true),
        ]
        // The plan is for jobs that start from the snapshot.
        let names = Set(fixed.map(\.name)).union([SnapshotPlan.propertyName])
        let further = metadata.properties.sorted { $0.key < $1.key }.filter { !names.contains($0.key) }
        return fixed + further.map { SnapshotProperty($0.key, $0.value) }
    }
}
