// SPDX-License-Identifier: Apache-2.0
//  What divides the records before a checkpoint from those after it.

import ThalwegBase

/// Travels in order with the records of every channel: what came before it belongs to the checkpoint.
@frozen
public struct CheckpointBarrier: Hashable, Sendable {
    /// Rises by at least one from checkpoint to checkpoint, also over restarts.
    public let checkpoint: Int64
    public let kind: CheckpointKind
    /// When the checkpoint was triggered, in milliseconds of processing time.
    public let time: Int64
    /// How long inputs wait for each other before the barrier overtakes what is queued; nil: for ever (aligned).
    public let alignmentTimeout: Int64?

    public init(checkpoint: Int64, kind: CheckpointKind = .checkpoint, time: Int64, alignmentTimeout: Int64? = nil) {
        self.checkpoint = checkpoint
        self.kind = kind
        self.time = time
        self.alignmentTimeout = alignmentTimeout
    }
}

/// What a checkpoint is taken for.
@frozen
public enum CheckpointKind: String, Codable, Hashable, Sendable {
    /// The engine's own, for recovery.
    case checkpoint
    /// At a user's wish; always aligned.
    case savepoint
    /// The last one before the job stops to be resumed later: nothing is processed after it (FLIP-45, suspend).
    case suspend
    /// The last one of a job that ends for good: event time comes to its end before it (FLIP-45, terminate).
    case drain
}
