// SPDX-License-Identifier: Apache-2.0
//  The enumerator's side of a source at run time.

import ThalwegBase
import ThalwegOperator
import ThalwegStorage

/// Where a source's coordinator is set up.
public struct SourceCoordinatorSeat: Sendable {
    /// The source's name.
    public let name: String
    public let parallelism: Int
    /// The state to start from; nil at a fresh start.
    public let restored: (any RestoredState)?
    /// The checkpoint to start from; 0 at a fresh start.
    public let checkpoint: Int64

    public init(name: String, parallelism: Int, checkpoint: Int64 = 0, restored: (any RestoredState)?) {
        self.checkpoint = checkpoint
        self.name = name
        self.parallelism = parallelism
        self.restored = restored
    }
}

/// The enumerator's side of a source at run time: one per source and job, called under a lock.
///
/// Decisions are delivered before the lock is given up: a reader can never be told that no more splits come while one
/// for it is still on its way.
public protocol SourceCoordinating: Sendable {
    /// Starts the enumerator unless it has been started.
    func start(_ deliver: (CoordinatorAction) -> Void) throws
    func requestSplit(from subtask: Int, _ deliver: (CoordinatorAction) -> Void) throws
    func discover(_ deliver: (CoordinatorAction) -> Void) throws
    /// Whether known splits wait for a reader.
    var holdsBackEventTime: Bool { get }
    /// Freezes what is not assigned yet. What is assigned afterwards carries this checkpoint as its epoch, so that no
    /// reader takes it up before its barrier (27.b20).
    func snapshot(checkpoint: Int64) throws -> [StatePart]

    // MARK: The ledger of splits

    /// A reader has read a split to its end.
    func finished(_ split: String, by subtask: Int) throws
    /// A barrier passes a reader.
    ///
    /// - Parameter splits: called under the lock; the ids of the splits that are in the reader's snapshot.
    func passed(_ checkpoint: Int64, by subtask: Int, _ splits: () -> [String])
    /// A reader has come to its end.
    ///
    /// - Parameter splits: called under the lock; the ids of the splits in the reader's last snapshot, and what was
    /// assigned to it for later checkpoints, which it will never take up.
    func ended(_ subtask: Int, _ splits: () -> (left: [String], untaken: [any AnyAssignedSplit]))
    /// Moves a waiting split from one reader to another, if the barriers under way allow it (27.d5).
    ///
    /// - Parameter take: called under the lock; takes the split out of the queue where it waits.
    func handOver(from: Int, to: Int, _ take: () -> (any AnyAssignedSplit)?) -> (any AnyAssignedSplit)?
    /// Whether a checkpoint, of which all snapshots are there, has every split once; if not, it must not complete
    /// (27.d2).
    func verify(checkpoint: Int64) throws(ThalwegError)
    /// Every restart begins with this checkpoint or a later one.
    func settle(checkpoint: Int64)
    /// A checkpoint will not complete.
    func abort(checkpoint: Int64)
    /// Subtasks have failed and start again from a checkpoint (27.b19): the splits they had in it are assigned to them
    /// again, those assigned later go back to the enumerator.
    ///
    /// - Parameter restored: the source's state in that checkpoint; nil when there is none.
    func reset(
        _ subtasks: Set<Int>, toCheckpoint checkpoint: Int64, restored: (any RestoredState)?,
        _ deliver: (CoordinatorAction) -> Void) throws
}

/// A decision of a source's enumerator, its split type erased.
public enum CoordinatorAction: Sendable {
    /// The split is an `AssignedSplit` of the source's split type.
    case assign(any AnyAssignedSplit, subtask: Int, epoch: Int64)
    case noMoreSplits(subtask: Int, epoch: Int64)
    /// The subtask starts again: what was decided for it and not taken up is void.
    case forget(subtask: Int)
    case callAgain(after: Duration)
}
