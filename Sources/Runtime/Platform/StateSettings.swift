// SPDX-License-Identifier: Apache-2.0
//  How much memory keyed state may have, and where it rests beyond that.

import Glibc
import ThalwegBase
import ThalwegGraph
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// What keeps the rows of keyed state (FLIP-50).
public enum StateBackend: Sendable {
    /// Rows that memory has no room for rest in layers, as checkpoints are made of.
    case tiered
    /// All rows stay in memory, whatever there is of it.
    case memory
    /// Rows that memory has no room for rest in a store of bytes, such as RocksDB.
    case store(any RowStoreBackend)

    /// Its name in options.
    public var name: String {
        switch self {
        case .tiered: "tiered"
        case .memory: "memory"
        case .store(let backend): backend.name
        }
    }
}

/// The memory of a job's keyed state (FLIP-50): a value.
public struct StateSettings: Sendable {
    /// What keeps the rows.
    public var backend = StateBackend.tiered
    /// The most bytes for rows of keyed state, of all tasks together; nil: the managed part of the process's memory if
    /// that is given, else no bound.
    public var budgetBytes: Int?
    /// Where rows rest of a job that keeps no checkpoints (with checkpoints they rest beside those), and where other
    /// stores have their files: a directory of this machine.
    public var directory = "/tmp"
    public var fileSystem: any FileSystem = LocalFileSystem()

    /// The least memory that the rows of one task get.
    public static let taskBytesMin = 1 << 10

    public init() {}

    /// Where rows rest of a job that keeps no checkpoints.
    func scratch(for jobName: String) throws -> ScratchStore {
        var refusal: (any Error)?
        for number in 0..<Self.scratchesMax {
            let root = "\(directory)/thalweg-\(getuid())-\(number)"
            do {
                let lock = try fileSystem.lock(root + ".lock", for: "job \(jobName)")
                // Without locks processes are told apart at least.
                let store = CheckpointStore(root: lock == nil ? "\(root)-\(getpid())" : root, fileSystem: fileSystem)
                store.removeAll()
                return ScratchStore(store: store, lock: lock)
            } catch { refusal = error }
        }
        throw ThalwegError(
            .job, "there is no place for rows to rest", detail: "directory \(directory)",
            hint: "let the process write there, set another directory, or let the job keep checkpoints",
            cause: refusal)
    }

    /// The most jobs of one user that have rows at rest in one directory.
    private static let scratchesMax = 1000
}

/// A directory that one job has as long as it runs. A process that is killed leaves it to the next one.
struct ScratchStore: Sendable {
    let store: CheckpointStore
    let lock: (any FileLock)?

    func end() {
        store.removeAll()
        lock?.release()
    }
}

extension JobGraph {
    /// The number of tasks that keep keyed state, or may.
    var keyedTaskCount: Int {
        streamGraph.nodes.reduce(0) { count, node in
            count + (node.inputs.contains { $0.partitioning == .hash } ? parallelism(of: node.id) : 0)
        }
    }

    /// The most bytes for rows; nil when all stay in memory.
    func rowBudget(_ settings: ExecutionSettings, managedBytes: Int?) -> Int? {
        if case .memory = settings.state.backend { return nil }
        return keyedTaskCount > 0 ? settings.state.budgetBytes ?? managedBytes : nil
    }

    /// Where the rows of each task rest.
    func rowPlace(
        _ settings: ExecutionSettings, budget: Int, store: CheckpointStore, leases: RunLeases,
        metrics: RowMetrics, background: any BackgroundExecutor
    ) throws -> RowPlace {
        let share = budget / keyedTaskCount
        guard share >= StateSettings.taskBytesMin else {
            throw ThalwegError(
                .job, "keyed state has too little memory",
                detail: "\(budget) bytes for \(keyedTaskCount) tasks, each needs \(StateSettings.taskBytesMin)",
                hint: "give it more, or lower the parallelism")
        }
        var stores: (any RowStores)?
        if case .store(let backend) = settings.state.backend {
            stores = try backend.begin(in: settings.state.directory)
        }
        return RowPlace(
            store: store, names: RunNames(), leases: leases, budgetBytes: share,
            batchCapacity: settings.batchCapacity, isSnapshotted: settings.checkpoints != nil, metrics: metrics,
            stores: stores, background: { background.submit($0) })
    }
}
