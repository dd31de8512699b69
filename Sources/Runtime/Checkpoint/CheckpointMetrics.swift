// SPDX-License-Identifier: Apache-2.0
//  What checkpoints have cost.

import ThalwegBase

/// The counters of a job's checkpoints.
public final class CheckpointMetrics: Sendable {
    /// Checkpoints on the disk with their output committed.
    public let completed = Counter()
    /// Checkpoints that were given up.
    public let failed = Counter()
    /// The longest time a task stood still for a snapshot, in nanoseconds.
    public let synchronousNanosMax = Counter()
    /// The time from trigger to commit of the last checkpoint, in milliseconds.
    public let lastDurationMillis = Counter()
    /// The sum of these times over all checkpoints.
    public let durationMillisSum = Counter()
    /// The bytes that the last checkpoint wrote.
    public let lastBytes = Counter()
    /// The batches that the last snapshots took out of channels (unaligned checkpoints).
    public let inFlightBatches = Counter()
    /// Tasks that were started again after a failure.
    public let tasksRestarted = Counter()
    /// Failures that led to a restart.
    public let failovers = Counter()
    /// Bytes of state read when tasks were started from a snapshot.
    public let restoredBytes = Counter()

    public init() {}

    /// The mean time from trigger to commit, in milliseconds; 0 before the first checkpoint.
    public var meanDurationMillis: Double {
        completed.value == 0 ? 0 : Double(durationMillisSum.value) / Double(completed.value)
    }

    /// Called by the tasks' threads; the greatest of simultaneous ones may be lost, which is no harm to a figure.
    func noteSynchronous(nanoseconds: UInt64) {
        if Int(nanoseconds) > synchronousNanosMax.value { synchronousNanosMax.set(Int(nanoseconds)) }
    }
}
