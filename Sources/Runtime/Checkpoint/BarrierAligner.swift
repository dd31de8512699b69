// SPDX-License-Identifier: Apache-2.0
//  Decides when the barrier of a checkpoint has come from every input of a task.

import ThalwegBase
import ThalwegOperator

/// Aligns the barriers of a task's inputs. A value: it decides, the task acts.
///
/// An input whose barrier has come waits until the others' have come too, so that the snapshot holds exactly what came
/// before the barriers (Chandy and Lamport, as Flink does). After ``overtake(now:)`` nothing waits: the snapshot has
/// been taken, and what still comes before a barrier is recorded as in flight.
///
/// A finished input counts as one whose barrier has come.
struct BarrierAligner: Sendable {
    /// What the task has to do.
    enum Step: Equatable, Sendable {
        /// All barriers have come: take the snapshot now.
        case snapshot(CheckpointBarrier)
        /// The recording of an overtaken checkpoint is complete.
        case recorded(CheckpointBarrier)
        /// A newer checkpoint has begun before this one was complete: it never will be.
        case abandon(CheckpointBarrier)
    }

    private(set) var barrier: CheckpointBarrier?
    /// Whether the barrier has overtaken what was queued.
    private(set) var isOvertaken = false
    private var hasArrived: [Bool]
    private var isFinished: [Bool]
    private var waiting: Int
    /// Barriers up to this checkpoint have been dealt with.
    private(set) var latest: Int64

    init(inputs: Int, latest: Int64 = 0) {
        hasArrived = Array(repeating: false, count: inputs)
        isFinished = Array(repeating: false, count: inputs)
        waiting = inputs
        self.latest = latest
    }

    /// Whether an input has to wait for the others.
    func isBlocked(_ input: Int) -> Bool { barrier != nil && !isOvertaken && hasArrived[input] }

    /// The newest checkpoint whose barrier may be taken from an input. While others are recorded for an overtaken one,
    /// the barriers of newer checkpoints wait: taking them would give it up, and with several checkpoints under way
    /// each would give up the one before, for ever.
    func barrierMax(of input: Int) -> Int64 {
        guard isOvertaken, hasArrived[input], let barrier else { return .max }
        return barrier.checkpoint
    }

    /// Whether what comes from an input belongs to the checkpoint as in flight.
    func isRecording(_ input: Int) -> Bool { isOvertaken && !hasArrived[input] && !isFinished[input] }

    /// Whether a barrier is still expected from an input.
    func isExpected(_ input: Int) -> Bool { !hasArrived[input] && !isFinished[input] }

    /// Takes the barrier of an input.
    mutating func arrive(_ new: CheckpointBarrier, from input: Int) -> [Step] {
        guard new.checkpoint > latest || new.checkpoint == barrier?.checkpoint else { return [] }
        var steps: [Step] = []
        if let old = barrier, old.checkpoint != new.checkpoint {
            steps.append(.abandon(old))
            reset()
        }
        if barrier == nil {
            barrier = new
            latest = new.checkpoint
            waiting = isFinished.count { !$0 }
        }
        if isExpected(input) {
            hasArrived[input] = true
            waiting -= 1
        }
        return steps + completed()
    }

    /// Gives up the checkpoint under way, if there is one.
    mutating func giveUp() -> CheckpointBarrier? {
        defer { if barrier != nil { reset() } }
        return barrier
    }

    /// Nothing follows from an input.
    mutating func finish(_ input: Int) -> [Step] {
        guard !isFinished[input] else { return [] }
        if barrier != nil && isExpected(input) { waiting -= 1 }
        isFinished[input] = true
        return completed()
    }

    /// The barrier goes ahead of what is queued: the task has taken its snapshot, and records what still comes before
    /// the barriers that are missing.
    ///
    /// - Parameter inputs: those in whose channels the barrier was found and taken out.
    mutating func overtake(_ new: CheckpointBarrier, foundIn inputs: [Int]) -> [Step] {
        if barrier == nil {
            barrier = new
            latest = new.checkpoint
            waiting = isFinished.count { !$0 }
        }
        isOvertaken = true
        for input in inputs where isExpected(input) {
            hasArrived[input] = true
            waiting -= 1
        }
        return completed()
    }

    private mutating func completed() -> [Step] {
        guard let barrier, waiting == 0 else { return [] }
        let step: Step = isOvertaken ? .recorded(barrier) : .snapshot(barrier)
        reset()
        return [step]
    }

    private mutating func reset() {
        barrier = nil
        isOvertaken = false
        for input in hasArrived.indices { hasArrived[input] = false }
    }
}
