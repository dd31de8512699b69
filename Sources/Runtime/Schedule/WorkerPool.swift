// SPDX-License-Identifier: Apache-2.0
//  Polls tasks on one thread per processor.

import Synchronization
import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator

/// The real scheduler: worker threads that poll their tasks in turn and sleep when none can go on; a thread for the
/// master, so that a task that does not return cannot hold up the job's control; and one for work that waits for disks.
public struct WorkerPool: TaskScheduler {
    public let clock: any ThalwegClock
    /// The number of worker threads; never more than there are tasks.
    public let workers: Int

    public init(workers: Int? = nil, clock: any ThalwegClock = SystemClock()) {
        self.workers = max(1, workers ?? WorkerThread.processors)
        self.clock = clock
    }

    public var nanoseconds: @Sendable () -> UInt64 { { MonotonicTime.now.nanoseconds } }

    public func makeBackground() -> any BackgroundExecutor { BackgroundThread() }

    /// A worker's seat: what it polls next and how it is woken.
    private final class Seat: Sendable {
        let parking = Parking()
        private let arrivals = Guarded<[Arrival]>([])

        /// Unchecked: a task belongs to the worker it is given to.
        struct Arrival: @unchecked Sendable { let task: ExecutionTask }

        func give(_ task: ExecutionTask) {
            let arrival = Arrival(task: task)
            arrivals.withLock { $0.append(arrival) }
            parking.wake()
        }

        func takeArrivals() -> [ExecutionTask] {
            arrivals.withLock { arrivals in
                defer { arrivals = [] }
                return arrivals
            }.map(\.task)
        }
    }

    /// What the threads of one job share.
    private final class Crew: Sendable {
        let stop = Atomic<Bool>(false)
        let running: Atomic<Int>
        let seats: [Seat]
        let master = Parking()

        init(count: Int) {
            running = Atomic(count)
            seats = (0..<count).map { _ in Seat() }
        }

        func halt() {
            stop.store(true, ordering: .releasing)
            for seat in seats { seat.parking.wake() }
        }

        func leave() {
            running.subtract(1, ordering: .acquiringAndReleasing)
            master.wake()
        }
    }

    /// How long a pool waits for workers that are inside a user's function when the job has ended.
    private static let leaveMillis: Int64 = 200

    public func run(_ job: ScheduledJob) async throws -> JobOutcome {
        let crew = Crew(count: min(workers, job.master.graph.taskCount))
        job.masterWake.set { crew.master.wake() }
        job.wakers.set(
            job.master.graph.taskIDs.map { id in
                let seat = crew.seats[Self.seat(of: id, in: job, among: crew.seats.count)]
                return { seat.parking.wake() }
            })
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (waiter: CheckedContinuation<JobOutcome, any Error>) in
                for seat in crew.seats { WorkerThread.start { Self.work(seat, crew, job, clock) } }
                WorkerThread.start { waiter.resume(with: Self.lead(job, crew, clock)) }
            }
        } onCancel: {
            job.link.cancel()
        }
    }

    /// Subtask i of every vertex goes to worker i, so that neighbours in a pipeline share a cache; single subtasks are
    /// dealt in turn.
    private static func seat(of id: TaskID, in job: ScheduledJob, among count: Int) -> Int {
        let graph = job.master.graph
        let isAlone = graph.vertices[Int(id.vertex)].parallelism == 1
        return (isAlone ? graph.taskNumber(of: id) : Int(id.subtask)) % count
    }

    /// The master's thread.
    private static func lead(
        _ job: ScheduledJob, _ crew: Crew, _ clock: any ThalwegClock
    ) -> Result<JobOutcome, any Error> {
        let master = job.master
        while true {
            let epoch = crew.master.epoch
            let result = master.poll()
            for task in master.takeDeployments() {
                crew.seats[seat(of: task.id, in: job, among: crew.seats.count)].give(task)
            }
            if result == .finished { break }
            if result == .idle {
                crew.master.sleep(since: epoch, atMost: master.nextTime.map { max(0, $0 - clock.now) })
            }
        }
        crew.halt()
        var patience = leaveMillis
        while patience > 0, crew.running.load(ordering: .acquiring) > 0 {
            let epoch = crew.master.epoch
            if crew.running.load(ordering: .acquiring) == 0 { break }
            crew.master.sleep(since: epoch, atMost: 10)
            patience -= 10
        }
        (job.background as? BackgroundThread)?.finish()
        return master.outcome ?? .failure(CancellationError())
    }

    private static func work(_ seat: Seat, _ crew: Crew, _ job: ScheduledJob, _ clock: any ThalwegClock) {
        var live: [ExecutionTask] = []
        while !crew.stop.load(ordering: .acquiring) {
            let epoch = seat.parking.epoch
            live += seat.takeArrivals()
            var progressed = false
            var isAnyFinished = false
            for task in live {
                task.mailbox.isInside.store(true, ordering: .relaxed)
                defer { task.mailbox.isInside.store(false, ordering: .relaxed) }
                do {
                    switch try task.poll() {
                    case .progress: progressed = true
                    case .idle: break
                    case .finished: isAnyFinished = true
                    }
                } catch {
                    task.fail()
                    job.link.post(.failed(task.id, attempt: task.attempt, error))
                    isAnyFinished = true
                }
            }
            if isAnyFinished {
                live.removeAll { $0.isFinished }
            } else if !progressed {
                let next = live.compactMap { $0.timers.nextTime }.min()
                seat.parking.sleep(since: epoch, atMost: next.map { max(0, $0 - clock.now) })
            }
        }
        for task in live { task.close() }
        crew.leave()
    }
}
