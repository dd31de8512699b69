// SPDX-License-Identifier: Apache-2.0
//  Rows that leave memory and come back, against a naive twin.

import Testing
import ThalwegBase
import ThalwegData
import ThalwegState
import ThalwegStorage
import ThalwegTesting

@Suite struct RowTierTests {
    /// What one key holds.
    private struct Row: Equatable {
        var value: String?
        var list: [Int] = []
        var map: [Int: String] = [:]
        var timers: Set<Int64> = []

        var isEmpty: Bool { value == nil && list.isEmpty && map.isEmpty && timers.isEmpty }
    }

    /// A store with a state of each kind, on a disk in memory.
    private final class Fixture {
        static let maxParallelism = 16

        let store: KeyedStore<Int>
        let value = ValueState<String>()
        let list = ListState<Int>()
        let map = MapState<Int, String>()
        let timers = TimerQueue()
        let disk: CheckpointStore
        let metrics = RowMetrics()
        let leases: RunLeases
        var snapshots: [RowSnapshot] = []

        init(_ disk: CheckpointStore, _ leases: RunLeases, names: RunNames, budget: Int, batch: Int = 32) throws {
            self.disk = disk
            self.leases = leases
            store = try KeyedStore(.learn())
            let owner = RowOwner(
                operatorName: "fixture", subtask: 0, keyGroups: 0..<Self.maxParallelism,
                maxParallelism: Self.maxParallelism)
            store.keepLayers(RowLayers(owner, root: disk.root, leases: leases))
            store.rest(
                in: RowPlace(
                    store: disk, names: names, leases: leases, budgetBytes: budget, batchCapacity: batch,
                    metrics: metrics, background: { $0() }))
            try store.register(TimerQueue.eventName, timers)
            try value.bind("value", to: store)
            try list.bind("list", to: store)
            try map.bind("map", to: store)
        }

        /// Calls `body` with each key, its slot being the current one.
        func process(_ keys: [Int], _ body: (Int) -> Void) throws {
            var slots = Array(repeating: Int32(0), count: keys.count)
            store.resolve(keys, hashes: keys.map { store.hasher.hash($0) }, count: keys.count, into: &slots)
            try store.noteResolved(slots, count: keys.count)
            for (slot, key) in zip(slots, keys) {
                store.slot = Int(slot)
                body(key)
            }
            for slot in slots { store.releaseIfEmpty(Int(slot)) }
            store.releaseUnused()
            try store.makeRoom()
        }

        func row(of key: Int) throws -> Row {
            var row = Row()
            try process([key]) { _ in
                row.value = value.value
                row.list = list.values
                map.forEach { row.map[$0] = $1 }
            }
            return row
        }

        /// Writes a snapshot as a checkpoint would.
        func write(_ snapshot: RowSnapshot, checkpoint: Int64, succeeds: Bool) throws -> [SegmentFile]? {
            guard succeeds else {
                snapshot.layer.failed()
                return nil
            }
            var files: [SegmentFile] = []
            for layer in snapshot.base {
                guard let file = try layer.file() else { continue }
                try layer.sync()
                files.append(snapshot.isSelfContained ? try disk.copy(file.file, into: checkpoint) : file.file)
            }
            var file = try disk.writeSegment(
                checkpoint: checkpoint, name: "rows", operators: ["fixture"], subtask: 0, parts: snapshot.parts,
                isCancelled: { false })
            file?.sequence = snapshot.layer.sequence
            snapshot.layer.written(file.map { HeldSegment($0, leases.take($0.path)) })
            if let file { files.append(file) }
            return files
        }
    }

    private func metadata(_ checkpoint: Int64, _ kind: SnapshotKind, _ files: [SegmentFile]) -> SnapshotMetadata {
        SnapshotMetadata(
            checkpoint: checkpoint, kind: kind.rawValue, timeMilliseconds: 0, jobName: "job",
            maxParallelism: Fixture.maxParallelism, operators: [.init(name: "fixture", parallelism: 1)], files: files)
    }

    @Test(arguments: 0..<24 as Range<UInt64>)
    func rowsAreThoseOfATwin(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let disk = CheckpointStore(root: "root", fileSystem: MemoryFileSystem())
        try disk.prepare()
        let names = try disk.runNames()
        let budget = [2_000, 8_000, 60_000, 10_000_000][Int(seed % 4)]
        var leases = RunLeases()
        var live = try Fixture(disk, leases, names: names, budget: budget)
        var twin: [Int: Row] = [:]
        var checkpoint: Int64 = 0
        var durable: (rows: [Int: Row], checkpoint: Int64)?
        var waiting: [(snapshot: RowSnapshot, files: [SegmentFile]?, checkpoint: Int64, rows: [Int: Row])] = []
        var now: Int64 = 0

        func land() throws {
            guard !waiting.isEmpty else { return }
            let next = waiting.removeFirst()
            live.store.releaseRows(next.snapshot)
            guard let files = next.files else { return }
            try disk.complete(metadata(next.checkpoint, .checkpoint, files))
            durable = (next.rows, next.checkpoint)
        }

        for step in 0..<400 {
            switch random.next() % 20 {
            case 0..<14:
                let keys = (0..<Int.random(in: 1...24, using: &random)).map { _ in Int(random.next() % 300) }
                let numbers = keys.map { _ in Int(random.next() % 1_000) }
                var index = 0
                try live.process(keys) { key in
                    let number = numbers[index]
                    index += 1
                    var row = twin[key] ?? Row()
                    let found = (live.value.value, live.list.values)
                    #expect(
                        found == (row.value, row.list), "seed \(seed) step \(step) key \(key): \(found), not \(row)")
                    if number % 5 == 0 {
                        live.value.clear()
                        live.list.clear()
                        live.map.clear()
                        row.value = nil
                        row.list = []
                        row.map = [:]
                    } else {
                        live.value.value = "value \(number)"
                        row.value = "value \(number)"
                        if number % 3 == 0 {
                            live.list.append(number)
                            row.list.append(number)
                        }
                        if number % 4 == 0 {
                            live.map[number % 7] = "m\(number)"
                            row.map[number % 7] = "m\(number)"
                        }
                        if number % 6 == 0 {
                            let time = now + Int64(number % 90) + 1
                            live.timers.register(time: time, slot: live.store.slot)
                            row.timers.insert(time)
                        }
                    }
                    twin[key] = row.isEmpty ? nil : row
                }
            case 14, 15:
                now += Int64(random.next() % 60)
                // Timers that are due, of all keys, also of those at rest.
                var isMore = live.store.nextTimeAtRest(.eventTime) <= now
                var fired: [Int: Set<Int64>] = [:]
                repeat {
                    if isMore { isMore = try live.store.wake(.eventTime, upTo: now) }
                    var slots: [Int] = []
                    while let timer = live.timers.popDue(now) {
                        live.store.select(Int(timer.slot))
                        fired[live.store.currentKey, default: []].insert(timer.time)
                        slots.append(Int(timer.slot))
                    }
                    for slot in slots { live.store.releaseIfEmpty(slot) }
                    try live.store.makeRoom()
                } while isMore
                var expected: [Int: Set<Int64>] = [:]
                for (key, row) in twin {
                    let due = row.timers.filter { $0 <= now }
                    if due.isEmpty { continue }
                    expected[key] = due
                    twin[key]?.timers.subtract(due)
                    if twin[key]?.isEmpty == true { twin[key] = nil }
                }
                #expect(fired == expected, "seed \(seed) step \(step)")
            case 16:
                checkpoint += 1
                guard
                    let snapshot = live.store.freezeRows(
                        operatorName: "fixture", maxParallelism: Fixture.maxParallelism, checkpoint: checkpoint,
                        isSelfContained: false)
                else { continue }
                let isBaseThere = snapshot.base.allSatisfy { (try? $0.file()) != nil }
                let files = try live.write(
                    snapshot, checkpoint: checkpoint, succeeds: isBaseThere && random.next() % 4 != 0)
                waiting.append((snapshot, files, checkpoint, twin))
                if random.next() % 2 == 0 { try land() }
            case 17: try land()
            case 18:
                checkpoint += 1
                guard random.next() % 3 == 0,
                    let snapshot = live.store.freezeRows(
                        operatorName: "fixture", maxParallelism: Fixture.maxParallelism, checkpoint: checkpoint,
                        isSelfContained: true)
                else { continue }
                guard snapshot.base.allSatisfy({ (try? $0.file()) != nil }) else {
                    live.store.releaseRows(snapshot)
                    continue
                }
                let files = try live.write(snapshot, checkpoint: checkpoint, succeeds: true) ?? []
                live.store.releaseRows(snapshot)
                try disk.complete(metadata(checkpoint, .savepoint, files))
                try expect(twin, in: disk.load("chk-\(checkpoint)"), "seed \(seed) step \(step), savepoint")
                #expect(files.allSatisfy { $0.path.hasPrefix("chk-\(checkpoint)/") })
                try disk.discard(checkpoint: checkpoint)
            default:
                guard random.next() % 4 == 0, let last = durable else { continue }
                while !waiting.isEmpty { try land() }
                guard let newest = durable, newest.checkpoint >= last.checkpoint else { continue }
                let snapshot = try disk.load("chk-\(newest.checkpoint)")
                try expect(newest.rows, in: snapshot, "seed \(seed) step \(step)")
                // Goes on from it, as after a crash.
                leases = RunLeases()
                live = try Fixture(disk, leases, names: names, budget: budget)
                let state = try #require(try snapshot.restoredState(of: "fixture"))
                try live.store.restore(
                    from: KeyedRestore(
                        operatorName: "fixture", state: state, keyGroups: 0..<Fixture.maxParallelism,
                        maxParallelism: Fixture.maxParallelism))
                twin = newest.rows
            }
        }
        for key in 0..<300 {
            var expected = twin[key] ?? Row()
            expected.timers = []
            #expect(try live.row(of: key) == expected, "seed \(seed) key \(key)")
        }
        if budget <= 8_000 { #expect(live.metrics.evicted.value > 0) }
    }

    private func expect(_ rows: [Int: Row], in snapshot: Snapshot, _ place: String) throws {
        let state = try #require(try snapshot.restoredState(of: "fixture"))
        let store = try KeyedStore<Int>(.learn())
        let (value, list, map) = (ValueState<String>(), ListState<Int>(), MapState<Int, String>())
        let timers = TimerQueue()
        try store.register(TimerQueue.eventName, timers)
        try value.bind("value", to: store)
        try list.bind("list", to: store)
        try map.bind("map", to: store)
        try store.restore(
            from: KeyedRestore(
                operatorName: "fixture", state: state, keyGroups: 0..<Fixture.maxParallelism,
                maxParallelism: Fixture.maxParallelism))
        var found: [Int: Row] = [:]
        for slot in 0..<store.table.slotLimit where store.table.isUsed(slot) {
            store.slot = slot
            var row = Row(value: value.value, list: list.values)
            map.forEach { row.map[$0] = $1 }
            found[store.currentKey] = row
        }
        while let timer = timers.popDue(.max) { found[store.table.key(at: Int(timer.slot))]?.timers.insert(timer.time) }
        #expect(found == rows, "\(place)")
    }
}
