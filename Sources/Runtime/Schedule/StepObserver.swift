// SPDX-License-Identifier: Apache-2.0
//  Who watches a step scheduler, and what may be done to a turn.

import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator
import ThalwegStorage

/// Whose turn it is.
public enum StepTurn: Sendable, Hashable {
    /// A subtask of a chain of operators.
    case task(name: String, subtask: Int, isSource: Bool)
    /// The job's master.
    case master
    /// A piece of the work that may wait for a disk.
    case background
}

/// What becomes of a turn.
public enum StepDecision: Sendable {
    case go
    /// Nothing happens: the thread is held up.
    case skip
    /// The task throws this instead of being polled; the master and the background take their turn all the same.
    case fail(any Error)
    /// The process dies: `run` throws this at once, nothing is told to anybody. What the tasks hold is released, so
    /// whoever says this has to cut the process off from its disk before.
    case die(any Error)
}

/// Watches the turns of a ``StepScheduler``. Called on its thread, one call at a time.
public protocol StepObserver: AnyObject, Sendable {
    /// Whether ``note(_:)`` is to be called.
    var wantsNotes: Bool { get }
    func willTake(_ turn: StepTurn) -> StepDecision
    func didTake(_ turn: StepTurn, _ result: PollResult)
    /// What the master was told, as a line of text that is the same in every run of one seed.
    func note(_ text: String)
}

extension MasterEvent {
    /// One line that is the same in every run of one seed.
    func summary(of graph: JobGraph) -> String {
        let name = graph.taskName
        return switch self {
        case .acknowledged(let task, _, let checkpoint, let snapshot):
            "checkpoint \(checkpoint): \(name(task)) acknowledged, \(snapshot.commits.count) commits"
        case .declined(let task, _, let checkpoint, let error, _):
            "checkpoint \(checkpoint): \(name(task)) declined: \(error)"
        case .finished(let task, _, let checkpoint, _): "\(name(task)) finished, last snapshot \(checkpoint)"
        case .failed(let task, _, let error): "\(name(task)) failed: \(error)"
        case .closed(let task, _): "\(name(task)) closed"
        case .written(let checkpoint): "checkpoint \(checkpoint): complete"
        case .notWritten(let checkpoint, let error): "checkpoint \(checkpoint): not written: \(error)"
        case .committed(let checkpoint): "checkpoint \(checkpoint): committed"
        case .notCommitted(let checkpoint, let error): "checkpoint \(checkpoint): not committed: \(error)"
        case .wish(let wish): "a wish: \(wish.kind.rawValue)"
        case .settled(let region): "region \(region) has come to rest"
        case .abort(let error): "ended: \(error)"
        case .cancel: "cancelled"
        }
    }
}
