// SPDX-License-Identifier: Apache-2.0
//  Windows and joins broken at a barrier and restored at another parallelism.

import Testing
import Thalweg
import ThalwegTesting

@Suite struct SnapshotWindowTests {
    static let seeds: Range<UInt64> = 0..<6

    private func check(
        _ seed: UInt64, lagMax: Int64, isJoin: Bool = false, breaks: Int = 1, _ make: @escaping SnapshotModel.Factory
    ) throws {
        let shape = SampleShape(count: 160, keys: 40, disorder: 900, strays: 8, strayDistance: 3_000)
        let model = try SnapshotModel(seed: seed, shape, lagMax: lagMax)
        let expected = try model.unbroken(breaks, isJoin: isJoin, make)
        let found = try model.broken(breaks, isJoin: isJoin, make)
        #expect(expected.outputs.count > 20)
        #expect(found == expected, "seed \(seed): \(model.first) to \(model.second) at \(model.breakAt)")
    }

    private func panes(
        _ size: Int64, _ slide: Int64, lateness: Int64, _ context: OperatorContext
    ) throws -> OperatorInstance {
        let grid = try WindowGrid(size: .milliseconds(size), slide: .milliseconds(slide), offset: .zero)
        return OperatorInstance(
            panes: try PaneWindowOperator(
                grid, isProcessingTime: false, aggregate: Numbers(), key: { (sample: Sample) in sample.key },
                late: LateHandling(allowed: .milliseconds(lateness), tag: nil, in: context), in: context,
                result: { key, numbers, window in "\(key) \(numbers) \(window.start.milliseconds)" }), in: context)
    }

    @Test(arguments: seeds, [0, 2_000] as [Int64])
    func tumblingWindows(_ seed: UInt64, _ lagMax: Int64) throws {
        try check(seed, lagMax: lagMax) { try panes(700, 700, lateness: 0, $0) }
    }

    @Test(arguments: seeds, [0, 2_000] as [Int64])
    func slidingWindowsWithLateness(_ seed: UInt64, _ lagMax: Int64) throws {
        try check(seed, lagMax: lagMax) { try panes(1_000, 400, lateness: 500, $0) }
    }

    @Test(arguments: seeds)
    func severalBreaksInARow(_ seed: UInt64) throws {
        try check(seed, lagMax: 3_000, breaks: 4) { try panes(900, 300, lateness: 400, $0) }
    }

    @Test(arguments: seeds, [0, 2_000] as [Int64])
    func sessions(_ seed: UInt64, _ lagMax: Int64) throws {
        try check(seed, lagMax: lagMax, breaks: 2) { context in
            OperatorInstance(
                try SessionWindowOperator(
                    gap: 350, isProcessingTime: false, aggregate: Numbers(), key: { (sample: Sample) in sample.key },
                    late: LateHandling(allowed: .milliseconds(300), tag: nil, in: context), in: context,
                    result: { key, numbers, window in "\(key) \(numbers) \(window.start.milliseconds)" }), in: context)
        }
    }

    @Test(arguments: seeds, [0, 2_000] as [Int64])
    func triggeredWindows(_ seed: UInt64, _ lagMax: Int64) throws {
        try check(seed, lagMax: lagMax, breaks: 2) { context in
            let grid = try WindowGrid(size: .milliseconds(900), slide: .milliseconds(450), offset: .zero)
            return OperatorInstance(
                try TriggeredWindowOperator(
                    .grid(grid), isProcessingTime: false, aggregate: Numbers(),
                    trigger: ContinuousEventTimeTrigger<Sample>(every: .milliseconds(200)),
                    key: { (sample: Sample) in sample.key },
                    late: LateHandling(allowed: .milliseconds(300), tag: nil, in: context), in: context,
                    emit: { key, numbers, window, out in out.emit("\(key) \(numbers) \(window.start.milliseconds)") }),
                in: context)
        }
    }

    @Test(arguments: seeds, [0, 2_000] as [Int64])
    func intervalJoins(_ seed: UInt64, _ lagMax: Int64) throws {
        try check(seed, lagMax: lagMax, isJoin: true, breaks: 2) { context in
            OperatorInstance(
                try IntervalJoinOperator(
                    JoinInterval(lower: .milliseconds(-2_000), upper: .milliseconds(2_500)),
                    firstKey: { (sample: Sample) in sample.key }, secondKey: { (sample: Sample) in sample.key },
                    lateFirst: LateHandling(allowed: .zero, tag: nil, in: context),
                    lateSecond: LateHandling(allowed: .zero, tag: nil, in: context), onError: .fail, in: context,
                    result: { "\($0.key) \($0.number) \($1.number)" }), in: context)
        }
    }

    @Test(arguments: seeds)
    func windowJoins(_ seed: UInt64) throws {
        try check(seed, lagMax: 1_000, isJoin: true) { context in
            let grid = try WindowGrid(size: .milliseconds(2_000), slide: .milliseconds(2_000), offset: .zero)
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
    }
}
