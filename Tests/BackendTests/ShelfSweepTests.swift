// SPDX-License-Identifier: Apache-2.0
//  Rows in a store of bytes that nobody asks for again.

import Testing
import Thalweg
import ThalwegTesting

@Suite struct ShelfSweepTests {
    /// Keys come once each, and are of no use a while later: the store does not grow with all of them.
    @Test func rowsThatNeedNotBeKeptGo() throws {
        let disk = CheckpointStore(root: "root", fileSystem: MemoryFileSystem())
        try disk.prepare()
        let backend = MemoryRowBackend()
        let leases = RunLeases()
        let owner = RowOwner(operatorName: "op", subtask: 0, keyGroups: 0..<4, maxParallelism: 4)
        let store = try KeyedStore<Int>(.learn())
        store.keepLayers(RowLayers(owner, root: disk.root, leases: leases))
        try store.rest(
            in: RowPlace(
                store: disk, names: try disk.runNames(), leases: leases, budgetBytes: 20_000, batchCapacity: 16,
                isSnapshotted: false, metrics: RowMetrics(), stores: backend.begin(in: ""), background: { $0() }))
        let state = ValueState<Int>()
        try state.bind("value", to: store)
        var oldest = 0
        store.mergeFilter = {
            { [oldest] _ in
                { key, _ in
                    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: key.suffix(8)))
                    return (try? reader.readOrdered()).map { $0 >= Int64(oldest) } ?? true
                }
            }
        }

        func process(_ keys: Range<Int>, _ body: (Int) -> Void) throws {
            var slots = Array(repeating: Int32(0), count: keys.count)
            let wanted = Array(keys)
            store.resolve(wanted, hashes: wanted.map(store.hasher.hash), count: wanted.count, into: &slots)
            try store.noteResolved(slots, count: wanted.count)
            for (slot, key) in zip(slots, wanted) {
                store.slot = Int(slot)
                body(key)
            }
            store.releaseUnused()
            try store.makeRoom()
        }

        var most = 0
        for start in stride(from: 0, to: 20_000, by: 10) {
            oldest = start - 1_000
            try process(start..<start + 10) { state.value = 3 * $0 }
            most = max(most, backend.entryCount)
        }
        // Beside those to be kept, what came while the hand went round once.
        #expect(most > 900 && most < 4_000)
        var found: [Int] = []
        for start in stride(from: oldest, to: 20_000, by: 10) {
            try process(start..<min(start + 10, 20_000)) { key in if state.value == 3 * key { found.append(key) } }
        }
        #expect(found == Array(oldest..<20_000))
    }
}
