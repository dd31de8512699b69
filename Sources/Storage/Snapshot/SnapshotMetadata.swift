// SPDX-License-Identifier: Apache-2.0
//  What a snapshot says about itself: the file that makes it complete.

import ThalwegBase

/// One segment of a snapshot.
public struct SegmentFile: Codable, Hashable, Sendable {
    /// Relative to the root of the store, such as `chk-7/map-0.segment`: a store may be moved (FLIP-47).
    public var path: String
    public var byteCount: Int64
    /// The XXH3 of the whole file, in 16 hexadecimal digits.
    public var checksum: String
    public var entries: Int64
    /// The operators whose state it holds.
    public var operators: [String]
    /// The subtask that wrote it.
    public var subtask: Int
    /// Its age among the files of its operators: where two have the same key, or one a tombstone for it, the higher
    /// number is right. 0 for files that do not lie over others.
    public var sequence: Int64
    /// Only entries of these key groups count here; nil: all of them.
    public var keyGroups: Range<Int>?

    public init(
        path: String, byteCount: Int64, checksum: String, entries: Int64, operators: [String], subtask: Int,
        sequence: Int64 = 0, keyGroups: Range<Int>? = nil
    ) {
        self.path = path
        self.byteCount = byteCount
        self.checksum = checksum
        self.entries = entries
        self.operators = operators
        self.subtask = subtask
        self.sequence = sequence
        self.keyGroups = keyGroups
    }
}

/// The contents of a snapshot's `_metadata`.
public struct SnapshotMetadata: Codable, Hashable, Sendable {
    /// An operator with its number of subtasks.
    public struct Operator: Codable, Hashable, Sendable {
        public var name: String
        public var parallelism: Int

        public init(name: String, parallelism: Int) {
            self.name = name
            self.parallelism = parallelism
        }
    }

    /// The version that is written, and the only one that is read.
    public static let currentVersion = 2
    /// The most key groups: each has two bytes in keys.
    static let keyGroupsMax: Int64 = 1 << 16
    /// The most bytes of a metadata file.
    public static let byteCountMax: Int64 = 256 << 20

    public var formatVersion = SnapshotMetadata.currentVersion
    /// The number of the checkpoint, ascending in a store.
    public var checkpoint: Int64
    /// `checkpoint`, `savepoint`, `suspend`, `drain` or `final`.
    public var kind: String
    /// When it was triggered: milliseconds since 1970 UTC.
    public var timeMilliseconds: Int64
    public var jobName: String
    public var maxParallelism: Int
    public var operators: [Operator]
    public var files: [SegmentFile]
    /// Further facts by name.
    public var properties: [String: String]

    public init(
        checkpoint: Int64, kind: String, timeMilliseconds: Int64, jobName: String, maxParallelism: Int,
        operators: [Operator], files: [SegmentFile], properties: [String: String] = [:]
    ) {
        self.checkpoint = checkpoint
        self.kind = kind
        self.timeMilliseconds = timeMilliseconds
        self.jobName = jobName
        self.maxParallelism = maxParallelism
        self.operators = operators
        self.files = files
        self.properties = properties
    }

    /// The bytes of all files.
    public var byteCount: Int64 { files.reduce(0) { $0 &+ $1.byteCount } }
}

// MARK: Bytes

extension SnapshotMetadata {
    /// The text: JSON, and a last line with the checksum of all before it.
    func encoded() -> [UInt8] {
        let tree = JSONTree.object([
            "formatVersion": .number(Int64(formatVersion)), "checkpoint": .number(checkpoint), "kind": .string(kind),
            "timeMilliseconds": .number(timeMilliseconds), "jobName": .string(jobName),
            "maxParallelism": .number(Int64(maxParallelism)),
            "operators": .array(
                operators.map {
                    .object(["name": .string($0.name), "parallelism": .number(Int64($0.parallelism))])
                }),
            "files": .array(files.map(\.tree)),
            "properties": .strings(properties),
        ])
        return tree.sealedBytes()
    }

    /// Reads what ``encoded()`` wrote.
    ///
    /// - Throws: `JSONTree.Mismatch`, with the reason.
    init(_ bytes: [UInt8]) throws {
        let tree = try JSONTree.sealed(bytes)
        let version = try tree.int("formatVersion")
        guard version == Self.currentVersion else {
            throw JSONTree.Mismatch(
                reason: "it is of version \(version), this release reads version \(Self.currentVersion)")
        }
        self.init(
            checkpoint: try tree.number("checkpoint", in: 0...), kind: try tree.string("kind"),
            timeMilliseconds: try tree.number("timeMilliseconds"), jobName: try tree.string("jobName"),
            maxParallelism: Int(try tree.number("maxParallelism", in: 1...Self.keyGroupsMax)),
            operators: try tree.array("operators").map {
                let parallelism = try $0.number("parallelism", in: 1...Self.keyGroupsMax)
                return Operator(name: try $0.string("name"), parallelism: Int(parallelism))
            }, files: try tree.array("files").map { try SegmentFile($0) }, properties: try tree.texts("properties"))
    }
}

extension SegmentFile {
    fileprivate init(_ tree: JSONTree) throws {
        self.init(
            path: try tree.string("path"), byteCount: try tree.number("byteCount", in: 0...),
            checksum: try tree.string("checksum"), entries: try tree.number("entries", in: 0...),
            operators: try tree.strings("operators"),
            subtask: Int(try tree.number("subtask", in: 0..<SnapshotMetadata.keyGroupsMax)))
        guard isInside else { throw JSONTree.Mismatch(reason: "the path '\(path)' leads out of the store") }
        if tree["sequence"] != .null { sequence = try tree.number("sequence", in: 1...) }
        guard tree["keyGroups"] != .null else { return }
        let bounds = try tree.array("keyGroups")
        guard bounds.count == 2, case .number(let start) = bounds[0], case .number(let end) = bounds[1], start >= 0,
            start < end, end <= SnapshotMetadata.keyGroupsMax
        else { throw JSONTree.Mismatch(reason: "the key groups of '\(path)' are no range") }
        keyGroups = Int(start)..<Int(end)
    }

    fileprivate var tree: JSONTree {
        var members: [String: JSONTree] = [
            "path": .string(path), "byteCount": .number(byteCount), "checksum": .string(checksum),
            "entries": .number(entries), "operators": .strings(operators), "subtask": .number(Int64(subtask)),
        ]
        if sequence != 0 { members["sequence"] = .number(sequence) }
        if let keyGroups {
            members["keyGroups"] = .array([.number(Int64(keyGroups.lowerBound)), .number(Int64(keyGroups.upperBound))])
        }
        return .object(members)
    }

    /// Whether the path stays below the root.
    var isInside: Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count > 1 && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    }
}
