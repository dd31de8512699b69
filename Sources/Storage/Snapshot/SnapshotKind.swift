// SPDX-License-Identifier: Apache-2.0
//  Why a snapshot of a job is taken.

/// Why a snapshot of the whole job is taken.
public enum SnapshotKind: String, Codable, Hashable, Sendable, CaseIterable {
    /// Periodic, to recover from.
    case checkpoint
    /// Asked for and owned by the user; always aligned.
    case savepoint
    /// The last one before a stop that will be resumed: nothing is processed after it (FLIP-45).
    case suspend
    /// The last one before a stop that ends event time: every window and timer fires before it (FLIP-45).
    case drain
    /// Taken when every task of a bounded job has finished, so that sinks commit their last output (FLIP-45 b12).
    case final

    /// Whether the job ends after it because the user said so.
    public var isStop: Bool { self == .suspend || self == .drain }

    /// Whether it belongs to the user, who may move or delete it: it holds all state itself (FLIP-47).
    public var isUserOwned: Bool { self == .savepoint || self == .drain }
}
