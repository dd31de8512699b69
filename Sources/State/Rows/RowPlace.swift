// SPDX-License-Identifier: Apache-2.0
//  Where the rows of one store rest that memory has no room for.

import ThalwegBase
import ThalwegStorage

/// Where the layers of keyed stores lie.
public struct RowLayering: Sendable {
    /// The root of the checkpoint store.
    public let root: String
    /// Who holds which file of it.
    public let leases: RunLeases

    public init(root: String, leases: RunLeases) {
        self.root = root
        self.leases = leases
    }
}

/// Where a keyed store puts rows that its memory has no room for (FLIP-50).
public struct RowPlace: Sendable {
    public let store: CheckpointStore
    let names: RunNames
    let leases: RunLeases
    /// The most bytes of memory for rows, and for finding those at rest.
    public let budgetBytes: Int
    /// The most records in a batch: the rows of one are in memory together.
    let batchCapacity: Int
    let metrics: RowMetrics
    /// What opens the stores in which rows rest; nil: they rest in layers.
    let stores: (any RowStores)?
    /// Whether what leaves memory is noted for checkpoints; not of a job that takes none.
    let isSnapshotted: Bool
    /// Runs work that waits for the disk, one piece at a time, on another thread.
    let background: @Sendable (@escaping @Sendable () -> Void) -> Void

    public init(
        store: CheckpointStore, names: RunNames, leases: RunLeases, budgetBytes: Int, batchCapacity: Int,
        metrics: RowMetrics, stores: (any RowStores)? = nil, isSnapshotted: Bool = true,
        background: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) {
        self.stores = stores
        self.isSnapshotted = isSnapshotted
        self.store = store
        self.names = names
        self.leases = leases
        self.budgetBytes = budgetBytes
        self.batchCapacity = batchCapacity
        self.metrics = metrics
        self.background = background
    }

    /// Removes all files, of a job that keeps no checkpoints and has ended.
    public func removeAll() { store.removeAll() }

    /// The job has ended: removes the stores in which rows rested.
    public func endStores() { stores?.end() }
}

/// What tiers of rows have done, over all stores of a job.
public final class RowMetrics: Sendable {
    /// Rows that left memory.
    public let evicted = Counter()
    /// Rows written to files because they left memory.
    public let spilledRows = Counter()
    /// The bytes of those files.
    public let spilledBytes = Counter()
    /// Rows that came back.
    public let loaded = Counter()
    /// Times that several files were made one.
    public let merged = Counter()
    /// Keys that were looked up in vain: new ones.
    public let missed = Counter()

    public init() {}
}
