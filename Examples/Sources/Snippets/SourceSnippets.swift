// SPDX-License-Identifier: Apache-2.0
//  The code of "Sources and sinks": a source and a sink of one's own.

import Synchronization
import Thalweg

/// Counts from 0 up to a limit, once for each name.
struct Counters: Source {
    let kind = "counters"
    let boundedness = Boundedness.bounded
    var names: [String]
    var limit: Int64

    func makeEnumerator() throws -> FixedSplits<CounterSplit> {
        try FixedSplits(names.map { CounterSplit(id: $0, next: 0) }, assignment: .push)
    }

    func makeReader(_ context: SourceReaderContext) -> CounterReader { CounterReader(limit: limit) }
}

/// One counter, and where it stands.
struct CounterSplit: SourceSplit {
    var id: String
    var next: Int64
}

/// Reads the counters of one subtask, a batch of each in turn.
final class CounterReader: SourceReader {
    private let limit: Int64
    private var splits: [AssignedSplit<CounterSplit>] = []
    private var paused: Set<Int32> = []
    private var isComplete = false

    init(limit: Int64) { self.limit = limit }

    func addSplits(_ splits: [AssignedSplit<CounterSplit>]) { self.splits += splits }
    func noMoreSplits() { isComplete = true }
    func pause(_ splits: Set<Int32>) { paused = splits }
    func snapshot() -> [CounterSplit] { splits.map(\.split) }

    func poll(into batch: Batch<Int64>) -> ReadStatus {
        guard let index = splits.firstIndex(where: { !paused.contains($0.number) }) else {
            return splits.isEmpty && isComplete ? .finished : .nothing
        }
        var current = splits.remove(at: index)
        if current.split.next >= limit { return .splitFinished(current.number) }
        while !batch.isFull && current.split.next < limit {
            batch.append(current.split.next, time: EventTime.min.milliseconds)
            current.split.next += 1
        }
        batch.split = current.number
        splits.append(current)
        return .records
    }
}

/// Where sums are published.
final class Total: Sendable {
    private let sum = Mutex<Int64>(0)
    var value: Int64 { sum.withLock { $0 } }
    func add(_ number: Int64) { sum.withLock { $0 += number } }
}

/// Adds up numbers; what was added is published checkpoint by checkpoint, or when the whole job has succeeded.
struct TotalSink: Sink {
    typealias Element = Int64
    let kind = "total"
    var total: Total

    func makeWriter(_ context: SinkContext) -> Writer { Writer(total) }

    final class Writer: SinkWriter {
        private let total: Total
        private var sum: Int64 = 0

        init(_ total: Total) { self.total = total }

        func write(_ batch: Batch<Int64>) {
            for index in 0..<batch.count { sum += batch.rows[index] }
        }

        func prepare(_ request: PrepareRequest) -> PreparedOutput<NoCommittable, NoWriterState> {
            let (total, sum) = (total, sum)
            self.sum = 0
            return PreparedOutput(publish: SinkCommit("total", commit: { total.add(sum) }))
        }
    }
}

/// A store that takes entries under a name, each name once: the second time changes nothing.
final class Ledger: Sendable {
    private let entries = Mutex<[(name: String, numbers: [Int64])]>([])
    var numbers: [Int64] { entries.withLock { $0.flatMap(\.numbers) } }
    func put(_ name: String, _ numbers: [Int64]) {
        entries.withLock { if !$0.contains(where: { $0.name == name }) { $0.append((name, numbers)) } }
    }
}

/// Writes to a ledger, each number exactly once.
struct LedgerSink: Sink {
    struct Entry: Codable, Sendable { var name: String, numbers: [Int64] }

    let kind = "ledger"
    var ledger: Ledger

    func makeWriter(_ context: SinkContext) -> Writer { Writer(subtask: context.subtask) }

    func commit(_ entries: [Entry]) {
        for entry in entries { ledger.put(entry.name, entry.numbers) }
    }

    final class Writer: SinkWriter {
        private let subtask: Int
        private var numbers: [Int64] = []

        init(subtask: Int) { self.subtask = subtask }

        func write(_ batch: Batch<Int64>) {
            for index in 0..<batch.count { numbers.append(batch.rows[index]) }
        }

        func prepare(_ request: PrepareRequest) -> PreparedOutput<Entry, NoWriterState> {
            defer { numbers = [] }
            return PreparedOutput(
                committables: [Entry(name: "\(request.checkpoint)-\(subtask)", numbers: numbers)])
        }
    }
}

enum SourceSnippets {
    static func moreSinks(_ bids: DataStream<Bid>) throws {
        try bids.write(
            to: FileSink("bids/", format: .csv, rolling: RollingPolicy(bytes: 128 << 20, duration: .seconds(60))))
        try bids.write(
            to: FileSink("by-auction/", format: .csv).partitioned(commit: .marker()) { "auction=\($0.auction)" })
    }

    static func ownSourceAndSink(_ total: Total) async throws {
        let env = StreamEnvironment()
        env.read(Counters(names: ["left", "right"], limit: 1000)).write(to: TotalSink(total: total))
        try await env.execute()
    }

    static func sources(_ env: StreamEnvironment, _ events: AsyncStream<Bid>) throws {
        _ = try env.read(.files("bids", format: .json(Bid.self)))
        _ = try env.read(.files("bids/*.csv", format: .csv(Bid.self)))
        _ = env.read(.files("access.log.gz", format: .lines))
        _ = try env.read(.files("incoming", format: .json(Bid.self), monitor: .seconds(10)))
        _ = env.read(.sequence(from: 1, through: 10))
        _ = env.read(.elements(["a", "b"]))
        _ = env.read(GeneratedSource(0..<1000) { number in "record \(number)" })
        _ = env.read(.async(events))
    }

    static func sinks(_ bids: DataStream<Bid>, _ collected: Collected<Bid>, _ output: StreamOutput<Bid>) throws {
        try bids.write(to: .files("bids.csv", format: .csv))
        try bids.write(to: .files("bids/", format: .json))
        bids.write(to: .print())
        bids.write(to: .collect(collected))
        bids.write(to: .output(output))
        bids.write(to: .blackHole())
    }
}
