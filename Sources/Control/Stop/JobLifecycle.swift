// SPDX-License-Identifier: Apache-2.0
//  The life of a job: one transition for each pair of state and event (FLIP-45).

import ThalwegStorage

/// The life cycle of one job: a value. Every command is answered exactly once, at the latest when the job ends.
///
/// | | created | running | restarting | stopping | cancelling, failing | over |
/// |---|---|---|---|---|---|---|
/// | stop | rejected | begins | waits for the tasks | joins, or rejected if of another kind | rejected | rejected |
/// | cancel | ends it | begins | begins | begins; the stop fails | joins | rejected |
/// | snapshot done | | | | waits for the tasks' end | | |
/// | snapshot failed | | | the stop fails | runs on, the stop fails | | |
/// | tasks restart | | restarting | | restarting; failing if the snapshot is done | | |
/// | time is up | | | cancelling | cancelling | | |
public struct JobLifecycle: Sendable {
    public private(set) var state = JobState.created
    private var stop: PendingStop?
    private var cancels: [Int64] = []
    private var reason: String?

    /// A stop that has not ended.
    private struct PendingStop: Sendable {
        let kind: SnapshotKind
        var requests: [Int64]
        /// The earliest one of all requests.
        var deadline: Int64?
        var isTriggered = false
        var checkpoint: Int64?
    }

    public init() {}

    /// When `tick` is due, in milliseconds.
    public var nextWake: Int64? {
        switch state {
        case .running, .restarting, .stopping: stop?.deadline
        default: nil
        }
    }

    /// Takes one event at `now`, in milliseconds, and gives what is to be done, in order.
    public mutating func handle(_ event: JobEvent, now: Int64) -> [JobAction] {
        let wakeBefore = nextWake
        var actions: [JobAction] = []
        switch event {
        case .start: start(&actions)
        case .stop(let request, let kind, let timeout):
            let deadline = timeout.map { now.addingReportingOverflow($0) }.map { $0.overflow ? .max : $0.partialValue }
            stop(request, kind, deadline: deadline, &actions)
        case .cancel(let request): cancel(request, &actions)
        case .tasksRunning: tasksRunning(&actions)
        case .tasksRestarting(let reason): tasksRestarting(reason, &actions)
        case .failed(let reason): fail(reason, &actions)
        case .snapshotEnded(let request, let outcome): snapshotEnded(request, outcome, &actions)
        case .tasksFinished: tasksFinished(&actions)
        case .tasksCancelled: tasksCancelled(&actions)
        case .tick: break
        }
        escalate(now: now, &actions)
        if let wake = nextWake, wake != wakeBefore { actions.append(.wake(at: wake)) }
        return actions
    }

    // MARK: Commands

    private mutating func start(_ actions: inout [JobAction]) {
        guard state == .created else { return }
        // Until every task runs, a stop has to wait as it does in a restart.
        state = .restarting
        actions.append(.schedule)
    }

    private mutating func stop(
        _ request: Int64, _ kind: SnapshotKind, deadline: Int64?, _ actions: inout [JobAction]
    ) {
        func reject(_ reason: String) { actions.append(.answer(request: request, .rejected(reason: reason))) }
        guard kind.isStop else { return reject("a \(kind.rawValue) does not stop a job: ask for suspend or drain") }
        switch state {
        case .created: reject("the job has not started: cancel it instead")
        case .cancelling, .failing, .finished, .failed, .cancelled: reject("the job is \(state)")
        case .running, .restarting, .stopping:
            guard var running = stop else {
                stop = PendingStop(kind: kind, requests: [request], deadline: deadline)
                return triggerStop(&actions)
            }
            guard running.kind == kind else {
                return reject("the job is already stopping (\(running.kind.rawValue)): ask for the same or cancel it")
            }
            guard !running.requests.contains(request) else { return }
            running.requests.append(request)
            if let deadline { running.deadline = min(deadline, running.deadline ?? deadline) }
            stop = running
        }
    }

    private mutating func triggerStop(_ actions: inout [JobAction]) {
        guard state == .running, var waiting = stop, !waiting.isTriggered, let first = waiting.requests.first else {
            return
        }
        waiting.isTriggered = true
        stop = waiting
        state = .stopping(waiting.kind, checkpoint: nil)
        actions.append(.triggerStop(request: first, kind: waiting.kind))
    }

    private mutating func cancel(_ request: Int64, _ actions: inout [JobAction]) {
        switch state {
        case .created:
            state = .cancelled
            actions.append(.answer(request: request, .cancelled))
            actions.append(.ended(.cancelled, reason: nil))
        case .running, .restarting, .stopping:
            cancels.append(request)
            answerStop(.failed(reason: "the job was cancelled" + checkpointAdvice), &actions)
            state = .cancelling
            actions.append(.cancelTasks(reason: "cancelled"))
        case .cancelling:
            if !cancels.contains(request) { cancels.append(request) }
        case .failing, .finished, .failed, .cancelled:
            actions.append(.answer(request: request, .rejected(reason: "the job is \(state)")))
        }
    }

    // MARK: Tasks

    private mutating func tasksRunning(_ actions: inout [JobAction]) {
        guard state == .restarting else { return }
        state = .running
        triggerStop(&actions)
    }

    private mutating func tasksRestarting(_ reason: String, _ actions: inout [JobAction]) {
        switch state {
        case .running, .restarting, .stopping(_, checkpoint: nil): state = .restarting
        case .stopping(_, checkpoint: .some):
            // An older checkpoint would repeat output that this one may have committed (FLIP-45 b8).
            fail(reason, &actions)
        case .created, .cancelling, .failing, .finished, .failed, .cancelled: break
        }
    }

    private mutating func fail(_ text: String, _ actions: inout [JobAction]) {
        switch state {
        case .running, .restarting, .stopping, .created:
            reason = text
            answerStop(.failed(reason: "the job failed: \(text)" + checkpointAdvice), &actions)
            state = .failing
            actions.append(.cancelTasks(reason: text))
        case .cancelling, .failing, .finished, .failed, .cancelled: break
        }
    }

    private mutating func tasksFinished(_ actions: inout [JobAction]) {
        switch state {
        case .running, .restarting, .stopping:
            answerStop(.stopped(checkpoint: stop?.checkpoint), &actions)
            state = .finished
            actions.append(.ended(.finished, reason: nil))
        case .cancelling, .failing: tasksCancelled(&actions)
        case .created, .finished, .failed, .cancelled: break
        }
    }

    private mutating func tasksCancelled(_ actions: inout [JobAction]) {
        switch state {
        case .cancelling:
            answerStop(.escalated(checkpoint: stop?.checkpoint), &actions)
            for request in cancels { actions.append(.answer(request: request, .cancelled)) }
            cancels = []
            state = .cancelled
        case .failing: state = .failed
        case .created, .running, .restarting, .stopping, .finished, .failed, .cancelled: return
        }
        actions.append(.ended(state, reason: reason))
    }

    // MARK: The stop's snapshot

    private mutating func snapshotEnded(
        _ request: Int64, _ outcome: SnapshotOutcome, _ actions: inout [JobAction]
    ) {
        guard let running = stop, running.isTriggered, running.requests.first == request else { return }
        switch (state, outcome) {
        case (.stopping(let kind, nil), .completed(let checkpoint)):
            stop?.checkpoint = checkpoint
            state = .stopping(kind, checkpoint: checkpoint)
        case (.stopping(_, nil), .failed(let text)), (.stopping(_, nil), .rejected(let text)):
            state = .running
            answerStop(.failed(reason: text), &actions)
        case (.restarting, .failed(let text)), (.restarting, .rejected(let text)):
            answerStop(.failed(reason: text), &actions)
        case (.restarting, .completed(let checkpoint)):
            // The restart came between the commit and its news.
            stop?.checkpoint = checkpoint
            fail("a task failed after the last snapshot", &actions)
        default: break
        }
    }

    private mutating func escalate(now: Int64, _ actions: inout [JobAction]) {
        guard let deadline = nextWake, deadline <= now else { return }
        reason = "the stop took too long"
        state = .cancelling
        actions.append(.cancelTasks(reason: "the stop took too long" + checkpointAdvice))
    }

    private mutating func answerStop(_ result: JobCommandResult, _ actions: inout [JobAction]) {
        guard let ended = stop else { return }
        stop = nil
        for request in ended.requests { actions.append(.answer(request: request, result)) }
    }

    private var checkpointAdvice: String {
        stop?.checkpoint.map { "; checkpoint \($0) is durable: start from it" } ?? ""
    }
}
