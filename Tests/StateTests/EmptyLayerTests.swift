// SPDX-License-Identifier: Apache-2.0
//  Checkpoints of stores that hold nothing.

import Testing
import ThalwegBase
import ThalwegData
import ThalwegStorage

@testable import ThalwegState

@Suite struct EmptyLayerTests {
    /// A checkpoint that wrote nothing leaves nothing behind that merging would wait for.
    @Test(arguments: [0, 1, 3]) func layersAreMergedAfterEmptyCheckpoints(_ count: Int64) throws {
        let disk = CheckpointStore(root: "root", fileSystem: MemoryFileSystem())
        let (leases, metrics) = (RunLeases(), RowMetrics())
        let store = try KeyedStore<Int>(.learn())
        let owner = RowOwner(operatorName: "op", subtask: 0, keyGroups: 0..<16, maxParallelism: 16)
        store.keepLayers(RowLayers(owner, root: disk.root, leases: leases))
        try store.rest(
            in: RowPlace(
                store: disk, names: try disk.runNames(), leases: leases, budgetBytes: 20_000, batchCapacity: 16,
                metrics: metrics, background: { $0() }))
        let state = ValueState<Int>()
        try state.bind("value", to: store)
        for checkpoint in 0..<count {
            let snapshot = try store.freezeRows(
                operatorName: "op", maxParallelism: 16, checkpoint: checkpoint + 1, isSelfContained: false)
            for added in try #require(snapshot).added { added.layer.written(nil) }
            store.releaseRows(try #require(snapshot))
        }
        for first in stride(from: 0, to: 20_000, by: 16) {
            let keys = Array(first..<first + 16)
            var slots = Array(repeating: Int32(0), count: keys.count)
            store.resolve(keys, hashes: keys.map { store.hasher.hash($0) }, count: keys.count, into: &slots)
            try store.noteResolved(slots, count: keys.count)
            for (slot, key) in zip(slots, keys) {
                store.slot = Int(slot)
                state.value = key
            }
            store.releaseUnused()
            try store.makeRoom()
        }
        #expect(metrics.spilledRows.value > 0 && metrics.merged.value > 0)
        #expect((store.layers?.chain.count ?? 0) < 20)
    }
}
