// SPDX-License-Identifier: Apache-2.0
//  When a sink of files begins a new one.

import ThalwegBase
import ThalwegStorage

/// When a directory's ``FileSink`` closes a part and begins the next one.
///
///     FileSink("out/", format: .csv, rolling: RollingPolicy(bytes: 128 << 20, duration: .seconds(60)))
///
/// A part is closed when any of the bounds is reached; what is closed becomes visible with the next checkpoint.
public struct RollingPolicy: Sendable, Hashable {
    /// Closes parts at each checkpoint, so that all output up to it becomes visible with it.
    public var everyCheckpoint: Bool
    /// Closes a part behind the batch that brings it to this size.
    public var bytes: Int64?
    /// The most records of a part.
    public var records: Int64?
    /// Closes a part at the first checkpoint that comes so long, in processing time, after the one before its first
    /// record.
    public var duration: Duration?

    public init(
        everyCheckpoint: Bool = false, bytes: Int64? = nil, records: Int64? = nil, duration: Duration? = nil
    ) {
        self.everyCheckpoint = everyCheckpoint
        self.bytes = bytes
        self.records = records
        self.duration = duration
    }

    /// Parts that hold what came between two checkpoints: the default of a job that has some.
    public static var everyCheckpoint: RollingPolicy { RollingPolicy(everyCheckpoint: true) }
    /// One part per subtask and partition, up to the end of the input: the default of a job without checkpoints.
    public static var never: RollingPolicy { RollingPolicy() }

    var isValid: Bool { (bytes ?? 1) > 0 && (records ?? 1) > 0 && (duration ?? .seconds(1)) > .zero }

    /// Whether a part is full.
    func isReached(bytes count: Int64, records number: Int64) -> Bool {
        bytes.map { count >= $0 } ?? false || records.map { number >= $0 } ?? false
    }

    /// Whether a part begun after the barrier of `start` is old enough at the barrier of `now`, both in milliseconds.
    func isExpired(since start: Int64, now: Int64) -> Bool {
        guard let duration else { return false }
        return Duration.milliseconds(now - start) >= duration
    }
}

/// Tells readers of a partition that output has been added, or that it is complete: an empty file in its directory.
public struct PartitionCommit: Sendable, Hashable {
    /// When the marker is written.
    public enum Moment: String, Codable, Sendable {
        /// When a subtask that wrote into the partition has come to the end of its input, everything has been
        /// committed, and no file of the partition is unfinished. A subtask that begins to write into the partition
        /// after all others have ended is not foreseen.
        case whenFinished
        /// After each commit that added to the partition.
        case afterCheckpoint
    }

    /// The name of the marker's file, beginning with `_` so that sources pass over it.
    public let name: String
    public let moment: Moment

    /// A marker such as `_SUCCESS`.
    public static func marker(_ name: String = "_SUCCESS", when moment: Moment = .whenFinished) -> PartitionCommit {
        PartitionCommit(name: name, moment: moment)
    }
}
