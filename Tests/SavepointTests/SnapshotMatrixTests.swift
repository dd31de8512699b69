// SPDX-License-Identifier: Apache-2.0
//  What FLIP-47 wants of every kind of snapshot, proved by doing it (47.d1, d2, d4).

import Synchronization
import Testing
import Thalweg
import ThalwegSavepoint
import ThalwegTesting

/// A keyed count whose output is rows of text.
private struct MatrixJob {
    static let numbers: Int64 = 900
    static let keys: Int64 = 23

    let disk: MemoryFileSystem
    var directory = "checkpoints"
    var from: String?
    var parallelism = 2
    var interval: Int64? = 25
    var isUnaligned = false
    var retained = 3
    var claims = false
    var maxParallelism = 128
    var repeatsOutput = false
    /// What happens when so many records have passed.
    var event: (after: Int, body: @Sendable () throws -> Void)?

    struct Tally: Codable, Hashable, Sendable { var key: Int64, count: Int64 }

    static var expected: [Tally: Int] {
        var counts: [Int64: Int64] = [:]
        var rows: [Tally: Int] = [:]
        for number in 0..<numbers {
            counts[number % keys, default: 0] += 1
            rows[Tally(key: number % keys, count: counts[number % keys] ?? 0), default: 0] += 1
        }
        return rows
    }

    private struct Counting: KeyedProcessFunction {
        @State var last = ValueState<Pair>()

        mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Tally>) {
            let count = (last.value?.left ?? 0) + 1
            last.value = Pair(left: count, right: number)
            out.emit(Tally(key: context.key, count: count))
        }
    }

    func make(_ collected: Collected<Tally>) throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.maxParallelism = maxParallelism
        env.settings.batchCapacity = 8
        env.settings.restart = RestartStrategy.none
        var options = CheckpointOptions(directory: directory, fileSystem: disk, from: from)
        options.settings.interval = interval
        options.settings.retained = retained
        options.settings.alignmentTimeout = isUnaligned ? 0 : nil
        options.claims = claims
        options.repeatsOutput = repeatsOutput
        env.settings.checkpoints = options
        let passed = Mutex(0)
        let event = event
        let numbers = env.read(GeneratedSource(0..<Self.numbers) { $0 }, name: "numbers").map { number in
            let count = passed.withLock { passed in
                passed += 1
                return passed
            }
            if let event, count == event.after { try event.body() }
            return number
        }
        try numbers.keyed { $0 % Self.keys }.process(Counting(), name: "counting")
            .write(to: .collect(collected, visible: .whenCommitted), name: "rows")
        return try env.makeExecution()
    }

    static func scheduler(_ seed: UInt64) -> StepScheduler {
        StepScheduler(seed: seed, afterStep: { $0.advance(to: $0.now + 1) })
    }

    /// Runs to the end.
    @discardableResult
    func run(seed: UInt64 = 3) async throws -> [Tally: Int] {
        let collected = Collected<Tally>()
        try await make(collected).run(on: Self.scheduler(seed))
        return collected.elements.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }
}

/// The kinds of snapshots.
private enum Kind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case checkpoint, unaligned, savepoint, suspend, drain, final

    var testDescription: String { rawValue }
    var isCommitting: Bool { self != .savepoint }
    var endsTheJob: Bool { self == .final }
}

@Suite struct SnapshotMatrixTests {
    /// A snapshot of a kind, with the rows that were committed up to it.
    private func take(_ kind: Kind) async throws -> (
        disk: MemoryFileSystem, path: String, committed: [MatrixJob.Tally: Int]
    ) {
        let disk = MemoryFileSystem()
        var job = MatrixJob(disk: disk)
        let collected = Collected<MatrixJob.Tally>()
        job.isUnaligned = kind == .unaligned
        switch kind {
        case .checkpoint, .unaligned: job.event = (700, { throw Mishap() })
        case .savepoint, .suspend, .drain:
            // Checkpoints of the timer would come in between.
            job.interval = nil
        case .final: break
        }
        let box = Mutex<JobExecution?>(nil)
        let asked = Mutex<Task<SnapshotReport, any Error>?>(nil)
        if kind == .savepoint || kind == .suspend || kind == .drain {
            job.event = (
                450,
                {
                    guard let execution = box.withLock({ $0 }) else { return }
                    asked.withLock {
                        $0 = Task {
                            switch kind {
                            case .savepoint: try await execution.savepoint()
                            case .suspend: try await execution.stop(.suspend)
                            default: try await execution.stop(.drain)
                            }
                        }
                    }
                }
            )
        }
        let execution = try job.make(collected)
        box.withLock { $0 = execution }
        let heard = Mutex(false)
        let observer = MatrixObserver(
            hear: { if $0.hasPrefix("a wish") { heard.withLock { $0 = true } } },
            // Records wait until the wish has come from its thread.
            decide: { turn in
                guard asked.withLock({ $0 != nil }), !heard.withLock({ $0 }), case .task = turn else { return .go }
                return .skip
            })
        let scheduler = StepScheduler(seed: 4, afterStep: { $0.advance(to: $0.now + 1) }, observer: observer)
        if kind == .checkpoint || kind == .unaligned {
            await #expect(throws: (any Error).self) { try await execution.run(on: scheduler) }
        } else {
            try await execution.run(on: scheduler)
        }
        let store = CheckpointStore(root: "checkpoints", fileSystem: disk)
        let wanted = kind == .unaligned ? SnapshotKind.checkpoint.rawValue : kind.rawValue
        let found = try #require(try store.list().first { $0.metadata?.kind == wanted }, "\(kind)")
        // Rows that were committed after a savepoint belong to the rest of that run.
        let committed = kind == .savepoint ? [:] : collected.elements.reduce(into: [:]) { $0[$1, default: 0] += 1 }
        return (disk, found.path, committed)
    }

    /// What is published by a job that starts from a snapshot, with what had been before, is what an undisturbed one
    /// publishes; of a savepoint, the rows that stood in it prepared or not.
    private func goesOn(
        _ kind: Kind, _ disk: MemoryFileSystem, _ path: String, _ committed: [MatrixJob.Tally: Int],
        _ change: (inout MatrixJob) -> Void = { _ in }
    ) async throws {
        let directory = (0...).lazy.map { "next-\($0)" }.first { !disk.isDirectory($0) } ?? "next"
        var job = MatrixJob(disk: disk, directory: directory, from: path)
        // The job went on behind the savepoint and published more.
        job.repeatsOutput = kind == .savepoint
        change(&job)
        var rows = try await job.run()
        rows.merge(committed, uniquingKeysWith: +)
        #expect(rows == MatrixJob.expected, "\(kind) \(path)")
    }

    private func copyTree(_ disk: MemoryFileSystem, _ from: String, _ to: String) {
        for path in disk.paths where path.hasPrefix(from + "/") { disk[to + path.dropFirst(from.count)] = disk[path] }
    }

    private func removeTree(_ disk: MemoryFileSystem, _ path: String) {
        for file in disk.paths where file.hasPrefix(path + "/") { disk[file] = nil }
    }

    @Test(arguments: Kind.allCases)
    fileprivate func everyCell(kind: Kind) async throws {
        let (disk, path, committed) = try await take(kind)
        let reader = try SavepointReader(path, fileSystem: disk)
        let shown = Dictionary(uniqueKeysWithValues: reader.properties.map { ($0.name, $0.value) })

        // What is shown.
        #expect(shown["commitsOutput"] == .bool(kind.isCommitting))
        #expect(shown["restoredAsLatest"] == .bool(kind.isCommitting))
        #expect(shown["holdsRecordsInFlight"] == .bool(kind == .unaligned))
        let isAutomatic = kind == .checkpoint || kind == .unaligned || kind == .final
        #expect(shown["trigger"] == .string(isAutomatic ? "automatic" : "request"))
        let isJobs = kind == .checkpoint || kind == .unaligned
        #expect(shown["owner"] == .string(isJobs ? "job" : "user") && shown["removedByTheJob"] == .bool(isJobs))
        #expect(
            shown["selfContained"]
                == .bool(reader.metadata.files.allSatisfy { $0.path.hasPrefix("chk-\(reader.metadata.checkpoint)/") }))
        // Used for recovery.
        let latest = try CheckpointStore(root: "checkpoints", fileSystem: disk).loadLatest()
        #expect((latest?.path == reader.path) == kind.isCommitting)

        // The tool reads it, and what it writes goes on.
        #expect(try reader.verify().isEmpty)
        var writer = SavepointWriter(reader)
        try writer.write(to: "exported")
        #expect(try SavepointReader("exported", fileSystem: disk).isSelfContained)
        writer = SavepointWriter(reader)
        try writer.set(
            .record([.init("left", .integer(0)), .init("right", .integer(0))]),
            at: [.init("key", .integer(10_000))], of: "last", in: "counting")
        try writer.write(to: "changed")

        // Schema evolution, forth and back.
        writer = SavepointWriter(reader)
        var edit = EntryEdit()
        edit.assignments = ["left = string(left)"]
        try writer.transform("last", in: "counting", edit)
        try writer.write(to: "texts")
        await #expect(throws: ThalwegError.self) {
            try await MatrixJob(disk: disk, directory: "refused", from: "texts").run()
        }
        writer = SavepointWriter(try SavepointReader("texts", fileSystem: disk))
        edit.assignments = ["left = int64(left)"]
        try writer.transform("last", in: "counting", edit)
        try writer.write(to: "numbers")

        guard !kind.endsTheJob else {
            // Nothing is left to do.
            for from in [path, "exported", "changed", "numbers"] {
                let rows = try await MatrixJob(disk: disk, directory: "next-\(from)", from: from).run()
                #expect(rows.isEmpty, "\(kind) \(from)")
            }
            return
        }
        let before = kind == .savepoint ? try await upTo(reader) : committed
        for from in [path, "exported", "changed", "numbers"] { try await goesOn(kind, disk, from, before) }
        // Rescaling.
        for parallelism in [1, 3, 4] { try await goesOn(kind, disk, path, before) { $0.parallelism = parallelism } }
        // Relocation: one directory by itself, if it is self-contained, else with all the others.
        copyTree(disk, "checkpoints", "moved/elsewhere")
        let moved = "moved/elsewhere/" + (path.split(separator: "/").last ?? "")
        if reader.isSelfContained { copyTree(disk, path, "alone") }
        removeTree(disk, "checkpoints")
        try await goesOn(kind, disk, moved, before)
        if reader.isSelfContained { try await goesOn(kind, disk, "alone", before) }
    }

    /// The rows that belong before a savepoint: counts up to what is stored.
    private func upTo(_ reader: SavepointReader) async throws -> [MatrixJob.Tally: Int] {
        var rows: [MatrixJob.Tally: Int] = [:]
        struct Entry: Codable { var key: Int64, value: Pair }
        try reader.forEachRow(of: "last", in: "counting", as: Entry.self) { entry in
            for count in 1...entry.value.left { rows[.init(key: entry.key, count: count), default: 0] += 1 }
        }
        return rows
    }

    // MARK: Restore modes

    private func failing(_ job: MatrixJob, after count: Int) async throws {
        var job = job
        job.event = (count, { throw Mishap() })
        let execution = try job.make(Collected())
        await #expect(throws: (any Error).self) { try await execution.run(on: MatrixJob.scheduler(7)) }
    }

    /// Without a claim the snapshot is never touched, two jobs start from it, and each lives on without it.
    @Test func notClaimed() async throws {
        let (disk, path, _) = try await take(.suspend)
        let before = disk.paths.filter { $0.hasPrefix("checkpoints/") }.map { ($0, disk[$0]) }
        let jobs = ["first", "second"].map { MatrixJob(disk: disk, directory: $0, from: path) }
        for job in jobs { try await failing(job, after: 300) }
        #expect(before.allSatisfy { disk[$0.0] == $0.1 })
        removeTree(disk, "checkpoints")
        for var job in jobs {
            let kept = try #require(try CheckpointStore(root: job.directory, fileSystem: disk).loadLatest())
            try kept.verify()
            job.from = "latest"
            let rows = try await job.run()
            // The end of the count is reached by every key.
            let last = MatrixJob.expected.keys.reduce(into: [Int64: Int64]()) {
                $0[$1.key] = max($0[$1.key] ?? 0, $1.count)
            }
            let ends = rows.keys.reduce(into: [Int64: Int64]()) { $0[$1.key] = max($0[$1.key] ?? 0, $1.count) }
            #expect(ends == last)
        }
    }

    /// A claimed snapshot has one owner, which removes it as soon as it has a checkpoint of its own.
    @Test func claimed() async throws {
        let (disk, path, committed) = try await take(.suspend)
        var job = MatrixJob(disk: disk, directory: "first", from: path)
        job.claims = true
        // Fails before its first checkpoint: the snapshot is there still, and taken.
        job.interval = nil
        try await failing(job, after: 3)
        #expect(disk.paths.contains(path + "/_metadata"))
        var other = MatrixJob(disk: disk, directory: "second", from: path)
        other.claims = true
        let error = await #expect(throws: ThalwegError.self) { try await other.run() }
        #expect(error?.primary == "another job has claimed the snapshot")
        other.claims = false
        try await goesOn(.suspend, disk, path, committed)
        // Goes on by itself, and takes its place.
        job.from = "latest"
        job.interval = 25
        job.claims = false
        var rows = try await job.run()
        rows.merge(committed, uniquingKeysWith: +)
        #expect(rows == MatrixJob.expected)
        #expect(!disk.paths.contains { $0.hasPrefix(path + "/") || $0.hasPrefix("first/_claim") })
    }

    /// A checkpoint that is given to the user while its job runs is not removed by it.
    @Test func givenToTheUser() async throws {
        let disk = MemoryFileSystem()
        let given = Mutex<String?>(nil)
        var job = MatrixJob(disk: disk)
        job.retained = 1
        job.event = (
            400,
            {
                let store = CheckpointStore(root: "checkpoints", fileSystem: disk)
                guard let newest = try store.list().first else { return }
                try store.give(newest.path, to: .user)
                given.withLock { $0 = newest.path }
            }
        )
        try await job.run()
        let path = try #require(given.withLock { $0 })
        let kept = try SavepointReader(path, fileSystem: disk)
        #expect(try kept.owner == .user && kept.verify().isEmpty)
        #expect(try CheckpointStore(root: "checkpoints", fileSystem: disk).list().count > 1)
    }
}

/// Decides which turns are taken, and hears what happens.
private final class MatrixObserver: StepObserver {
    let wantsNotes = true
    private let hear: @Sendable (String) -> Void
    private let decide: @Sendable (StepTurn) -> StepDecision

    init(hear: @escaping @Sendable (String) -> Void, decide: @escaping @Sendable (StepTurn) -> StepDecision) {
        self.hear = hear
        self.decide = decide
    }

    func willTake(_ turn: StepTurn) -> StepDecision { decide(turn) }
    func didTake(_ turn: StepTurn, _ result: PollResult) {}
    func note(_ text: String) { hear(text) }
}
