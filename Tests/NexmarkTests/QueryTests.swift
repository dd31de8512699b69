// SPDX-License-Identifier: Apache-2.0
//  Every query gives the reference's table, however it is run.

import Foundation
import Synchronization
import Testing
import Thalweg
import ThalwegNexmark

@Suite struct QueryTests {
    /// Queries whose result does not depend on when they run.
    static let names = NexmarkQueries.all.map { $0.name }.filter { $0 != Q12.name }

    private func table(
        _ name: String, _ input: NexmarkInput, parallelism: Int, change: (inout ExecutionSettings) -> Void = { _ in }
    ) async throws -> GoldenTable {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        change(&env.settings)
        let result = NexmarkResult()
        try NexmarkQueries.named(name).build(input, to: .result(result), in: env)
        try await env.execute()
        return result.table
    }

    /// The reference engine's results over the first 100 000 events.
    @Test(arguments: names)
    func givesTheReferenceResult(query: String) async throws {
        let shared = Place.shared.appending(path: "golden")
        let folder = Place.hasShared ? shared : Place.fixtures.appending(path: "golden-100k")
        let table = try await table(query, .generator(events: 100_000, seed: 42), parallelism: 1)
        let verdict = try GoldenFolder(path: folder.path).verdict(on: table, query: query)
        #expect(verdict.isEqual, "\(verdict)")
    }

    /// The same queries, verified above, over fewer events: parallelism and batches change nothing.
    @Test(arguments: names)
    func givesTheSameResultHoweverItIsRun(query: String) async throws {
        let golden = try GoldenFolder(path: Place.fixtures.appending(path: "golden-20k").path)
        for (parallelism, batch, fullRows) in [(2, 1024, true), (3, 100, false)] {
            let input = NexmarkInput.generator(events: 20_000, seed: 42, fullRows: fullRows)
            let table = try await table(query, input, parallelism: parallelism) { $0.batchCapacity = batch }
            let verdict = try golden.verdict(on: table, query: query)
            #expect(verdict.isEqual, "parallelism \(parallelism), batches of \(batch): \(verdict)")
        }
    }

    /// Events read from a file are the events of the generator.
    @Test(arguments: names)
    func readsFilesAsItReadsTheGenerator(query: String) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "events-\(UUID().uuidString).jsonl")
        defer { try? FileManager.default.removeItem(at: file) }
        var bytes: [UInt8] = []
        NexmarkWriter(NexmarkGenerator(seed: 7)).appendJSONLines(0..<3000, to: &bytes)
        try Data(bytes).write(to: file)
        let read = try await table(query, .files(file.path), parallelism: 1)
        let generated = try await table(query, .generator(events: 3000, seed: 7), parallelism: 1)
        #expect(try read.digest() == generated.digest())
        #expect(try read.digest().rows > 0 || query == "q5" || query == "q8")
    }

    /// In processing time: every bid counts in the window of the moment at which it was processed.
    @Test func countsBidsByProcessingTime() async throws {
        let env = StreamEnvironment()
        env.settings.batchCapacity = 64
        let result = NexmarkResult()
        try Q12.build(.generator(events: 10_000, seed: 42), to: .result(result), in: env)
        let execution = try env.makeExecution()
        let clock = ManualClock(startingAt: 1_700_000_003_000)
        let moments = Moments()
        let scheduler = StepScheduler(seed: 3, clock: clock) { clock in
            let count = execution.metrics.total(of: 0) { $0.recordsOut }
            moments.note(count, at: clock.now)
            clock.advance(by: .milliseconds(377))
        }
        try await execution.run(on: scheduler)

        var bidders: [Int64] = []
        var cursor = NexmarkGenerator(seed: 42).cursor()
        cursor.forEach(.bid, next: 10_000) { bidders.append($0.bidBidder) }
        var counts: [[Int64]: Int64] = [:]
        for (index, bidder) in bidders.enumerated() {
            let moment = try #require(moments.ofRecord(index))
            counts[[moment - moment % 10_000, bidder], default: 0] += 1
        }
        let expected = GoldenTable(
            rows: counts.map { key, count in
                GoldenTable.row([
                    .integer(key[1]), .integer(count), .time(EventTime(milliseconds: key[0])),
                    .time(EventTime(milliseconds: key[0] + 10_000)),
                ])
            })
        #expect(Set(counts.keys.map { $0[0] }).count > 3)
        #expect(try result.table.sortedRows() == expected.sortedRows())
    }

    @Test func unknownQueriesAreRefused() {
        let error = #expect(throws: ThalwegError.self) { try NexmarkQueries.named("q6") }
        #expect(error?.description.contains("q22") == true)
    }

    @Test func numbersOfASummaryAreRendered() {
        let summary = RunSummary(
            name: "q5", events: 2_000_000, parallelism: 2, rowsOut: 7, wallSeconds: 0.5, cpuSeconds: 0.8,
            peakMemory: 31.25)
        #expect(
            summary.json
                == #"{"name":"q5","events":2000000,"parallelism":2,"rows_out":7,"wall_s":0.500,"cpu_s":0.800,"#
                + #""m_events_per_s":4.000,"m_events_per_cpu_s":2.500,"peak_rss_mb":31.3}"#)
    }
}

/// How many records had been processed at which moment.
private final class Moments: Sendable {
    private let notes = Mutex<[(count: Int, moment: Int64)]>([])

    func note(_ count: Int, at moment: Int64) { notes.withLock { $0.append((count, moment)) } }

    /// When a record was processed: at the first note that counts it.
    func ofRecord(_ index: Int) -> Int64? { notes.withLock { $0.first { $0.count > index }?.moment } }
}
