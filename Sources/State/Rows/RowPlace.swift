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
    /// Whether snapshots are taken while the task goes on: what they share counts, and what leaves memory is noted for
    /// them.
    let isSnapshotted: Bool
    let metrics: RowMetrics
    /// What opens the stores in which rows rest; nil: they rest in layers.
    let stores: (any RowStores)?
    /// Runs work that waits for the disk, one piece at a time, on another thread.
    let background: @Sendable (@escaping @Sendable () -> Void) -> Void

    public init(
        store: CheckpointStore, names: RunNames, leases: RunLeases, budgetBytes: Int, batchCapacity: Int,
        isSnapshotted: Bool = true, metrics: RowMetrics, stores: (any RowStores)? = nil,
        background: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) {
        self.stores = stores
        self.store = store
        self.names = names
        self.leases = leases
        self.budgetBytes = budgetBytes
        self.batchCapacity = batchCapacity
        self.isSnapshotted = isSnapshotted
        self.metrics = metrics
        self.background = background
    }

    /// From how many bytes on what a state has for one key is too large to be in memory: a small part of what the task
    /// has, so that rows come and go quickly.
    var largeBytes: Int { max(4 << 10, budgetBytes / 32) }

    /// Gives no file the name of one that is there. Once nobody else can write here, and before anything is written.
    public func skipTakenNames() throws { try store.skipTaken(names) }

    /// The job has ended: removes the stores in which rows rested.
    public func endStores() { stores?.end() }
}

/// What tiers of rows have done, over all stores of a job.
public final class RowMetrics: Sendable {
    /// Rows that left memory.
    public let evicted = SharedCounter()
    /// Rows written to files because they left memory.
    public let spilledRows = SharedCounter()
    /// The bytes of those files.
    public let spilledBytes = SharedCounter()
    /// Rows that came back.
    public let loaded = SharedCounter()
    /// Rows of which a state has too much for memory: its entries come and go one by one.
    public let largeRows = SharedCounter()
    /// Times that several files were made one.
    public let merged = SharedCounter()
    /// Keys that were looked up in vain: new ones.
    public let missed = SharedCounter()
    /// Blocks of files that were read to find rows, of both kinds.
    public let blocksRead = SharedCounter()

    public init() {}
}
