// SPDX-License-Identifier: Apache-2.0
//  Layers of a store one of whose states has another type now.

import Testing
import ThalwegBase
import ThalwegData
import ThalwegState
import ThalwegStorage

@Suite struct UpgradedLayersTests {
    private static let groups = 16

    private struct Row: Equatable {
        var number: Int64?
        var texts: [Int: String] = [:]
    }

    /// A store with two states, the type of one of which differs between versions of a job.
    private final class Life<Number: FixedWidthInteger & Codable & Sendable> {
        let store: KeyedStore<Int>
        private let number = ValueState<Number>()
        private let texts = MapState<Int, String>()
        private let disk: CheckpointStore
        private let leases = RunLeases()

        /// - Parameter budget: of memory for rows; nil: all stay there.
        init(_ disk: CheckpointStore, budget: Int?) throws {
            self.disk = disk
            store = try KeyedStore(.learn())
            let owner = RowOwner(operatorName: "op", subtask: 0, keyGroups: 0..<groups, maxParallelism: groups)
            store.keepLayers(RowLayers(owner, root: disk.root, leases: leases))
            if let budget {
                try store.rest(
                    in: RowPlace(
                        store: disk, names: try disk.runNames(), leases: leases, budgetBytes: budget, batchCapacity: 32,
                        metrics: RowMetrics(), background: { $0() }))
            }
            try number.bind("number", to: store)
            try texts.bind("texts", to: store)
        }

        func process(_ key: Int, _ body: () -> Void) throws {
            var slots = [Int32(0)]
            store.resolve([key], hashes: [store.hasher.hash(key)], count: 1, into: &slots)
            try store.noteResolved(slots, count: 1)
            store.slot = Int(slots[0])
            body()
            store.releaseIfEmpty(store.slot)
            store.releaseUnused()
            try store.makeRoom()
        }

        func set(_ key: Int, _ row: Row) throws {
            try process(key) {
                number.value = row.number.map { Number($0) }
                for (name, text) in row.texts { texts[name] = text }
            }
        }

        func row(of key: Int) throws -> Row {
            var row = Row()
            try process(key) {
                row.number = number.value.map { Int64($0) }
                texts.forEach { row.texts[$0] = $1 }
            }
            return row
        }

        /// Takes a checkpoint; gives the number of layers that it lies over.
        func checkpoint(_ checkpoint: Int64) throws -> Int {
            let snapshot = try #require(
                try store.freezeRows(
                    operatorName: "op", maxParallelism: groups, checkpoint: checkpoint, isSelfContained: false))
            var files = try snapshot.base.compactMap { layer in
                try layer.sync()
                return try layer.file()?.file
            }
            let added = try #require(snapshot.added.first)
            #expect(snapshot.added.count == 1)
            var file = try disk.writeSegment(
                checkpoint: checkpoint, name: "rows", operators: ["op"], subtask: 0, parts: added.parts,
                isCancelled: { false })
            file?.sequence = added.layer.sequence
            added.layer.written(file.map { HeldSegment($0, leases.take($0.path)) })
            if let file { files.append(file) }
            try disk.complete(
                SnapshotMetadata(
                    checkpoint: checkpoint, kind: "checkpoint", timeMilliseconds: 0, jobName: "job",
                    maxParallelism: groups, operators: [.init(name: "op", parallelism: 1)], files: files))
            store.releaseRows(snapshot)
            return snapshot.base.count
        }

        /// Starts from the newest checkpoint; gives what becomes of each state.
        func restore() throws -> [String: StateVerdict.Outcome] {
            let snapshot = try #require(try disk.loadLatest())
            let stored = try #require(try snapshot.restoredState(of: "op"))
            var declared = StateDeclarations(operatorName: "op")
            try store.declare(&declared)
            let verdicts = declared.states.map { wanted in
                StateVerdict(
                    of: stored.states.first { $0.name == wanted.descriptor.name }, isEmpty: false, as: wanted,
                    maxParallelism: groups)
            }
            try store.restore(
                from: KeyedRestore(
                    operatorName: "op", state: UpgradedState(stored, verdicts, maxParallelism: groups),
                    keyGroups: 0..<groups, maxParallelism: groups))
            return Dictionary(uniqueKeysWithValues: verdicts.map { ($0.name, $0.outcome) })
        }
    }

    /// The layers of the old form are read once, and nothing is built on them; those of the new one are taken over.
    @Test(arguments: [nil, 3000, 1 << 20] as [Int?])
    func layersBesideAConvertedState(budget: Int?) throws {
        let disk = CheckpointStore(root: "root", fileSystem: MemoryFileSystem())
        try disk.prepare()
        var twin: [Int: Row] = [:]
        func change<Number>(_ life: Life<Number>, _ keys: Range<Int>, _ round: Int) throws {
            for key in keys {
                var row = twin[key] ?? Row()
                row.number = Int64(key * round)
                row.texts[round] = "text \(key) \(round)"
                twin[key] = row
                try life.set(key, row)
            }
        }
        func check<Number>(_ life: Life<Number>, _ place: String) throws {
            for key in 0..<210 { #expect(try life.row(of: key) == twin[key] ?? Row(), "\(place), key \(key)") }
        }
        let old = try Life<Int32>(disk, budget: budget)
        try change(old, 0..<200, 1)
        _ = try old.checkpoint(1)
        try change(old, 0..<5, 2)
        #expect(try old.checkpoint(2) > 0)

        let new = try Life<Int64>(disk, budget: budget)
        #expect(try new.restore() == ["number": .migrated, "texts": .kept])
        try change(new, 3..<8, 3)
        let base = try new.checkpoint(3)
        // Without a budget the first snapshot is whole; with one, rows may rest in files of the new form.
        if budget == nil { #expect(base == 0) }
        let files = try #require(try disk.loadLatest()).metadata.files
        #expect(
            files.allSatisfy { !$0.path.hasPrefix("chk-1/") && !$0.path.hasPrefix("chk-2/") }, "\(files.map(\.path))")
        try change(new, 200..<205, 4)
        #expect(try new.checkpoint(4) > 0)
        try check(new, "converted")

        let next = try Life<Int64>(disk, budget: budget)
        #expect(try next.restore() == ["number": .kept, "texts": .kept])
        // What is read counts as changed.
        try change(next, 7..<9, 5)
        #expect(try next.checkpoint(5) > 0)
        try check(next, "taken over")
        let last = try Life<Int64>(disk, budget: nil)
        _ = try last.restore()
        try check(last, "at last")
    }
}
