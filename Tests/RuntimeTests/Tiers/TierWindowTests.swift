// SPDX-License-Identifier: Apache-2.0
//  Windows and joins whose panes and buffers leave memory, against the same with all in memory.

import Testing
import Thalweg
import ThalwegTesting

@Suite struct TierWindowTests {
    /// A number and a sum: nothing outside the slot.
    private struct Total: AggregateFunction {
        struct Value: Codable, Sendable {
            var count = 0
            var sum: Int64 = 0
        }

        func makeAccumulator() -> Value { Value() }
        func add(_ value: Sample, to accumulator: inout Value) {
            accumulator.count += 1
            accumulator.sum += value.number
        }
        func merge(_ other: Value, into accumulator: inout Value) {
            accumulator.count += other.count
            accumulator.sum += other.sum
        }
        func result(_ accumulator: Value) -> String { "\(accumulator.count) \(accumulator.sum)" }
    }

    enum Kind: String, CaseIterable, Sendable {
        case tumbling, sliding, fine, gapped, totals, session, triggered, intervalJoin, windowJoin, slidingJoin

        static let inPanes: [Kind] = allCases.filter { ![.session, .triggered, .intervalJoin].contains($0) }

        var isJoin: Bool { [.intervalJoin, .windowJoin, .slidingJoin].contains(self) }
    }

    private func panes<Aggregate: AggregateFunction>(
        _ aggregate: Aggregate, _ size: Int64, _ slide: Int64, lateness: Int64, _ context: OperatorContext
    ) throws -> OperatorInstance where Aggregate.Input == Sample {
        let grid = try WindowGrid(size: .milliseconds(size), slide: .milliseconds(slide), offset: .zero)
        return OperatorInstance(
            panes: try PaneWindowOperator(
                grid, isProcessingTime: false, aggregate: aggregate, key: { (sample: Sample) in sample.key },
                late: LateHandling(allowed: .milliseconds(lateness), tag: nil, in: context), in: context,
                result: { key, value, window in "\(key) \(value) \(window.start.milliseconds)" }), in: context)
    }

    private func windowJoin(_ size: Int64, _ slide: Int64, _ context: OperatorContext) throws -> OperatorInstance {
        let grid = try WindowGrid(size: .milliseconds(size), slide: .milliseconds(slide), offset: .zero)
        let panes = try PaneWindowOperator(
            grid, isProcessingTime: false, aggregate: JoinedElements<Sample, Sample>(),
            key: { (side: JoinSide<Sample, Sample>) -> Int64 in
                switch side {
                case .first(let sample), .second(let sample): sample.key
                }
            },
            late: LateHandling(allowed: .zero, tag: nil, in: context), in: context,
            result: { key, pair, window in
                "\(key) \(pair.first.map(\.number)) \(pair.second.map(\.number)) \(window.start.milliseconds)"
            })
        return OperatorInstance(TwoSidedOperator(panes, in: context), in: context)
    }

    private func make(_ kind: Kind, _ context: OperatorContext) throws -> OperatorInstance {
        switch kind {
        case .tumbling: return try panes(Numbers(), 700, 700, lateness: 0, context)
        case .sliding: return try panes(Numbers(), 1_000, 400, lateness: 500, context)
        case .fine: return try panes(Numbers(), 2_000, 50, lateness: 0, context)
        case .gapped: return try panes(Numbers(), 300, 500, lateness: 400, context)
        case .totals: return try panes(Total(), 900, 300, lateness: 300, context)
        case .session:
            return OperatorInstance(
                try SessionWindowOperator(
                    gap: 350, isProcessingTime: false, aggregate: Numbers(), key: { (sample: Sample) in sample.key },
                    late: LateHandling(allowed: .milliseconds(300), tag: nil, in: context), in: context,
                    result: { key, numbers, window in "\(key) \(numbers) \(window.start.milliseconds)" }), in: context)
        case .triggered:
            let grid = try WindowGrid(size: .milliseconds(900), slide: .milliseconds(450), offset: .zero)
            return OperatorInstance(
                try TriggeredWindowOperator(
                    .grid(grid), isProcessingTime: false, aggregate: Numbers(),
                    trigger: ContinuousEventTimeTrigger<Sample>(every: .milliseconds(200)),
                    key: { (sample: Sample) in sample.key },
                    late: LateHandling(allowed: .milliseconds(300), tag: nil, in: context), in: context,
                    emit: { key, numbers, window, out in out.emit("\(key) \(numbers) \(window.start.milliseconds)") }),
                in: context)
        case .intervalJoin:
            return OperatorInstance(
                try IntervalJoinOperator(
                    JoinInterval(lower: .milliseconds(-2_000), upper: .milliseconds(2_500)),
                    firstKey: { (sample: Sample) in sample.key }, secondKey: { (sample: Sample) in sample.key },
                    lateFirst: LateHandling(allowed: .zero, tag: nil, in: context),
                    lateSecond: LateHandling(allowed: .zero, tag: nil, in: context), onError: .fail, in: context,
                    result: { "\($0.key) \($0.number) \($1.number)" }), in: context)
        case .windowJoin: return try windowJoin(2_000, 2_000, context)
        case .slidingJoin: return try windowJoin(1_500, 500, context)
        }
    }

    private func check(_ kind: Kind, _ seed: UInt64, budget: Int, keys: Int64, mayDrop: Bool) throws {
        let shape = SampleShape(count: 500, keys: keys, disorder: 900, strays: 8, strayDistance: 3_000)
        let run = try TierRun(seed: seed, shape, isJoin: kind.isJoin) { try make(kind, $0) }
        let reference = try run.undisturbed()
        let expected = reference.outcome
        let found = try run.disturbed(against: reference, budget: budget, mayDrop: mayDrop)
        #expect(expected.outputs.count > 20)
        #expect(found.wrongSnapshots.isEmpty, "\(kind), seed \(seed)")
        #expect(found.evicted > 0, "\(kind), seed \(seed)")
        let isSame = found.outcome == expected
        #expect(isSame, "\(kind), seed \(seed), \(keys) keys: \(found.crashes) crashes\n\(difference(found, expected))")
    }

    private func difference(_ found: TierRun.Report, _ expected: TierOutcome) -> String {
        let (left, right) = (Set(found.outcome.outputs), Set(expected.outputs))
        return """
            dropped \(found.outcome.dropped) for \(expected.dropped), partial \(found.outcome.partial) for \
            \(expected.partial), outputs \(found.outcome.outputs.count) for \(expected.outputs.count)
            too many: \(left.subtracting(right).sorted().prefix(5))
            missing: \(right.subtracting(left).sorted().prefix(5))
            """
    }

    /// Room for about two keys: everything leaves memory after each batch.
    @Test(arguments: Kind.allCases, 0..<4 as Range<UInt64>)
    func withHardlyAnyMemory(_ kind: Kind, _ seed: UInt64) throws {
        try check(kind, seed, budget: 1 << 10, keys: 40, mayDrop: seed % 2 == 0)
    }

    /// Room for a few panes: some stay, some go.
    @Test(arguments: Kind.inPanes, 100..<103 as Range<UInt64>)
    func withRoomForSomePanes(_ kind: Kind, _ seed: UInt64) throws {
        try check(kind, seed, budget: 60 << 10, keys: 200, mayDrop: seed % 2 == 0)
    }
}
