// SPDX-License-Identifier: Apache-2.0
//  What ties a source's task to its enumerator and to the alignment of event time.

import ThalwegBase

/// The runtime's side of one source subtask. Used from the task's thread.
public protocol SourceLink: AnyObject {
    /// Asks the enumerator for a split.
    func requestSplit() throws
    /// Says how many splits the reader reads side by side; called before anything else.
    func limit(openSplits count: Int)
    /// Takes what was assigned since the last call, as far as the reader reads it; the elements are
    /// `AssignedSplit<Split>` of the source's type.
    func takeAssigned() throws -> [any AnyAssignedSplit]
    /// The reader has read a split to its end.
    func finished(split: Int32) throws
    /// A barrier passes this subtask, whose reader holds these splits; or, if `isFinal`, its end has come. What the
    /// enumerator decided after its own snapshot may be taken afterwards.
    ///
    /// - Returns: the splits that are assigned to this subtask and wait: part of its snapshot.
    func pass(_ barrier: CheckpointBarrier, holding splits: [String], isFinal: Bool) throws -> [any AnyAssignedSplit]
    /// Whether no more splits will come.
    var noMoreSplits: Bool { get }
    /// Whether this subtask has ever been given a split.
    var hasBeenAssigned: Bool { get }
    /// Makes the runtime poll the task again, from any thread.
    var wake: @Sendable () -> Void { get }

    // MARK: Event time per split

    /// Whether splits are known that no reader has taken up: event time waits for them, or their records would be late.
    var holdsBackEventTime: Bool { get }

    /// A split's watermark has risen.
    func report(watermark: Watermark, of split: Int32)
    /// A split has become idle or active, or has ended.
    func report(status: InputStatus, of split: Int32)
    /// The splits that must wait because they are too far ahead of their alignment group.
    func pausedSplits() -> Set<Int32>
    /// Joins an alignment group: splits may be at most `drift` ahead of the slowest of the group.
    func align(group: String, drift: Duration)
    /// When the task was last held up by back-pressure, in milliseconds of processing time; nil when never.
    var lastHeldUp: Int64? { get }
}
