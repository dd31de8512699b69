// SPDX-License-Identifier: Apache-2.0
//  Runs a job in this process.

import Synchronization
import ThalwegBase
import ThalwegGraph
import ThalwegOperator

/// How a job runs: a value.
public struct ExecutionSettings: Sendable {
    /// The number of subtasks of each step that does not say otherwise.
    public var parallelism = 1
    /// The number of key groups; parallelism can never be greater.
    public var maxParallelism = 128
    /// The number of records in a batch.
    public var batchCapacity = 1024
    /// How records are handed from operator to operator (FLIP-21).
    public var objectReuse = ObjectReuseMode.default

    public init() {}
}

/// The counters of a job, readable while it runs.
public final class JobMetrics: Sendable {
    private let table = Guarded<[Int: [Int: OperatorMetrics]]>([:])

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
    private let settings: ExecutionSettings
    private let commits = CommitLedger()

    public init(_ graph: StreamGraph, _ settings: ExecutionSettings) throws(ThalwegError) {
        guard (1...65_536).contains(settings.batchCapacity) else {
            throw ThalwegError(
                .job, "the batch size is out of range", detail: "\(settings.batchCapacity) is not in 1...65536",
                hint: "set batch-capacity, best to between 256 and 4096")
        }
        self.graph = try JobGraph(graph, parallelism: settings.parallelism, maxParallelism: settings.maxParallelism)
        self.settings = settings
    }

    /// Runs the job to its end: builds the tasks, has them polled, and publishes what the sinks prepared.
    ///
    /// - Throws: the first failure of an operator, or `CancellationError`. Nothing is published then.
    public func run(on scheduler: any TaskScheduler = WorkerPool()) async throws {
        do {
            var builder = TaskBuilder(graph, settings, clock: scheduler.clock, metrics: metrics, commits: commits)
            try await scheduler.run(try builder.build())
        } catch {
            commits.abortAll()
            throw error
        }
        try commits.commitAll()
    }
}
