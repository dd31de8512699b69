// SPDX-License-Identifier: Apache-2.0
//  Edits of windows and joins.

import Thalweg

private struct OldStats: Codable, Sendable { var count: Int32, total: Int64 }
private struct NewStats: Codable, Sendable { var count: Int64, total: Int64, largest: Int64? }

/// Statistics whose accumulator an edit widens.
private struct OldStatistics: AggregateFunction {
    func makeAccumulator() -> OldStats { OldStats(count: 0, total: 0) }
    func add(_ value: Int64, to stats: inout OldStats) {
        stats.count += 1
        stats.total += value
    }
    func merge(_ other: OldStats, into stats: inout OldStats) {
        stats.count += other.count
        stats.total += other.total
    }
    func result(_ stats: OldStats) -> String { "\(stats.count) \(stats.total)" }
}

private struct NewStatistics: AggregateFunction {
    func makeAccumulator() -> NewStats { NewStats(count: 0, total: 0, largest: nil) }
    func add(_ value: Int64, to stats: inout NewStats) {
        stats.count += 1
        stats.total += value
    }
    func merge(_ other: NewStats, into stats: inout NewStats) {
        stats.count += other.count
        stats.total += other.total
    }
    func result(_ stats: NewStats) -> String { "\(stats.count) \(stats.total)" }
}

private struct OldVisit: Codable, Sendable { var number: Int32 }
private struct NewVisit: Codable, Sendable { var number: Int64, page: String? }

extension Bench {
    fileprivate func window(_ assigner: WindowAssigner, lateness: Duration = .zero) throws {
        write(
            try timed.keyed { $0 % Trial.keys }.window(assigner).allowedLateness(lateness).aggregate(
                OldStatistics(), name: "windows"
            ) { "\($0) \($2.start.milliseconds) \($1)" })
    }

    fileprivate func newWindow(_ assigner: WindowAssigner, name: String = "windows") throws {
        write(
            try timed.keyed { $0 % Trial.keys }.window(assigner).aggregate(NewStatistics(), name: name) {
                "\($0) \($2.start.milliseconds) \($1)"
            })
    }

    fileprivate func join(_ lower: Duration, _ upper: Duration) throws {
        let left = try timed.map { OldVisit(number: Int32($0)) }.keyed { Int64($0.number) % Trial.keys }
        let right = try timed.map { OldVisit(number: Int32($0)) }.keyed { Int64($0.number) % Trial.keys }
        write(
            try left.intervalJoin(right, lower: lower, upper: upper, name: "pairs") { "\($0.number) \($1.number)" })
    }

    fileprivate func newJoin() throws {
        let left = try timed.map { NewVisit(number: $0, page: nil) }.keyed { $0.number % Trial.keys }
        let right = try timed.map { OldVisit(number: Int32($0)) }.keyed { Int64($0.number) % Trial.keys }
        write(
            try left.intervalJoin(right, lower: .zero, upper: .seconds(2), name: "pairs") {
                "\($0.number) \($1.number)"
            })
    }

    fileprivate func counted<Aggregate: AggregateFunction>(_ aggregate: Aggregate) throws
    where Aggregate.Input == Int64, Aggregate.Output == String {
        write(
            try timed.keyed { $0 % Trial.keys }.window(.tumbling(.seconds(30))).trigger(CountTrigger(10)).aggregate(
                aggregate, name: "windows"
            ) { "\($0) \($2.start.milliseconds) \($1)" })
    }
}

extension Edit {
    static let windows: [Edit] = [
        Edit(
            "an accumulator of tumbling windows is widened", ["windows/panes: migrated"], .rest,
            old: { try $0.window(.tumbling(.seconds(3))) }, new: { try $0.newWindow(.tumbling(.seconds(3))) }),
        Edit(
            "an accumulator of sliding windows is widened", ["windows/panes: migrated"], .rest,
            old: { try $0.window(.sliding(size: .seconds(6), slide: .seconds(2))) },
            new: { try $0.newWindow(.sliding(size: .seconds(6), slide: .seconds(2))) }),
        Edit(
            "an accumulator of sessions is widened", ["windows/sessions: migrated"], .rest,
            old: { try $0.window(.session(gap: .milliseconds(800))) },
            new: { try $0.newWindow(.session(gap: .milliseconds(800))) }),
        Edit(
            "tumbling windows get longer", ["windows/panes: incompatible"], .rows([]), fix: "--drain",
            old: { try $0.window(.tumbling(.seconds(3))) }, new: { try $0.window(.tumbling(.seconds(7))) }),
        Edit(
            "tumbling windows become sliding ones", ["windows/panes: incompatible"], .rows([]),
            old: { try $0.window(.tumbling(.seconds(6))) },
            new: { try $0.window(.sliding(size: .seconds(6), slide: .seconds(2))) }),
        Edit(
            "tumbling windows become sessions", ["windows/sessions: new", "windows/panes: dropped"],
            // The whole of each session of the second half: numbers of a key are 0.7 seconds apart.
            .rows(
                (0..<Trial.keys).map { key in
                    let numbers = (Trial.half..<Trial.all).filter { $0 % Trial.keys == key }
                    return "\(key) \((numbers.first ?? 0) * 100) \(numbers.count) \(numbers.reduce(0, +))"
                }), old: { try $0.window(.tumbling(.seconds(3))) },
            new: { try $0.window(.session(gap: .milliseconds(800))) }),
        Edit(
            "the gap of sessions grows", ["windows/sessions: migrated"], .rest,
            old: { try $0.window(.session(gap: .milliseconds(800))) },
            new: { try $0.window(.session(gap: .milliseconds(900))) }),
        Edit(
            "windows get a lateness", ["windows/panes: incompatible"], .rows([]),
            old: { try $0.window(.tumbling(.seconds(3))) },
            new: { try $0.window(.tumbling(.seconds(3)), lateness: .seconds(5)) }),
        Edit(
            "windows lose their lateness", ["windows/panes: migrated"], .rest,
            old: { try $0.window(.tumbling(.seconds(3)), lateness: .seconds(5)) },
            new: { try $0.window(.tumbling(.seconds(3))) }),
        Edit(
            "the name of changed windows changes too", ["longer/panes: new", "windows/panes: dropped"],
            .rows(
                OldStatistics().rows(size: 7_000, from: Trial.half)),
            old: { try $0.window(.tumbling(.seconds(3))) },
            new: {
                $0.write(
                    try $0.timed.keyed { $0 % Trial.keys }.window(.tumbling(.seconds(7))).aggregate(
                        OldStatistics(), name: "longer"
                    ) { "\($0) \($2.start.milliseconds) \($1)" })
            }),
        Edit(
            "an accumulator of windows with a trigger is widened", ["windows/windows: migrated"], .rest,
            old: { try $0.counted(OldStatistics()) }, new: { try $0.counted(NewStatistics()) }),
        Edit(
            "the records of a join get a field", ["pairs/buffers.first: migrated", "pairs/buffers.second: kept"], .rest,
            old: { try $0.join(.zero, .seconds(2)) }, new: { try $0.newJoin() }),
        Edit(
            "the interval of a join shrinks", ["pairs/buffers.first: migrated", "pairs/buffers.second: migrated"],
            .rows(
                (0..<Trial.all).flatMap { left in
                    (left...left + 10).filter {
                        $0 < Trial.all && $0 % Trial.keys == left % Trial.keys && $0 >= Trial.half
                    }.map { "\(left) \($0)" }
                }), old: { try $0.join(.zero, .seconds(2)) }, new: { try $0.join(.zero, .seconds(1)) }),
        Edit(
            "the interval of a join grows",
            ["pairs/buffers.first: incompatible", "pairs/buffers.second: incompatible"], .rows([]),
            old: { try $0.join(.zero, .seconds(2)) }, new: { try $0.join(.zero, .seconds(3)) }),
    ]
}

extension OldStatistics {
    /// What windows of a size give that see only the numbers from one on.
    fileprivate func rows(size: Int64, from first: Int64) -> [String] {
        var windows: [String: OldStats] = [:]
        for number in first..<Trial.all {
            let start = number * 100 / size * size
            add(number, to: &windows["\(number % Trial.keys) \(start)", default: makeAccumulator()])
        }
        return windows.map { "\($0.key) \(result($0.value))" }
    }
}
