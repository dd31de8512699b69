// SPDX-License-Identifier: Apache-2.0
//  Polls tasks in one thread, in an order drawn from a seed, on virtual time.

import Synchronization
import ThalwegBase
import ThalwegOperator

/// The deterministic scheduler: the same job and seed give the same order of polls. When no task can go on, virtual
/// time jumps to the next timer.
public struct StepScheduler: TaskScheduler {
    public let virtualClock: ManualClock
    public let seed: UInt64
    /// Called after each poll that did something: a place to move time on.
    public let afterStep: (@Sendable (ManualClock) -> Void)?

    public var clock: any ThalwegClock { virtualClock }

    public init(
        seed: UInt64 = 0, clock: ManualClock = ManualClock(), afterStep: (@Sendable (ManualClock) -> Void)? = nil
    ) {
        self.seed = seed
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
        defer { for task in live { task.close() } }
        while true {
            if Task.isCancelled { job.link.post(.cancel) }
            // The master and the background take part in the draw as the last two of the actors.
            var actors = Array(0..<live.count + 2)
            actors.shuffle(using: &random)
            var progressed = false
            for actor in actors {
                if actor == live.count {
                    if job.master.poll() != .idle { progressed = true }
                } else if actor == live.count + 1 {
                    if background?.runNext() == true { progressed = true }
                } else if poll(live[actor], job) {
                    progressed = true
                }
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

    private func poll(_ task: ExecutionTask, _ job: ScheduledJob) -> Bool {
        do {
            switch try task.poll() {
            case .progress:
                afterStep?(virtualClock)
                return true
            case .idle: return false
            case .finished: return true
            }
        } catch {
            task.fail()
            job.link.post(.failed(task.id, attempt: task.attempt, error))
            return true
        }
    }
}

/// Work in the background of a job under the step scheduler: a piece at a time, when its turn is drawn.
final class StepBackground: BackgroundExecutor {
    private let queue = Guarded<[@Sendable () -> Void]>([])

    func submit(_ work: @escaping @Sendable () -> Void) { queue.withLock { $0.append(work) } }

    func runNext() -> Bool {
        let work = queue.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        work?()
        return work != nil
    }
}
