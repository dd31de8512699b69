// SPDX-License-Identifier: Apache-2.0
//  Tries a sink against its contract.

import Thalweg

/// Leads a sink through many seeded lives, with crashes at every point, and checks that its output is exactly-once.
///
///     @Test func mySinkIsExactlyOnce() throws {
///         try SinkConformance.check(seeds: 0..<200) { seed in
///             let store = MyStore()
///             return SinkTrial(
///                 makeSink: { MySink(store) }, record: { "record \($0)" }, readCommitted: { store.visibleRecords })
///         }
///     }
///
/// A life writes records, takes checkpoints, completes or gives them up, commits early, late, in part or twice, crashes
/// and goes on from the last completed checkpoint with another number of subtasks. What a checkpoint keeps goes through
/// its bytes, as in a snapshot. After each step the visible output must be exactly the records up to the last
/// checkpoint that was committed: none missing, none twice, none that is not committed, those of one subtask in the
/// order in which they were written, and nothing that was visible ever gone.
///
/// Not tried: writers whose `isHeldUp` stays true (nothing is written to them), and what a loss of power does.
public enum SinkConformance {
    /// Leads one life for each seed.
    ///
    /// - Parameters:
    ///   - makeTrial: makes a trial with a place of its own.
    /// - Throws: `ThalwegError(.job)` that says what was broken, under which seed, and after which steps; errors that
    ///   the sink throws without a fault are its cause.
    public static func check<S: Sink>(
        seeds: Range<UInt64> = 0..<100, plan: SinkPlan = SinkPlan(),
        _ makeTrial: (_ seed: UInt64) throws -> SinkTrial<S>
    ) throws where S.Element: Hashable {
        let codecs = SinkCodecs<S>()
        for seed in seeds {
            var life = SinkLife(try makeTrial(seed), plan, codecs, seed: seed)
            try life.live()
        }
    }
}

/// A sink on trial, with the place it writes to.
public struct SinkTrial<S: Sink> where S.Element: Hashable {
    /// Makes the sink, as each new process of the job would; all of them write to the same place.
    public var makeSink: () throws -> S
    /// The record of a number; different numbers have different records, the same number always the same.
    public var record: (Int) -> S.Element
    /// What a reader of the output sees now, in the order in which the sink shows it.
    public var readCommitted: () throws -> [S.Element]
    /// Records of different lanes, such as partitions, have no order among each other.
    public var lane: (S.Element) -> String = { _ in "" }
    /// What is left lying about after a life that ended well, such as temporary files.
    public var leftovers: () throws -> [String] = { [] }
    /// What may go wrong with the place; nil: nothing.
    public var faults: SinkFaults?

    public init(
        makeSink: @escaping () throws -> S, record: @escaping (Int) -> S.Element,
        readCommitted: @escaping () throws -> [S.Element]
    ) {
        self.makeSink = makeSink
        self.record = record
        self.readCommitted = readCommitted
    }
}

/// Faults of the place a sink writes to, such as those of a ``FaultyFileSystem``.
public struct SinkFaults {
    /// Makes something go wrong from now on. Errors of the sink then end the attempt, and the job restarts.
    public var strike: (inout SeededRandom) -> Void
    /// Makes all well again.
    public var mend: () -> Void

    public init(strike: @escaping (inout SeededRandom) -> Void, mend: @escaping () -> Void) {
        self.strike = strike
        self.mend = mend
    }
}

/// How a life goes: a value.
public struct SinkPlan: Sendable {
    /// The steps before the input ends.
    public var steps = 40
    /// The most records of a batch.
    public var batchMax = 5
    /// The numbers of subtasks, one after another; the last one stays. Sinks with a `parallelismMax` have fewer.
    public var parallelism = [1, 3, 2]
    /// What writers are told about restarts: false tries a sink of a job without checkpoints, which never crashes.
    public var isRecoverable = true
    /// Whether all that was written before a checkpoint is visible once it is committed; false for sinks that hold
    /// records back over checkpoints, whose output must still be what each subtask wrote first, and in the end all.
    public var publishesEachCheckpoint = true
    /// Whether the order of each subtask's records is checked.
    public var checksOrder = true

    public init() {}
}
