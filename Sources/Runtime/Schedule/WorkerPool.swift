// SPDX-License-Identifier: Apache-2.0
//  Polls tasks on one thread per processor.

import Synchronization
import ThalwegBase
import ThalwegOperator

/// The real scheduler: worker threads that poll their tasks in turn and sleep when none can go on.
public struct WorkerPool: TaskScheduler {
    public let clock: any ThalwegClock
    /// The number of worker threads; never more than there are tasks.
    public let workers: Int

    public init(workers: Int? = nil, clock: any ThalwegClock = SystemClock()) {
        self.workers = max(1, workers ?? WorkerThread.processors)
        self.clock = clock
    }

    private struct Outcome {
        var failure: (any Error)?
        var running: Int
        var waiter: CheckedContinuation<Void, any Error>?
    }

    /// What the workers of one job share.
    private final class Crew: Sendable {
        let outcome: Guarded<Outcome>
        let stop = Atomic<Bool>(false)
        let parkings: [Parking]

        init(count: Int) {
            outcome = Guarded(Outcome(running: count))
            parkings = (0..<count).map { _ in Parking() }
        }

        func halt() {
            stop.store(true, ordering: .releasing)
            for parking in parkings { parking.wake() }
        }

        /// One worker has left; the last one lets the job return.
        func leave(_ error: (any Error)?) {
            let (waiter, failure) = outcome.withLock { outcome in
                if outcome.failure == nil { outcome.failure = error }
                outcome.running -= 1
                return (outcome.running == 0 ? outcome.waiter : nil, outcome.failure)
            }
            if error != nil { halt() }
            guard let waiter else { return }
            if let failure { waiter.resume(throwing: failure) } else { waiter.resume() }
        }
    }

    public func run(_ set: TaskSet) async throws {
        let count = min(workers, set.tasks.count)
        let crew = Crew(count: count)
        // Subtask i of every vertex goes to worker i, so that neighbours in a pipeline share a cache; single subtasks
        // are dealt in turn.
        var lots: [[Int]] = Array(repeating: [], count: count)
        for (index, task) in set.tasks.enumerated() {
            let alone = !set.tasks.contains { $0.name == task.name && $0.subtask != task.subtask }
            lots[(alone ? index : task.subtask) % count].append(index)
        }
        var wakes: [@Sendable () -> Void] = Array(repeating: {}, count: set.tasks.count)
        for (worker, lot) in lots.enumerated() {
            let parking = crew.parkings[worker]
            for index in lot { wakes[index] = { parking.wake() } }
        }
        set.wakers.set(wakes)
        let shares = lots
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (waiter: CheckedContinuation<Void, any Error>) in
                crew.outcome.withLock { $0.waiter = waiter }
                for worker in 0..<count {
                    let lot = shares[worker]
                    let clock = clock
                    WorkerThread.start { Self.work(lot, of: set, crew, crew.parkings[worker], clock) }
                }
            }
        } onCancel: {
            set.isCancelled.store(true, ordering: .releasing)
            crew.halt()
        }
        if set.isCancelled.load(ordering: .acquiring) { throw CancellationError() }
    }

    private static func work(
        _ lot: [Int], of set: TaskSet, _ crew: Crew, _ parking: Parking, _ clock: any ThalwegClock
    ) {
        var live = lot.map { set.tasks[$0] }
        do {
            while !live.isEmpty && !crew.stop.load(ordering: .acquiring) {
                let epoch = parking.epoch
                var progressed = false
                var isAnyFinished = false
                for task in live {
                    switch try task.poll() {
                    case .progress: progressed = true
                    case .idle: break
                    case .finished: isAnyFinished = true
                    }
                }
                if isAnyFinished {
                    live.removeAll { $0.isFinished }
                } else if !progressed {
                    let next = live.compactMap { $0.timers.nextTime }.min()
                    parking.sleep(since: epoch, atMost: next.map { max(0, $0 - clock.now) })
                }
            }
            for task in live { task.close() }
            crew.leave(nil)
        } catch {
            for task in live { task.close() }
            crew.leave(error)
        }
    }
}
