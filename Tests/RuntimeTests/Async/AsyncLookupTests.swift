// SPDX-License-Identifier: Apache-2.0
//  Look-ups in a table of somebody else: cache, shared calls, batches (A12.7).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

/// A table that counts how often it is asked.
private final class Table: Sendable {
    let rows: Guarded<[Int64: String]>
    private let asked = Guarded<[[Int64]]>([])
    init(_ rows: [Int64: String]) { self.rows = Guarded(rows) }
    var calls: [[Int64]] { asked.withLock { $0 } }

    func find(_ keys: [Int64]) -> [String?] {
        asked.withLock { $0.append(keys) }
        return rows.withLock { rows in keys.map { rows[$0] } }
    }
}

@Suite struct AsyncLookupTests {
    private func harness(
        _ table: Table, _ calls: any AsyncCallExecutor, capacity: Int = 100, cache: LookupCache? = nil,
        coalescing: Bool = false, batching: CallBatching? = nil, retry: AsyncRetry = .none, retriesMissing: Bool = false
    ) throws -> OperatorHarness<Int64, String> {
        let settings = try AsyncSettings(
            .one, capacity: capacity, timeout: .seconds(10), retry: retry, batching: batching, calls: calls)
        let plan = try AsyncPlan<Int64, Int64, String?, String>(
            settings, by: { $0 % 1000 }, retriesMissing: retriesMissing, cache: cache, coalescing: coalescing,
            onTimeout: nil, lookup: { table.find($0) }, result: { ["\($0) \($1 ?? "?")"] })
        return try OperatorHarness { OperatorInstance(async: try AsyncOperator(plan, in: $0)) }
    }

    private func push(_ range: Range<Int64>, into harness: OperatorHarness<Int64, String>) throws {
        for start in stride(from: range.lowerBound, to: range.upperBound, by: 50) {
            while harness.isHeldUp, let next = harness.time.nextTime { try harness.advanceProcessingTime(to: next) }
            try harness.push((start..<min(start + 50, range.upperBound)).map { ($0, nil) })
        }
    }

    @Test func aCachedRowIsAskedForOnce() throws {
        let table = Table(Dictionary(uniqueKeysWithValues: (0..<1000 as Range<Int64>).map { ($0, "row \($0)") }))
        let facts: Int64 = isFull ? 100_000 : 10_000
        let harness = try harness(
            table, SimulatedCalls(seed: 1, milliseconds: 1...5),
            cache: LookupCache(rowsMax: 2000, expiresAfterWrite: .seconds(600)))
        try push(0..<facts, into: harness)
        try harness.finish()
        #expect(harness.outputs == (0..<facts).map { "\($0) row \($0 % 1000)" })
        #expect(table.calls.count == 1000 && harness.metrics.async.cacheMisses.value == 1000)
        #expect(harness.metrics.async.cacheHits.value == Int(facts) - 1000)
    }

    @Test func aChangeIsSeenWhenTheRowExpires() throws {
        let table = Table([1: "old"])
        let calls = ManualCalls()
        let harness = try harness(table, calls, cache: LookupCache(rowsMax: 10, expiresAfterWrite: .seconds(60)))
        try harness.push(1)
        calls.runAll()
        try harness.pump()
        table.rows.withLock { $0[1] = "new" }
        try harness.advanceProcessingTime(to: 59_999)
        try harness.push(1)
        try harness.advanceProcessingTime(to: 60_000)
        try harness.push(1)
        calls.runAll()
        try harness.pump()
        #expect(harness.outputs == ["1 old", "1 old", "1 new"] && table.calls.count == 2)
    }

    @Test(arguments: [false, true])
    func missesAreKeptIfSo(_ keeps: Bool) throws {
        let table = Table([:])
        let calls = ManualCalls()
        let harness = try harness(table, calls, cache: LookupCache(rowsMax: 10, keepsMisses: keeps))
        for _ in 0..<3 {
            try harness.push(1)
            calls.runAll()
            try harness.pump()
        }
        #expect(harness.outputs == ["1 ?", "1 ?", "1 ?"] && table.calls.count == (keeps ? 1 : 3))
    }

    @Test func theLeastRecentlyUsedRowMakesRoom() throws {
        var cache = try RowModel(rowsMax: 3)
        var random = SeededRandom(seed: 9)
        for _ in 0..<5000 {
            let key = Int(random.next() % 6)
            let isSame = try cache.asksAsItShould(for: key, after: Int64(random.next() % 2) + 1)
            #expect(isSame)
        }
    }

    @Test func equalKeysShareACall() throws {
        let table = Table([7: "seven"])
        let calls = ManualCalls()
        let harness = try harness(table, calls, capacity: 1000, coalescing: true)
        try harness.push((0..<1000 as Range<Int64>).map { ($0 * 1000 + 7, nil) })
        #expect(calls.started == 1 && harness.metrics.async.coalesced.value == 999)
        calls.runAll()
        try harness.pump()
        #expect(harness.outputs.count == 1000 && harness.outputs.allSatisfy { $0.hasSuffix("7 seven") })
        try harness.push(7)
        #expect(calls.started == 2)
    }

    @Test func severalKeysShareACall() throws {
        let table = Table([1: "a", 2: "b", 3: "c"])
        let calls = ManualCalls()
        let harness = try harness(
            table, calls, batching: CallBatching(countMax: 3, delayMax: .milliseconds(5)))
        try harness.push(1, 2, 3, 4)
        #expect(calls.started == 1)
        try harness.advanceProcessingTime(to: 4)
        #expect(calls.started == 1)
        try harness.advanceProcessingTime(to: 5)
        #expect(calls.started == 2)
        calls.runAll()
        try harness.pump()
        #expect(table.calls == [[1, 2, 3], [4]] && harness.outputs == ["1 a", "2 b", "3 c", "4 ?"])
        try harness.push(1)
        // Nothing will come to share the call with.
        try harness.signal(.end)
        #expect(calls.started == 3)
    }

    @Test func aFullOperatorDoesNotWaitForMore() throws {
        let calls = ManualCalls()
        let harness = try harness(
            Table([:]), calls, capacity: 2, batching: CallBatching(countMax: 100, delayMax: .seconds(5)))
        try harness.push(1, 2, 3)
        #expect(calls.started == 1)
    }

    @Test func aLateRowIsAskedForAgain() throws {
        let table = Table([:])
        let calls = ManualCalls()
        let harness = try harness(
            table, calls, retry: .fixed(attempts: 5, delay: .milliseconds(10)), retriesMissing: true)
        try harness.push(1)
        calls.runAll()
        try harness.pump()
        table.rows.withLock { $0[1] = "late" }
        try harness.advanceProcessingTime(to: 10)
        calls.runAll()
        try harness.pump()
        #expect(harness.outputs == ["1 late"])
    }

    @Test func aWrongNumberOfRowsIsAnError() throws {
        let settings = try AsyncSettings(
            .one, capacity: 10, timeout: nil, batching: CallBatching(countMax: 2, delayMax: .zero),
            calls: SimulatedCalls(milliseconds: 1...1))
        let plan = AsyncPlan<Int64, Int64, [Int64], Int64>(settings, retryIf: nil, onTimeout: nil) { _ in [[1]] }
        let harness = try OperatorHarness<Int64, Int64> { OperatorInstance(async: try AsyncOperator(plan, in: $0)) }
        try harness.push(1, 2)
        #expect(throws: ThalwegError.self) { try harness.advanceProcessingTime(to: 1) }
    }
}

extension AsyncLookupTests {
    /// The first call for a key hangs, and the key keeps coming: when the time of that call is over another one is
    /// made, whose response all get that wait. Nobody keeps what has timed out.
    @Test(arguments: [1, 3])
    func aHungCallDoesNotStarveAHotKey(_ batch: Int) throws {
        let table = Table([1: "row"])
        let calls = ManualCalls()
        let settings = try AsyncSettings(
            .one, capacity: 100, timeout: .seconds(5),
            batching: batch == 1 ? nil : CallBatching(countMax: batch, delayMax: .milliseconds(100)), calls: calls)
        let plan = try AsyncPlan<Int64, Int64, String?, String>(
            settings, by: { _ in 1 }, retriesMissing: false, cache: nil, coalescing: true,
            onTimeout: { ["\($0) late"] }, lookup: { table.find($0) }, result: { ["\($0) \($1 ?? "?")"] })
        let harness = try OperatorHarness<Int64, String> { OperatorInstance(async: try AsyncOperator(plan, in: $0)) }
        for second in 1...600 as ClosedRange<Int64> {
            try harness.push(second)
            // Calls 0 and 1 hang.
            for number in calls.pending where number > 1 { calls.run(number) }
            try harness.pump()
            try harness.advanceProcessingTime(to: second * 1000)
        }
        let late = harness.outputs.filter { $0.hasSuffix("late") }
        #expect((2...12).contains(late.count), "\(late)")
        #expect(harness.outputs.count >= 590 && calls.cancelled == 2)
        #expect(harness.outputs.filter { $0.hasSuffix("row") }.count == harness.outputs.count - late.count)
        // What comes after all has its place and is ignored.
        let count = harness.outputs.count
        calls.run(0)
        try harness.pump()
        #expect(harness.outputs.count == count)
    }
}

/// The cache and its naive twin, with rows that expire after 5 milliseconds without use.
private struct RowModel {
    private var keys: [(key: Int, used: Int64)] = []
    private let calls = ManualCalls()
    private let table = Table(Dictionary(uniqueKeysWithValues: (0..<6 as Range<Int64>).map { ($0, "row") }))
    private let rowsMax: Int
    private let harness: OperatorHarness<Int64, String>

    init(rowsMax: Int) throws {
        self.rowsMax = rowsMax
        let (table, calls) = (table, calls)
        harness = try OperatorHarness { context in
            let plan = try AsyncPlan<Int64, Int64, String?, String>(
                try AsyncSettings(.one, capacity: 10, timeout: nil, calls: calls), by: { $0 }, retriesMissing: false,
                cache: LookupCache(rowsMax: rowsMax, expiresAfterAccess: .milliseconds(5)), coalescing: false,
                onTimeout: nil, lookup: { table.find($0) }, result: { ["\($0) \($1 ?? "?")"] })
            return OperatorInstance(async: try AsyncOperator(plan, in: context))
        }
    }

    /// Whether both ask the table, or both do not.
    mutating func asksAsItShould(for key: Int, after milliseconds: Int64) throws -> Bool {
        let time = harness.time.now + milliseconds
        try harness.advanceProcessingTime(to: time)
        let before = table.calls.count
        try harness.push(Int64(key))
        calls.runAll()
        try harness.pump()
        let known = keys.firstIndex { $0.key == key }
        let shouldAsk = known.map { time - keys[$0].used >= 5 } ?? true
        if let known { keys.remove(at: known) } else if keys.count == rowsMax { keys.removeFirst() }
        keys.append((key, time))
        return (table.calls.count > before) == shouldAsk
    }
}
