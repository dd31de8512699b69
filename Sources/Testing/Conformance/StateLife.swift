// SPDX-License-Identifier: Apache-2.0
//  One life of keyed state on trial.

import Thalweg

/// Drives keyed state as tasks do, in one thread under one seed, beside a naive twin.
struct StateLife {
    private static let keys = 300
    private static let batch = 32

    /// A snapshot on its way.
    private struct Waiting {
        let snapshot: RowSnapshot
        let files: [SegmentFile]?
        let checkpoint: Int64
        let rows: [Int: StateRow]
    }

    private let trial: StateConformance
    private let seed: UInt64
    private let budgetBytes: Int
    var random: SeededRandom
    private let disk = CheckpointStore(root: "root", fileSystem: MemoryFileSystem())
    private let names: RunNames
    private var leases = RunLeases()
    let metrics = RowMetrics()
    private(set) var live: StateFixture
    private var backend: StateBackend
    private var opened: [String: any RowStores] = [:]
    private var twin: [Int: StateRow] = [:]
    private var checkpoint: Int64 = 0
    private var durable: (rows: [Int: StateRow], checkpoint: Int64)?
    private var waiting: [Waiting] = []
    private var now: Int64 = 0
    private var at = 0

    init(_ trial: StateConformance, budgetBytes: Int, seed: UInt64) throws {
        self.trial = trial
        self.seed = seed
        self.budgetBytes = budgetBytes
        random = SeededRandom(seed: seed)
        try disk.prepare()
        names = try disk.runNames()
        backend = trial.backends[Int(seed / 4) % trial.backends.count]
        live = try StateFixture(disk, leases, nil, subtask: 0, of: 1)
        live = try make(backend, subtask: 0, of: 1)
    }

    func end() { for stores in opened.values { stores.end() } }

    private mutating func make(_ backend: StateBackend, subtask: Int, of parallelism: Int) throws -> StateFixture {
        var stores: (any RowStores)?
        if case .store(let kind) = backend {
            stores = try opened[kind.name] ?? kind.begin(in: trial.directory)
            opened[kind.name] = stores
        }
        let place = RowPlace(
            store: disk, names: names, leases: leases, budgetBytes: budgetBytes, batchCapacity: Self.batch,
            metrics: metrics, stores: stores, background: { $0() })
        if case .memory = backend { return try StateFixture(disk, leases, nil, subtask: subtask, of: parallelism) }
        return try StateFixture(disk, leases, place, subtask: subtask, of: parallelism)
    }

    func require(_ holds: Bool, _ broken: @autoclosure () -> String) throws(ThalwegError) {
        if holds { return }
        throw ThalwegError(
            .job, "keyed state is not that of its twin",
            detail: "\(broken()); \(backend.name), seed \(seed), step \(at)")
    }

    // MARK: Steps

    mutating func step(_ step: Int) throws {
        at = step
        switch random.next() % 20 {
        case 0..<13: try process()
        case 13: try fire(.processingTime)
        case 14, 15: try fire(.eventTime)
        case 16: try takeCheckpoint()
        case 17: try land()
        case 18: if random.next() % 3 == 0 { try takeSavepoint() }
        default: if random.next() % 4 == 0 { try crash() }
        }
    }

    mutating func finish() throws {
        at = trial.steps
        try live.readAll(Self.keys) { key, found in
            let expected = (twin[key] ?? StateRow()).withoutTimers
            try require(found == expected, "key \(key) has \(found), not \(expected)")
        }
        let queues: [(StateTTL.Domain, (StateRow) -> Set<Int64>)] = [
            (.eventTime, { $0.timers }), (.processingTime, { $0.wakes }),
        ]
        for (domain, times) in queues {
            var fired: [Int: Set<Int64>] = [:]
            for (key, time) in try live.fire(domain, upTo: .max - 1) { fired[key, default: []].insert(time) }
            let expected = twin.mapValues(times).filter { !$0.value.isEmpty }
            try require(fired == expected, "at the end timers fire \(fired), not \(expected)")
        }
    }

    private mutating func process() throws {
        // The large ones come often.
        let keys = (0...random.next() % 24).map { _ in
            Int(random.next() % UInt64(random.next() % 12 == 0 ? Self.largeKeys : Self.keys))
        }
        var numbers = keys.map { _ in Int(random.next() % 1_000) }
        try live.process(keys) { key in
            let number = numbers.removeFirst()
            var row = twin[key] ?? StateRow()
            let found = live.current
            try require(found == row.withoutTimers, "key \(key) has \(found), not \(row)")
            var (timers, wakes): (Set<Int64>, Set<Int64>) = ([], [])
            let sorted = row.sorted
            if number % 5 == 0 {
                row = StateRow(timers: row.timers, wakes: row.wakes)
            } else {
                row.value = number % 2 == 0 ? "value \(number)" : nil
                if number % 3 == 0 { row.list.append(number) }
                if number % 4 == 0 { row.map[number % 7] = "m\(number)" }
                if number % 7 == 0 { row.sorted[number % 11 - 5] = number }
                if number % 8 == 0 { row.count = (row.count ?? 0) + number }
                if number % 6 == 0 { timers.insert(now + Int64(number % 90) + 1) }
                if number % 9 == 0 { wakes.insert(now + Int64(number % 50) + 1) }
            }
            let isLarge = key < Self.largeKeys
            if isLarge { row.sorted = sorted }
            live.set(row, timers: timers, wakes: wakes, keepsSorted: isLarge)
            if isLarge { try changeSorted(&row.sorted) }
            if number % 10 == 1, let time = row.timers.min() {
                live.timers.delete(time: time, slot: live.store.slot)
                row.timers.remove(time)
            }
            row.timers.formUnion(timers)
            row.wakes.formUnion(wakes)
            twin[key] = row.isEmpty ? nil : row
        }
    }

    private mutating func fire(_ domain: StateTTL.Domain) throws {
        now += Int64(random.next() % 60)
        let times: WritableKeyPath<StateRow, Set<Int64>> = domain == .eventTime ? \.timers : \.wakes
        let fired = try live.fire(domain, upTo: now)
        var expected: [Int: Set<Int64>] = [:]
        for (key, row) in twin {
            let due = row[keyPath: times].filter { $0 <= now }
            if due.isEmpty { continue }
            expected[key] = due
            twin[key]?[keyPath: times].subtract(due)
            if twin[key]?.isEmpty == true { twin[key] = nil }
        }
        let found = Dictionary(grouping: fired, by: \.key).mapValues { Set($0.map(\.time)) }
        try require(
            found == expected && fired.count == expected.values.reduce(0) { $0 + $1.count },
            "timers fire \(fired), not \(expected)")
        // Of other backends only those of one key come in order.
        let isOrdered: Bool
        if case .tiered = backend {
            isOrdered = Dictionary(grouping: fired, by: \.key).values.allSatisfy { Self.isOrdered($0) }
        } else {
            isOrdered = Self.isOrdered(fired)
        }
        try require(isOrdered, "timers fire out of order: \(fired)")
    }

    private static func isOrdered(_ fired: [(key: Int, time: Int64)]) -> Bool {
        zip(fired, fired.dropFirst()).allSatisfy { $0.time <= $1.time }
    }

    // MARK: Snapshots

    private mutating func freeze(isSelfContained: Bool) throws -> RowSnapshot? {
        checkpoint += 1
        return try live.store.freezeRows(
            operatorName: StateFixture.name, maxParallelism: StateFixture.maxParallelism, checkpoint: checkpoint,
            isSelfContained: isSelfContained)
    }

    private mutating func takeCheckpoint() throws {
        guard let snapshot = try freeze(isSelfContained: false) else { return }
        let rows = twin
        // It is written while the task goes on.
        let isLate = random.next() % 2 == 0
        if isLate { try process() }
        let files = try live.write(
            snapshot, checkpoint: checkpoint, to: disk, leases, succeeds: random.next() % 4 != 0)
        waiting.append(Waiting(snapshot: snapshot, files: files, checkpoint: checkpoint, rows: rows))
        if random.next() % 2 == 0 { try land() }
    }

    private mutating func land() throws {
        guard !waiting.isEmpty else { return }
        let next = waiting.removeFirst()
        live.store.releaseRows(next.snapshot)
        guard let files = next.files else { return }
        try complete(next.checkpoint, .checkpoint, files)
        durable = (next.rows, next.checkpoint)
    }

    private func complete(_ checkpoint: Int64, _ kind: SnapshotKind, _ files: [SegmentFile]) throws {
        try disk.complete(
            SnapshotMetadata(
                checkpoint: checkpoint, kind: kind.rawValue, timeMilliseconds: 0, jobName: "job",
                maxParallelism: StateFixture.maxParallelism,
                operators: [.init(name: StateFixture.name, parallelism: 1)],
                files: files))
    }

    private mutating func takeSavepoint() throws {
        // As before the last one.
        if random.next() % 3 == 0 { live.store.takeBackRows() }
        guard let snapshot = try freeze(isSelfContained: true) else { return }
        let files = try live.write(snapshot, checkpoint: checkpoint, to: disk, leases, succeeds: true)
        live.store.releaseRows(snapshot)
        guard let files else { return }
        try complete(checkpoint, .savepoint, files)
        try require(
            files.allSatisfy { $0.path.hasPrefix("chk-\(checkpoint)/") }, "a savepoint needs files of others: \(files)")
        try restoreAll(try disk.load("chk-\(checkpoint)"), twin)
        try disk.discard(checkpoint: checkpoint)
    }

    /// Goes on from the newest checkpoint, with another backend.
    private mutating func crash() throws {
        guard durable != nil else { return }
        while !waiting.isEmpty { try land() }
        guard let newest = durable else { return }
        let snapshot = try disk.load("chk-\(newest.checkpoint)")
        try restoreAll(snapshot, newest.rows)
        leases = RunLeases()
        backend = trial.backends[Int(random.next() % UInt64(trial.backends.count))]
        live = try make(backend, subtask: 0, of: 1)
        try live.restore(snapshot)
        twin = newest.rows
    }

    /// Looks whether a snapshot has these rows, by each backend and over several subtasks.
    private mutating func restoreAll(_ snapshot: Snapshot, _ rows: [Int: StateRow]) throws {
        for backend in trial.backends {
            let parallelism = 1 + Int(random.next() % 3)
            var found: [Int: StateRow] = [:]
            for subtask in 0..<parallelism {
                let fixture = try make(backend, subtask: subtask, of: parallelism)
                try fixture.restore(snapshot)
                try fixture.readAll(Self.keys) { key, row in if !row.isEmpty { found[key] = row } }
                for (key, time) in try fixture.fire(.eventTime, upTo: .max - 1) {
                    found[key, default: StateRow()].timers.insert(time)
                }
                for (key, time) in try fixture.fire(.processingTime, upTo: .max - 1) {
                    found[key, default: StateRow()].wakes.insert(time)
                }
            }
            try require(
                found == rows,
                "checkpoint \(checkpoint) restored to \(backend.name) over \(parallelism): "
                    + Self.differences(found, rows))
        }
    }

    private static func differences(_ found: [Int: StateRow], _ rows: [Int: StateRow]) -> String {
        Set(found.keys).union(rows.keys).sorted().filter { found[$0] != rows[$0] }.prefix(3).map { key in
            "key \(key) has \(found[key].map { "\($0)" } ?? "nothing"), not \(rows[key].map { "\($0)" } ?? "nothing")"
        }.joined(separator: "; ")
    }
}
