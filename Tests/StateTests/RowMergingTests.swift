// SPDX-License-Identifier: Apache-2.0
//  Layers that are made one on another thread.

import Testing
import ThalwegBase
import ThalwegData
import ThalwegStorage
import ThalwegTesting

@testable import ThalwegState

@Suite struct RowMergingTests {
    private static let owner = RowOwner(operatorName: "op", subtask: 0, keyGroups: 0..<16, maxParallelism: 16)

    /// A merge may end while it is looked at: it is taken over with all its rows, or not yet.
    @Test func aMergeThatEndsMeanwhileLosesNothing() async throws {
        let store = CheckpointStore(root: "root", fileSystem: MemoryFileSystem())
        try store.prepare()
        let (leases, names) = (RunLeases(), RunNames())
        let place = RowPlace(
            store: store, names: names, leases: leases, budgetBytes: 1 << 20, batchCapacity: 32, isSnapshotted: true,
            metrics: RowMetrics(), background: { work in Task.detached { work() } })
        let descriptor = StateDescriptor(
            operatorName: "op", name: "value", kind: .value, key: RecordSchema(root: .scalar(.int64)),
            value: RecordSchema(root: .scalar(.int64)))
        var (runs, layers): ([Run], [RowLayer]) = ([], [])
        for number in 0..<2 as Range<UInt8> {
            let path = names.next("op-0")
            let part = StatePart(descriptor) { writer in
                let key: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, number]
                try key.withUnsafeBytes { try writer.add(key: $0, value: $0) }
            }
            let run = try #require(
                try store.writeRun(
                    path, operators: ["op"], subtask: 0, sequence: Int64(number) + 1, parts: [part],
                    filteredRows: nil))
            let layer = RowLayer(sequence: run.sequence, rowCount: 1, states: ["value"])
            layer.written(HeldSegment(run.file, leases.take(path)), run: run)
            runs.append(run)
            layers.append(layer)
        }
        var lost = 0
        for _ in 0..<1000 {
            let merging = try RowMerging(
                layers, Array(runs.reversed()), isOldest: true, Self.owner, in: place, filterBytesMax: 0,
                blockBytes: 1024)
            merging.begin()
            var merged: RowLayer?
            // Without a break two such loops would keep the merges of both from running at all.
            while true {
                merged = try merging.result(in: place)
                if merged != nil { break }
                await Task.yield()
            }
            if try merged?.file()?.file.entries != 2 { lost += 1 }
        }
        #expect(lost == 0)
    }
}
