// SPDX-License-Identifier: Apache-2.0
//  Savepoints of jobs by each backend, started from by each other one (41.d1, 50.d6).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

/// State of every kind, with what it gives shown by each record.
private struct Ledger: KeyedProcessFunction {
    struct Entry: Codable, Hashable, Sendable { var number: Int64, text: String }

    @State var last = ValueState<Entry>()
    @State var all = ListState<Int64>()
    @State var byRest = MapState<String, Int64>()
    @State var byTime = SortedMapState<EventTime, Int64>()
    @State var folded = ReducingState<Int64> { $0 + $1 }
    @State var counted = AggregatingState(Count<Int64>())
    @State var recent = ValueState<Int64>(ttl: StateTTL(.milliseconds(200), domain: .eventTime))
    @State var seen = MapState<Int64, Int64>(ttl: StateTTL(.milliseconds(150), domain: .eventTime))

    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        let before = last.value
        last.value = Entry(number: number, text: "number \(number)")
        all.append(number)
        byRest["rest \(number % 5)", default: 0] += 1
        byTime[EventTime(milliseconds: number / 100 * 100 - 300), default: 0] += 1
        folded.add(number % 7)
        counted.add(number)
        let lately = recent.value ?? -1
        recent.value = number
        seen[number % 3] = number
        var living = 0
        seen.forEach { _, _ in living += 1 }
        context.registerEventTimeTimer(at: EventTime(milliseconds: number + 250))
        // That of the last record of this key, which is not due yet.
        if number % 4 == 0, let before {
            context.deleteEventTimeTimer(at: EventTime(milliseconds: before.number + 250))
        }
        let sorted = byTime.entries.map { "\($0.key.milliseconds)=\($0.value)" }.joined(separator: ",")
        out.emit(
            "\(number): \(before?.text ?? "-") \(all.values.count) \(byRest["rest \(number % 5)"] ?? 0) \(sorted) "
                + "\(folded.value ?? 0) \(counted.value) \(lately) \(living)")
        if number % 29 == 0 {
            last.clear()
            all.clear()
            byRest.clear()
        }
    }

    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<String>
    ) {
        out.emit("timer of \(context.key) at \(time.milliseconds)")
    }
}

/// Emits numbers once they have waited in processing time, but for the last ones, which the end may overtake.
private struct Waiting: KeyedProcessFunction {
    @State var waiting = ListState<Int64>()

    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        if number >= MatrixJob.numbers / 2 { return }
        waiting.append(number)
        context.registerProcessingTimeTimer(at: EventTime(milliseconds: context.processingTime.milliseconds + 40))
    }

    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<String>
    ) {
        for number in waiting.values { out.emit("waited \(number)") }
        waiting.clear()
    }
}

private struct MatrixJob {
    static let numbers: Int64 = 1_500
    static let keys: Int64 = 97

    let disk: MemoryFileSystem
    let backend: StateBackend
    var parallelism = 2
    var directory = "checkpoints"
    var from: String?
    /// Called with the number of records that have passed.
    var pass: @Sendable (Int) throws -> Void = { _ in }

    func make(_ rows: Collected<String>, restart: RestartStrategy = .none) throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.batchCapacity = 8
        env.settings.restart = restart
        env.settings.state.backend = backend
        // Some rows for each of the tasks.
        env.settings.state.budgetBytes = 16 << 10
        var options = CheckpointOptions(directory: directory, fileSystem: disk, from: from)
        options.settings.interval = 20
        options.repeatsOutput = true
        env.settings.checkpoints = options
        let passed = Mutex(0)
        let pass = pass
        // One reader, so that the records of a key keep their order.
        let source = env.read(GeneratedSource(0..<Self.numbers) { $0 }, name: "numbers").parallelism(1)
        let numbers = source.map { number in
            try pass(
                passed.withLock { passed in
                    passed += 1
                    return passed
                })
            return number
        }.parallelism(1)
            .timestamps(by: { EventTime(milliseconds: $0) }, watermark: .boundedOutOfOrderness(.milliseconds(5)))
            .parallelism(1)
        let keyed = try numbers.keyed { $0 * 7_919 % Self.keys }
        keyed.process(Ledger(), name: "ledger").union(keyed.process(Waiting(), name: "waiting"))
            .write(to: .collect(rows, visible: .whenCommitted), name: "rows")
        return try env.makeExecution()
    }

    static func scheduler(from time: Int64 = 0, _ observer: (any StepObserver)? = nil) -> StepScheduler {
        let clock = ManualClock()
        clock.advance(to: time)
        return StepScheduler(seed: 5, clock: clock, afterStep: { $0.advance(to: $0.now + 1) }, observer: observer)
    }

    static func counted(_ rows: Collected<String>) -> [String: Int] {
        rows.elements.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }
}

@Suite struct BackendMatrixTests {
    /// The rows of a run that nothing disturbs, all in memory.
    private func undisturbed() async throws -> [String: Int] {
        let rows = Collected<String>()
        let execution = try MatrixJob(disk: MemoryFileSystem(), backend: .memory).make(rows)
        try await execution.run(on: MatrixJob.scheduler())
        return MatrixJob.counted(rows)
    }

    /// Stops in the middle with a snapshot.
    private func stopped(_ backend: Backend) async throws -> (
        disk: MemoryFileSystem, path: String, rows: [String: Int], metrics: RowMetrics
    ) {
        let disk = MemoryFileSystem()
        let rows = Collected<String>()
        var job = MatrixJob(disk: disk, backend: backend.backend)
        let box = Mutex<JobExecution?>(nil)
        let asked = Mutex<Task<SnapshotReport, any Error>?>(nil)
        job.pass = { count in
            guard count == 700, let execution = box.withLock({ $0 }) else { return }
            asked.withLock { $0 = Task { try await execution.stop(.suspend) } }
        }
        let execution = try job.make(rows)
        box.withLock { $0 = execution }
        let heard = Mutex(false)
        let observer = Holdup(
            hear: { if $0.hasPrefix("a wish") { heard.withLock { $0 = true } } },
            // Records wait until the wish has come from its thread.
            isHeld: { asked.withLock { $0 != nil } && !heard.withLock { $0 } })
        try await execution.run(on: MatrixJob.scheduler(observer))
        let stop = try #require(asked.withLock { $0 })
        let report = try await stop.value
        return (disk, try #require(report.path), MatrixJob.counted(rows), execution.metrics.rows)
    }

    @Test(arguments: Backend.all)
    func eachGoesOnFromEachOther(_ writer: Backend) async throws {
        let expected = try await undisturbed()
        let (disk, path, committed, metrics) = try await stopped(writer)
        #expect(committed.count > 500 && committed.count < expected.count)
        if writer.description != "memory" {
            #expect(metrics.evicted.value > 0 && metrics.loaded.value > 0, "\(writer)")
        }
        for reader in Backend.all {
            for parallelism in [1, 2, 3] {
                var job = MatrixJob(disk: disk, backend: reader.backend, parallelism: parallelism)
                job.directory = "next-\(reader)-\(parallelism)"
                job.from = path
                let rows = Collected<String>()
                let execution = try job.make(rows)
                try await execution.run(on: MatrixJob.scheduler(from: 1_000_000))
                let found = MatrixJob.counted(rows).merging(committed, uniquingKeysWith: +)
                #expect(
                    found == expected,
                    """
                    \(writer) to \(reader) over \(parallelism): \
                    missing \(expected.filter { found[$0.key] != $0.value }.keys.sorted().prefix(3)), \
                    too many \(found.filter { expected[$0.key] != $0.value }.keys.sorted().prefix(3))
                    """)
            }
        }
    }

    /// Failures on the way: restarts go on from layers, into stores that are new.
    @Test(arguments: Backend.all)
    func failuresChangeNothing(_ backend: Backend) async throws {
        let expected = try await undisturbed()
        let rows = Collected<String>()
        var job = MatrixJob(disk: MemoryFileSystem(), backend: backend.backend)
        struct Mishap: Error {}
        job.pass = { count in if count % 400 == 0 { throw Mishap() } }
        let execution = try job.make(rows, restart: .fixedDelay(attempts: 10, delay: 1))
        try await execution.run(on: MatrixJob.scheduler())
        #expect(MatrixJob.counted(rows) == expected && execution.checkpoints.failovers.value > 2)
    }
}

/// Holds the tasks up until something has been heard.
private final class Holdup: StepObserver {
    let wantsNotes = true
    private let hear: @Sendable (String) -> Void
    private let isHeld: @Sendable () -> Bool

    init(hear: @escaping @Sendable (String) -> Void, isHeld: @escaping @Sendable () -> Bool) {
        self.hear = hear
        self.isHeld = isHeld
    }

    func willTake(_ turn: StepTurn) -> StepDecision {
        if case .task = turn, isHeld() { return .skip }
        return .go
    }
    func didTake(_ turn: StepTurn, _ result: PollResult) {}
    func note(_ text: String) { hear(text) }
}
