// SPDX-License-Identifier: Apache-2.0
//  A client that blocks, behind a reader that does not (27.d6).

import Foundation
import Synchronization
import Testing
import Thalweg
import ThalwegTesting

struct LogSplit: SourceSplit {
    var id: String
    var next: Int64
    var end: Int64
}

/// Reads numbers; blocks when it has given `blockAt` of a split, until it is woken up.
final class LogFetcher: SplitFetcher {
    struct Shared {
        var wakes = 0
        var fetches = 0
        var isClosed = false
        var fetchedPaused = 0
    }
    /// What the test sees.
    final class Probe: @unchecked Sendable {
        // Unchecked: guarded by the condition.
        let condition = NSCondition()
        private var state = Shared()
        func change<Value>(_ body: (inout Shared) -> Value) -> Value {
            condition.lock()
            defer { condition.unlock() }
            defer { condition.broadcast() }
            return body(&state)
        }
        var now: Shared { change { $0 } }
        func waitForWake(after wakes: Int) {
            condition.lock()
            while state.wakes == wakes { condition.wait() }
            condition.unlock()
        }
    }

    let probe: Probe
    let blockAt: Int64
    let failAt: Int64
    private var splits: [AssignedSplit<LogSplit>] = []
    private var paused: Set<Int32> = []
    private var seen = 0
    private var turn = 0

    init(_ probe: Probe, blockAt: Int64 = .max, failAt: Int64 = .max) {
        self.probe = probe
        self.blockAt = blockAt
        self.failAt = failAt
    }

    func addSplits(_ splits: [AssignedSplit<LogSplit>]) { self.splits += splits }
    func pause(_ splits: Set<Int32>) { paused = splits }

    func fetch() throws -> Fetched<Int64> {
        let wakes = probe.change { shared in
            shared.fetches += 1
            return shared.wakes
        }
        if wakes != seen {
            seen = wakes
            return .nothing
        }
        turn += 1
        let open = splits.indices.filter { !paused.contains(splits[$0].number) && splits[$0].split.next < blockAt }
        guard !open.isEmpty else {
            probe.waitForWake(after: wakes)
            return .nothing
        }
        let index = open[turn % open.count]
        let split = splits[index].split
        if split.next >= failAt { throw Mishap(text: "the broker is gone") }
        if split.next == split.end {
            defer { splits.remove(at: index) }
            return .splitFinished(splits[index].number)
        }
        let end = min(split.next + 37, split.end, blockAt)
        splits[index].split.next = end
        return .records(Array(split.next..<end), split: splits[index].number)
    }

    func wakeUp() { probe.change { $0.wakes += 1 } }
    func close() { probe.change { $0.isClosed = true } }
    static func advance(_ split: inout LogSplit, past element: Int64) { split.next = element + 1 }
}

struct Mishap: Error, CustomStringConvertible {
    var text = "mishap"
    var description: String { text }
}

struct LogSource: Source {
    typealias Element = Int64
    typealias Reader = BlockingReader<LogFetcher>
    let kind = "log"
    let boundedness = Boundedness.bounded
    let splits: [LogSplit]
    let probe: LogFetcher.Probe
    var failAt = Int64.max
    func makeEnumerator() throws -> FixedSplits<LogSplit> { try FixedSplits(splits, assignment: .push) }
    func makeReader(_ context: SourceReaderContext) -> BlockingReader<LogFetcher> {
        let (probe, failAt) = (probe, failAt)
        return BlockingReader(context, closeTimeout: .seconds(5)) { LogFetcher(probe, failAt: failAt) }
    }
}

@Suite struct BlockingReaderTests {
    private func context(_ wake: @escaping @Sendable () -> Void = {}) -> SourceReaderContext {
        let metrics = OperatorMetrics()
        return SourceReaderContext(
            name: "log", subtask: 0, parallelism: 1, processingTime: VirtualTime(),
            errors: RecordErrorHandler(
                operatorName: "log", policy: .fail, letters: nil, rejected: metrics.rejected, unread: metrics.rejected),
            metrics: metrics, requestSplit: {}, wake: wake)
    }

    private func split(_ number: Int32, _ count: Int64) -> AssignedSplit<LogSplit> {
        AssignedSplit(number: number, split: LogSplit(id: "s\(number)", next: 0, end: count))
    }

    /// Polls until the reader has nothing for a while.
    private func drain(_ reader: BlockingReader<LogFetcher>, capacity: Int = 10) throws -> [Int32: [Int64]] {
        var seen: [Int32: [Int64]] = [:]
        var quiet = 0
        while quiet < 50 {
            let batch = Batch<Int64>(capacity: capacity)
            switch try reader.poll(into: batch) {
            case .records:
                seen[batch.split, default: []] += UnsafeBufferPointer(start: batch.rows, count: batch.count)
                // State and emission move together.
                let position = reader.snapshot().first { $0.id == "s\(batch.split)" }?.next
                #expect(position == seen[batch.split]?.last.map { $0 + 1 })
                quiet = 0
            case .nothing:
                quiet += 1
                Thread.sleep(forTimeInterval: 0.002)
            case .splitFinished: quiet = 0
            case .finished: return seen
            }
        }
        return seen
    }

    @Test func aBlockedFetchHoldsUpNeitherSnapshotNorClose() throws {
        let probe = LogFetcher.Probe()
        let reader = BlockingReader(context(), closeTimeout: .seconds(20)) { LogFetcher(probe, blockAt: 100) }
        reader.start()
        reader.addSplits([split(0, 1000)])
        #expect(try drain(reader) == [0: Array(0..<100)])
        // The client blocks now, for ever.
        let start = MonotonicTime.now
        #expect(reader.snapshot().map(\.next) == [100])
        #expect(start.secondsSince < 1)
        #expect(!probe.now.isClosed)
        reader.close()
        #expect(start.secondsSince < 5 && probe.now.isClosed, "the thread has left and closed its client")
    }

    @Test func aClientThatDoesNotHeedItsWakeUpIsLeftBehind() throws {
        final class Deaf: SplitFetcher {
            let gate: DispatchSemaphore
            let entered: DispatchSemaphore
            init(_ gate: DispatchSemaphore, _ entered: DispatchSemaphore) {
                (self.gate, self.entered) = (gate, entered)
            }
            func addSplits(_ splits: [AssignedSplit<LogSplit>]) {}
            func pause(_ splits: Set<Int32>) {}
            func fetch() -> Fetched<Int64> {
                entered.signal()
                gate.wait()
                return .nothing
            }
            func wakeUp() {}
            func close() {}
            static func advance(_ split: inout LogSplit, past element: Int64) {}
        }
        let (gate, entered) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let reader = BlockingReader(context(), closeTimeout: .milliseconds(100)) { Deaf(gate, entered) }
        reader.start()
        reader.addSplits([split(0, 10)])
        entered.wait()
        let start = MonotonicTime.now
        reader.close()
        #expect((0.05...5).contains(start.secondsSince))
        gate.signal()
    }

    @Test func handOverIsBounded() throws {
        let probe = LogFetcher.Probe()
        let reader = BlockingReader(context()) { LogFetcher(probe) }
        reader.start()
        reader.addSplits([split(0, 1_000_000)])
        Thread.sleep(forTimeInterval: 0.1)
        // Two batches wait; the client is not asked for a third (one more fetch was the wake-up of addSplits).
        #expect(probe.now.fetches <= BlockingReader<LogFetcher>.queueMax + 2)
        reader.close()
    }

    @Test func aPausedSplitDoesNotHoldUpTheOthers() throws {
        let probe = LogFetcher.Probe()
        let reader = BlockingReader(context()) { LogFetcher(probe) }
        reader.start()
        reader.addSplits([split(0, 500), split(1, 500)])
        Thread.sleep(forTimeInterval: 0.05)
        reader.pause([0])
        let seen = try drain(reader)
        #expect(seen[0] == nil && seen[1] == Array(0..<500))
        #expect(reader.snapshot().map(\.next) == [0])
        reader.pause([])
        reader.noMoreSplits()
        #expect(try drain(reader) == [0: Array(0..<500)])
        reader.close()
    }

    @Test(arguments: [1, 2, 3])
    func aJobReadsEverythingOnce(_ parallelism: Int) async throws {
        for scheduler in [WorkerPool(workers: 2), StepScheduler(seed: 1)] as [any TaskScheduler] {
            let env = StreamEnvironment()
            env.settings.parallelism = parallelism
            env.settings.batchCapacity = 16
            let splits = (0..<5).map { LogSplit(id: "s\($0)", next: $0 * 10_000, end: $0 * 10_000 + 777) } as [LogSplit]
            let out = Collected<Int64>()
            env.read(LogSource(splits: splits, probe: LogFetcher.Probe())).write(to: CollectSink(out))
            try await env.execute(on: scheduler)
            #expect(out.elements.sorted() == splits.flatMap { Array($0.next..<$0.end) })
        }
    }

    @Test func itsFailureFailsTheJob() async throws {
        let env = StreamEnvironment()
        let probe = LogFetcher.Probe()
        env.read(LogSource(splits: [LogSplit(id: "s", next: 0, end: 1000)], probe: probe, failAt: 500))
            .write(to: .blackHole())
        await #expect(throws: Mishap.self) { try await env.execute() }
        #expect(probe.now.isClosed)
    }
}
