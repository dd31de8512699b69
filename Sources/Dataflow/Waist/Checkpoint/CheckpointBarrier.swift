// SPDX-License-Identifier: Apache-2.0
//  What divides the records before a checkpoint from those after it.

import ThalwegBase
import ThalwegStorage

/// Travels in order with the records of every channel: what came before it belongs to the checkpoint.
@frozen
public struct CheckpointBarrier: Hashable, Sendable {
    /// Rises by at least one from checkpoint to checkpoint, also over restarts.
    public let checkpoint: Int64
    public let kind: SnapshotKind
    /// When the checkpoint was triggered, in milliseconds of processing time.
    public let time: Int64
    /// How long inputs wait for each other before the barrier overtakes what is queued; nil: for ever (aligned).
    public let alignmentTimeout: Int64?

    public init(checkpoint: Int64, kind: SnapshotKind = .checkpoint, time: Int64, alignmentTimeout: Int64? = nil) {
        self.checkpoint = checkpoint
        self.kind = kind
        self.time = time
        self.alignmentTimeout = alignmentTimeout
    }
}
