// SPDX-License-Identifier: Apache-2.0
//  Deals generated events to readers, and keeps a snapshot to the stream that it was taken of.

public import Thalweg

/// Deals the events of a seed to the readers in turn. Its state names the stream: positions in one stream mean nothing
/// in another, as windows and counts would be made of both.
public struct NexmarkEnumerator: SplitEnumerator {
    /// What is needed to go on after a restart.
    public struct Checkpoint: Codable, Sendable, Hashable {
        public var isAssigned: Bool
        public var seed: Int64
        public var events: Int64
    }

    private let seed: Int64
    private let events: Int64
    private var numbers: NumberEnumerator

    /// - Parameter block: how many consecutive events a reader gets at a time.
    public init(seed: Int64, events: Int64, block: Int64) {
        self.seed = seed
        self.events = events
        numbers = NumberEnumerator(0..<events, block: block)
    }

    /// - Throws: `ThalwegError(.job)` when the snapshot is that of another stream; both are named.
    public mutating func restore(_ checkpoint: Checkpoint) throws {
        guard checkpoint.seed == seed, checkpoint.events == events else {
            throw ThalwegError(
                .job, "the snapshot was taken of other generated events",
                detail: "it goes on in \(checkpoint.events) events of seed \(checkpoint.seed), the job is to read "
                    + "\(events) of seed \(seed)",
                hint: "start with --events \(checkpoint.events) --seed \(checkpoint.seed), or afresh in another "
                    + "directory")
        }
        numbers.restore(checkpoint.isAssigned)
    }

    public mutating func start(_ context: inout EnumeratorContext<NumberSplit>) throws { try numbers.start(&context) }

    public mutating func addSplitsBack(
        _ splits: [NumberSplit], from subtask: Int, _ context: inout EnumeratorContext<NumberSplit>
    ) throws {
        try numbers.addSplitsBack(splits, from: subtask, &context)
    }

    public func snapshot() -> Checkpoint {
        Checkpoint(isAssigned: numbers.snapshot(), seed: seed, events: events)
    }

    /// None: all splits are made and assigned at once.
    public static func unassigned(in checkpoint: Checkpoint) -> [String] { [] }
    public var holdsBackEventTime: Bool { numbers.holdsBackEventTime }
}
