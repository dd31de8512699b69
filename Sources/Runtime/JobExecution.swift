// SPDX-License-Identifier: Apache-2.0
//  Runs a job in this process.

import Synchronization
import ThalwegBase
import ThalwegControl
import ThalwegGraph
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// How a job runs: a value.
public struct ExecutionSettings: Sendable {
    /// The job's name in snapshots.
    public var jobName = "job"
    /// The number of subtasks of each step that does not say otherwise.
    public var parallelism = 1
    /// The number of key groups; parallelism can never be greater.
    public var maxParallelism = 128
    /// The number of records in a batch.
    public var batchCapacity = 1024
    /// How records are handed from operator to operator (FLIP-21).
    public var objectReuse = ObjectReuseMode.default
    /// Where and when checkpoints are taken; nil: never.
    public var checkpoints: CheckpointOptions?
    /// Whether and when what has failed starts again; nil: with checkpoints as `.exponentialDelay`, else not at all.
    public var restart: RestartStrategy?
    /// How many failures of one task are borne, whatever the strategy; nil: any number.
    public var failuresPerTaskMax: Int?
    /// The seed of what is left to chance: the jitter of restarts.
    public var seed: UInt64 = 0
    /// What memory the process may use, and for what; nil: nobody watches it.
    public var memory: MemorySettings?
    /// How much memory keyed state may have.
    public var state = StateSettings()
    /// How much a channel between tasks holds.
    var channels = ChannelLimits()
    /// How long a job that ends waits for tasks that are inside a function of the user; then it ends without them.
    public var cancellationTimeout = Duration.seconds(30)

    public init() {}
}

/// Where and when a job takes checkpoints.
public struct CheckpointOptions: Sendable {
    /// The directory that holds the job's checkpoints, one folder each.
    public var directory: String
    public var fileSystem: any FileSystem
    public var settings: CheckpointSettings
    /// The snapshot to start from: a path, or `latest` for the newest in the directory; nil starts afresh, in a
    /// directory without checkpoints unless ``repeatsOutput`` is set.
    public var from: String?
    /// Whether to start from a snapshot that holds state nothing in the job takes over. That state is lost then.
    public var dropsUnclaimedState = false
    /// Whether to start although output that is published already is written again: afresh beside checkpoints of an
    /// earlier run, or from a snapshot with newer checkpoints after it.
    public var repeatsOutput = false
    /// Whether the job takes the snapshot that it starts from over: it is removed once the job has a checkpoint of its
    /// own, and no other job may take it over (FLIP-47). Else it is never touched, and any number of jobs may start
    /// from it.
    public var claims = false

    /// Whether to start from a snapshot that a job of another name has taken (``ExecutionSettings/jobName``).
    public var allowsOtherJob = false

    public init(
        directory: String, fileSystem: any FileSystem = LocalFileSystem(), settings: CheckpointSettings = .init(),
        from: String? = nil
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.settings = settings
        self.from = from
    }
}

/// The counters of a job, readable while it runs.
public final class JobMetrics: Sendable {
    private let table = Guarded<[Int: [Int: OperatorMetrics]]>([:])
    /// What memory is used for.
    public let memory = MemoryMetrics()
    /// What has happened to rows of keyed state that memory has no room for.
    public let rows = RowMetrics()

    public init() {}

    func register(node: Int, subtask: Int) -> OperatorMetrics {
        table.withLock { table in
            if let known = table[node]?[subtask] { return known }
            let metrics = OperatorMetrics()
            table[node, default: [:]][subtask] = metrics
            return metrics
        }
    }

    /// The counters of a node's subtasks, in order.
    public func subtasks(of node: Int) -> [OperatorMetrics] {
        table.withLock { ($0[node] ?? [:]).sorted { $0.key < $1.key }.map(\.value) }
    }

    /// The sum of one counter over a node's subtasks.
    public func total(of node: Int, _ counter: (OperatorMetrics) -> Counter) -> Int {
        subtasks(of: node).reduce(0) { $0 + counter($1).value }
    }
}

/// A job built and ready to run once.
public final class JobExecution: Sendable {
    public let graph: JobGraph
    public let metrics = JobMetrics()
    /// What checkpoints and restarts have cost so far.
    public let checkpoints = CheckpointMetrics()
    /// What happened to the job that people should know.
    public let notices = JobNotices()
    /// What memory is for; nil when no memory was given.
    public let memoryPlan: MemoryPlan?
    private let settings: ExecutionSettings
    private let stage = Guarded(Stage.waiting([]))
    private let wishes = Atomic<Int64>(0)
    private let cancelled = Atomic<Bool>(false)

    /// What was asked of a job that has not begun waits for its beginning: a signal may come that early.
    private enum Stage {
        case waiting([MasterEvent])
        case running(JobLink)
        case over
    }

    public init(_ graph: StreamGraph, _ settings: ExecutionSettings) throws(ThalwegError) {
        guard (1...65_536).contains(settings.batchCapacity) else {
            throw ThalwegError(
                .job, "the batch size is out of range", detail: "\(settings.batchCapacity) is not in 1...65536",
                hint: "set batch-capacity, best to between 256 and 4096")
        }
        self.graph = try JobGraph(graph, parallelism: settings.parallelism, maxParallelism: settings.maxParallelism)
        var settings = settings
        memoryPlan = try settings.memory.map { (memory) throws(ThalwegError) in try MemoryPlan(memory.configuration) }
        if let memoryPlan {
            let exchanges = try ExchangePlan(self.graph.exchanges, settings.batchCapacity, memoryPlan)
            if exchanges.batchCapacity < settings.batchCapacity {
                notices.add(
                    "note: batches of \(exchanges.batchCapacity) records, so that exchanges keep within "
                        + "\(MemorySize(bytes: memoryPlan.bytes(of: .network)))")
            }
            settings.batchCapacity = exchanges.batchCapacity
            settings.channels = exchanges.limits
            metrics.memory.exchanges.plan(exchanges.boundBytes)
        }
        self.settings = settings
    }

    /// Runs the job to its end: builds the tasks, has them polled, and publishes what the sinks prepared.
    ///
    /// - Throws: the failure that ended the job, or `CancellationError`. Without checkpoints nothing is published then;
    ///   with them, what belongs to the last complete one is.
    @discardableResult
    public func run(on scheduler: any TaskScheduler = WorkerPool()) async throws -> JobOutcome {
        defer { leave() }
        let wakers = WakeTable(count: graph.taskCount)
        let masterWake = MasterWake()
        let background = scheduler.makeBackground()
        let store = settings.checkpoints.map { CheckpointStore(root: $0.directory, fileSystem: $0.fileSystem) }
        let rowBudget = graph.rowBudget(settings, managedBytes: memoryPlan?.bytes(of: .managed))
        // Without checkpoints nobody but the tasks needs the files in which rows rest.
        let scratch = try store == nil && rowBudget != nil ? settings.state.scratch(for: settings.jobName) : nil
        defer { Self.whenDone(background) { scratch?.end() } }
        let removing = scratch.map { scratch -> (@Sendable (String) -> Void) in { scratch.store.removeRun($0) } }
        let leases = RunLeases(removing: removing)
        var place: RowPlace?
        if let rowBudget, let files = store ?? scratch?.store {
            place = try graph.rowPlace(
                settings, budget: rowBudget, store: files, leases: leases, metrics: metrics.rows,
                background: background)
        } else if case .store(let backend) = settings.state.backend, graph.keyedTaskCount > 0 {
            notices.add("note: nothing rests in \(backend.name): keyed state has no bound, as --state-memory gives one")
        }
        defer { Self.whenDone(background) { [place] in place?.endStores() } }
        let link = JobLink(
            jobName: settings.jobName, maxParallelism: graph.maxParallelism,
            store: store, leases: leases, rowPlace: place, background: background,
            nanoseconds: scheduler.nanoseconds, checkpoints: checkpoints, notices: notices,
            wakeMaster: { masterWake() })
        let master = try JobMaster(
            graph, settings, clock: scheduler.clock, metrics: metrics, job: link, wakers: wakers)
        defer {
            // While a disk holds up what the job has left, no other run may begin beside it.
            let (lock, made) = (master.lock, master.madeDirectories)
            Self.whenDone(background) {
                if lock != nil { store?.withdraw(made) }
                lock?.release()
            }
        }
        try master.start()
        begin(link)
        let watcher = watchMemory(link)
        defer { watcher?.stop() }
        let outcome = try await scheduler.run(
            ScheduledJob(master: master, link: link, wakers: wakers, background: background, masterWake: masterWake))
        if (background as? BackgroundThread)?.isDone ?? true {
            // What the tasks built on is needed no more; what stays now goes at the next start.
            try? store?.removeUnreferenced()
        } else {
            notices.add(
                "warning: the job ends while a disk or a place of output still holds up its work: files that nobody "
                    + "needs stay until the next start, which the job keeps waiting until that work or the process "
                    + "has ended")
        }
        return outcome
    }

    /// Does something as soon as nothing of a job runs in the background any more.
    private static func whenDone(_ background: any BackgroundExecutor, _ body: @escaping @Sendable () -> Void) {
        if let thread = background as? BackgroundThread { thread.whenDone(body) } else { body() }
    }

    // MARK: While it runs

    /// What a wish is answered with that comes when the job has ended.
    public static let hasEnded = ThalwegError(.retry, "the job has ended")

    /// Stops the job with a last snapshot, which it can be resumed from (FLIP-45).
    ///
    /// Of a job that has not begun to run, it waits until it does.
    ///
    /// - Throws: a `ThalwegError` when no snapshot could be taken: the job goes on then.
    @discardableResult
    public func stop(_ mode: StopMode = .suspend) async throws -> SnapshotReport {
        try await ask(mode == .drain ? .drain : .suspend)
    }

    /// Takes a savepoint, and goes on.
    @discardableResult
    public func savepoint() async throws -> SnapshotReport { try await ask(.savepoint) }

    /// Ends the job at once: no further output is published.
    ///
    /// A task that does not return from a function of the user is waited for as long as
    /// ``ExecutionSettings/cancellationTimeout`` says; then the job ends without it, and a notice names it. What a job
    /// without checkpoints has begun to publish is published as a whole within that time.
    public func cancel() {
        cancelled.store(true, ordering: .releasing)
        let link = stage.withLock { stage -> JobLink? in
            if case .running(let link) = stage { return link }
            if case .waiting(let events) = stage { stage = .waiting(events + [.cancel]) }
            return nil
        }
        link?.cancel()
    }

    /// Whether somebody has cancelled the job.
    public var isCancelled: Bool { cancelled.load(ordering: .acquiring) }

    /// Compares what the process occupies with what it was given, now and from time to time.
    private func watchMemory(_ job: JobLink) -> Ticker? {
        guard let memory = settings.memory, let memoryPlan, let measure = memory.measure else { return nil }
        let watch = Guarded(MemoryWatch(limitBytes: memoryPlan.processBytes, policy: memory.policy))
        let sample: @Sendable () -> Void = { [metrics, notices] in
            let use = metrics.memory.sample(residentBytes: measure())
            switch watch.withLock({ $0.handle(use) }) {
            case .nothing: break
            case .warn(let text): notices.add(text)
            case .fail(let error): job.abort(error)
            }
        }
        sample()
        let ticker = Ticker()
        ticker.start(every: MemorySettings.sampleInterval, sample)
        return ticker
    }

    private func ask(_ kind: SnapshotKind) async throws -> SnapshotReport {
        let id = wishes.add(1, ordering: .relaxed).newValue
        return try await withCheckedThrowingContinuation { waiter in
            post(.wish(SnapshotWish(id: id, kind: kind) { waiter.resume(with: $0) }))
        }
    }

    // MARK: Before it runs, and after

    /// Hands over what was asked before.
    private func begin(_ link: JobLink) {
        stage.withLock { stage in
            if case .waiting(let events) = stage {
                for event in events { if case .cancel = event { link.cancel() } else { link.post(event) } }
            }
            stage = .running(link)
        }
    }

    private func leave() {
        let (early, link) = stage.withLock { stage -> ([MasterEvent], JobLink?) in
            defer { stage = .over }
            switch stage {
            case .waiting(let events): return (events, nil)
            case .running(let link): return ([], link)
            case .over: return ([], nil)
            }
        }
        link?.endEvents()
        for event in early { JobLink.refuse(event) }
    }

    /// Hands an event to the job: now, or when it begins.
    private func post(_ event: MasterEvent) {
        let isOver = stage.withLock { stage in
            switch stage {
            case .waiting(let events): stage = .waiting(events + [event])
            case .running(let link): link.post(event)
            case .over: return true
            }
            return false
        }
        if isOver { JobLink.refuse(event) }
    }
}
