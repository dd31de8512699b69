// SPDX-License-Identifier: Apache-2.0
//  Polls tasks in one thread, in an order drawn from a seed, on virtual time.

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

    public func run(_ set: TaskSet) async throws {
        var random = SeededRandom(seed: seed)
        var live = set.tasks
        defer { for task in live { task.close() } }
        while !live.isEmpty {
            try Task.checkCancellation()
            live.shuffle(using: &random)
            var progressed = false
            for task in live {
                switch try task.poll() {
                case .progress:
                    progressed = true
                    afterStep?(virtualClock)
                case .idle: break
                case .finished: progressed = true
                }
            }
            live.removeAll { $0.isFinished }
            if progressed || live.isEmpty { continue }
            guard let next = live.compactMap({ $0.timers.nextTime }).min() else {
                // Something outside (an asynchronous sequence) has to come first.
                await Task.yield()
                continue
            }
            virtualClock.advance(to: next)
        }
    }
}
