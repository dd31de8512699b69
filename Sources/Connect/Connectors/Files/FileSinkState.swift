// SPDX-License-Identifier: Apache-2.0
//  What a sink of files keeps in a checkpoint.

import ThalwegBase

/// A finished file that waits for its checkpoint, or a marker that waits with it.
public struct FileCommittable: Codable, Sendable, Hashable {
    enum Kind: String, Codable, Sendable, CaseIterable { case part, marker }

    let kind: Kind
    /// What the file is called now; of a marker empty.
    let temporary: String
    /// What it will be called; of a marker the directory.
    let final: String
    /// How long it is.
    let byteCount: Int64
    /// Whether an earlier checkpoint has the file as an unfinished one: going back to that needs it.
    let isKept: Bool
}

/// What a writer needs to go on in its unfinished files.
public struct FileSinkState: Codable, Sendable, Hashable {
    /// The checkpoint it lies in.
    var checkpoint: Int64
    /// When that was triggered, in milliseconds of processing time.
    var time: Int64
    /// Whether all input had come.
    var isFinal: Bool
    var files: [UnfinishedFile]
    /// Partitions whose marker is still to be written.
    var partitions: [String]
}

/// A file that is written on after a checkpoint.
struct UnfinishedFile: Codable, Sendable, Hashable {
    var path: String
    /// Its final path if that was decided when it was begun; empty otherwise.
    var final: String
    var partition: String
    /// How long it was at the barrier: what follows belongs to no checkpoint.
    var byteCount: Int64
    var recordCount: Int64
    /// When the last barrier before its first record was triggered, in milliseconds of processing time.
    var openedAt: Int64
    /// The XXH3 of its bytes up to the barrier, for a file with a final path; nil for others, and in older snapshots.
    var checksum: Int64?
}
