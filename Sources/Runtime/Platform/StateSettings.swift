// SPDX-License-Identifier: Apache-2.0
//  How much memory keyed state may have, and where it rests beyond that.

import Glibc
import ThalwegBase
import ThalwegGraph
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// The memory of a job's keyed state (FLIP-50): a value.
public struct StateSettings: Sendable {
    /// The most bytes for rows of keyed state, of all tasks together; nil: the managed part of the process's memory if
    /// that is given, else no bound.
    public var budgetBytes: Int?
    /// Where rows rest of a job that keeps no checkpoints; with checkpoints they rest beside those.
    public var directory = "/tmp"
    public var fileSystem: any FileSystem = LocalFileSystem()

    /// The least memory that the rows of one task get.
    public static let taskBytesMin = 1 << 10

    public init() {}

    /// Where rows rest of a job that keeps no checkpoints: a directory of this process.
    func store() -> CheckpointStore {
        CheckpointStore(root: "\(directory)/thalweg-\(getpid())", fileSystem: fileSystem)
    }
}

extension JobGraph {
    /// The number of tasks that keep keyed state, or may.
    var keyedTaskCount: Int {
        streamGraph.nodes.reduce(0) { count, node in
            count + (node.inputs.contains { $0.partitioning == .hash } ? parallelism(of: node.id) : 0)
        }
    }

    /// Where the rows of each task rest; nil when all stay in memory.
    func rowPlace(
        _ settings: ExecutionSettings, managedBytes: Int?, store: CheckpointStore, leases: RunLeases,
        metrics: RowMetrics, background: any BackgroundExecutor
    ) throws -> RowPlace? {
        guard let budget = settings.state.budgetBytes ?? managedBytes, keyedTaskCount > 0 else { return nil }
        let share = budget / keyedTaskCount
        guard share >= StateSettings.taskBytesMin else {
            throw ThalwegError(
                .job, "keyed state has too little memory",
                detail: "\(budget) bytes for \(keyedTaskCount) tasks, each needs \(StateSettings.taskBytesMin)",
                hint: "give it more, or lower the parallelism")
        }
        return RowPlace(
            store: store, names: try store.runNames(), leases: leases, budgetBytes: share,
            batchCapacity: settings.batchCapacity, metrics: metrics, background: { background.submit($0) })
    }
}
