// SPDX-License-Identifier: Apache-2.0
//  When checkpoints are taken, and how many failures are borne.

import ThalwegBase

/// Settings of checkpoints. All times are milliseconds.
public struct CheckpointSettings: Hashable, Sendable {
    /// From one trigger to the next; nil takes checkpoints on request only.
    public var interval: Int64?
    /// The least time between the end of one checkpoint and the trigger of the next periodic one. When positive, no
    /// periodic checkpoint starts beside another one.
    public var minimumPause: Int64
    /// A checkpoint whose acknowledgements are not complete by then is aborted.
    public var timeout: Int64
    /// How many checkpoints and savepoints may be under way at a time.
    public var concurrentMax: Int
    /// How many periodic checkpoints in a row may fail before the job does.
    public var toleratedFailures: Int
    /// How long a barrier waits for the other inputs before it overtakes records; nil always aligns, 0 never does.
    /// Savepoints and stops always align.
    public var alignmentTimeout: Int64?
    /// How many completed checkpoints are kept. Savepoints are not counted: they belong to the user.
    public var retained: Int

    public init(
        interval: Int64? = nil, minimumPause: Int64 = 0, timeout: Int64 = 600_000, concurrentMax: Int = 1,
        toleratedFailures: Int = 0, alignmentTimeout: Int64? = nil, retained: Int = 1
    ) {
        self.interval = interval
        self.minimumPause = minimumPause
        self.timeout = timeout
        self.concurrentMax = concurrentMax
        self.toleratedFailures = toleratedFailures
        self.alignmentTimeout = alignmentTimeout
        self.retained = retained
    }

    /// - Throws: a `ThalwegError(.job)` that names the first setting out of range.
    public func validate() throws {
        let facts: [(name: String, value: Int64, least: Int64)] = [
            ("interval", interval ?? 1, 1), ("minimumPause", minimumPause, 0), ("timeout", timeout, 1),
            ("concurrentMax", Int64(concurrentMax), 1), ("toleratedFailures", Int64(toleratedFailures), 0),
            ("alignmentTimeout", alignmentTimeout ?? 0, 0), ("retained", Int64(retained), 1),
        ]
        for fact in facts where fact.value < fact.least {
            throw ThalwegError(
                .job, "checkpoint setting out of range", detail: "\(fact.name) is \(fact.value)",
                hint: "give at least \(fact.least)")
        }
    }
}
