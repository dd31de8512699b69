// SPDX-License-Identifier: Apache-2.0
//  Polls tasks in one thread, in an order drawn from a seed, on virtual time.

import Synchronization
import ThalwegBase
import ThalwegControl
import ThalwegOperator

/// The deterministic scheduler: the same job and seed give the same order of polls. When no task can go on, virtual
/// time jumps to the next timer.
public struct StepScheduler: TaskScheduler {
    private static let roundsBetweenYields: UInt64 = 256

    public let virtualClock: ManualClock
    public let seed: UInt64
    /// Called after each poll that did something: a place to move time on.
    public let afterStep: (@Sendable (ManualClock) -> Void)?
    /// Watches every turn, and may disturb it.
    public let observer: (any StepObserver)?

    public var clock: any ThalwegClock { virtualClock }

    public init(
        seed: UInt64 = 0, clock: ManualClock = ManualClock(), afterStep: (@Sendable (ManualClock) -> Void)? = nil,
        observer: (any StepObserver)? = nil
    ) {
        self.seed = seed
        self.observer = observer
        virtualClock = clock
        self.afterStep = afterStep
    }

    public var nanoseconds: @Sendable () -> UInt64 {
        let clock = virtualClock
        return { UInt64(max(0, clock.now)) &* 1_000_000 }
    }

    public func makeBackground() -> any BackgroundExecutor { StepBackground() }

    public func run(_ job: ScheduledJob) async throws -> JobOutcome {
        var random = SeededRandom(seed: seed)
        var live: [ExecutionTask] = []
        let background = job.background as? StepBackground
        defer {
            for task in live { task.close() }
            // Work that nobody does any more holds the job, and the job this.
            background?.clear()
        }
        if let observer, observer.wantsNotes {
            let graph = job.master.graph
            job.master.observe = { event in observer.note(event.summary(of: graph)) }
        }
        var round: UInt64 = 0
        while true {
            if Task.isCancelled { job.link.cancel() }
            // A job without end must not keep a thread of the pool from whoever is to stop it.
            round += 1
            if round % Self.roundsBetweenYields == 0 { await Task.yield() }
            // The master and the background take part in the draw as the last two of the actors.
            var actors = Array(0..<live.count + 2)
            actors.shuffle(using: &random)
            var progressed = false
            for actor in actors {
                let turn = turn(of: actor, live)
                let decision = observer?.willTake(turn) ?? .go
                if case .skip = decision { continue }
                if case .die(let error) = decision { throw error }
                var result = PollResult.idle
                if actor == live.count {
                    result = job.master.poll()
                } else if actor == live.count + 1 {
                    if background?.runNext() == true { result = .progress }
                } else {
                    var failure: (any Error)?
                    if case .fail(let error) = decision { failure = error }
                    result = poll(live[actor], job, failing: failure)
                }
                observer?.didTake(turn, result)
                if result != .idle { progressed = true }
            }
            live.removeAll { $0.isFinished }
            live += job.master.takeDeployments()
            if let outcome = job.master.outcome {
                while background?.runNext() == true {}
                return try outcome.get()
            }
            if progressed { continue }
            let times = live.compactMap { $0.timers.nextTime } + [job.master.nextTime].compactMap(\.self)
            // Something outside (an asynchronous sequence) may have to come first.
            await Task.yield()
            if let next = times.min() { virtualClock.advance(to: next) }
        }
    }

    private func turn(of actor: Int, _ live: [ExecutionTask]) -> StepTurn {
        if actor == live.count { return .master }
        if actor > live.count { return .background }
        let task = live[actor]
        return .task(name: task.name, subtask: Int(task.id.subtask), isSource: task.isSource)
    }

    private func poll(_ task: ExecutionTask, _ job: ScheduledJob, failing failure: (any Error)?) -> PollResult {
        do {
            if let failure { throw failure }
            let result = try task.poll()
            if result == .progress { afterStep?(virtualClock) }
            return result
        } catch {
            task.fail()
            job.link.post(.failed(task.id, attempt: task.attempt, error))
            return .progress
        }
    }
}

/// Work in the background of a job under the step scheduler: a piece at a time, when its turn is drawn.
final class StepBackground: BackgroundExecutor {
    private let queue = Guarded<[@Sendable () -> Void]>([])

    func submit(_ work: @escaping @Sendable () -> Void) { queue.withLock { $0.append(work) } }

    func clear() {
        // Let go of outside the lock: what ends with it may have work for the background.
        _ = queue.withLock { queue in
            defer { queue = [] }
            return queue
        }
    }

    func runNext() -> Bool {
        let work = queue.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        work?()
        return work != nil
    }
}
