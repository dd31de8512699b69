// SPDX-License-Identifier: Apache-2.0
//  Edits of steps, of how many subtasks they have, and of keys.

import Thalweg

private let total = Fold<Int64> { ($0 ?? 0) + $1 }
private let fresh = total.rows(from: [:])
private let kept = total.rows(from: total.values(0..<Trial.half))

private struct KeyRecord: EvolvingRecord, Hashable {
    var rest: Int64
    var region: String
    static var evolution: Evolution<KeyRecord> { Evolution().defaulting(\.region, to: "all") }
}
private struct OldKeyRecord: Codable, Hashable, Sendable { var rest: Int64 }
private enum OldKind: String, Codable, Sendable { case zero, other }
private enum NewKind: String, Codable, Sendable { case zero, other, unknown }

/// A function that sits where another one was.
private struct Passing: ProcessFunction {
    mutating func process(_ number: Int64, _ context: ProcessContext, _ out: Collector<String>) {
        out.emit("\(number)")
    }
}

/// State of keys of any type.
private struct ByKey<Key: Hashable & Codable & Sendable>: KeyedProcessFunction {
    @State var fold = ValueState<Int64>()
    @State var list = ListState<Int64>()
    @State var map = MapState<Int64, Int64>()

    mutating func process(_ number: Int64, _ context: KeyedContext<Key>, _ out: Collector<String>) {
        fold.value = (fold.value ?? 0) + number
        list.append(number)
        map[number % 3, default: 0] += 1
        context.registerEventTimeTimer(at: EventTime(milliseconds: number * 100 + 4_000))
        out.emit("\(number) \(fold.value ?? 0) \(list.count) \(map[number % 3] ?? 0)")
    }
    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Key>, _ out: Collector<String>
    ) { out.emit("timer \(time.milliseconds) \(list.count > 0)") }
}

extension Bench {
    fileprivate func by<Key: Hashable & Codable & Sendable>(
        _ key: @escaping @Sendable (Int64) -> Key, evolution: Evolution<Key>? = nil
    ) throws {
        write(try timed.keyed(by: key, evolution: evolution).process(ByKey<Key>(), name: "by"))
    }
}

extension Edit {
    private static func byKey(_ outcome: String) -> [String] {
        ["fold", "list", "map"].map { "by/\($0): \(outcome)" }
    }

    static let steps: [Edit] = [
        Edit(
            "a step is renamed without a word", ["sums/fold: new", "fold/fold: dropped"], .rows(fresh),
            fix: #"named(…, formerly: "fold")"#, old: { try $0.fold(total) }, new: { try $0.fold(total, step: "sums") }),
        Edit(
            "a step is renamed, declared", ["sums/fold: kept"], .rows(kept), old: { try $0.fold(total) },
            new: { try $0.fold(total, step: "sums", formerStep: "fold") }),
        Edit(
            "step and state are renamed, declared", ["sums/sum: kept"], .rows(kept), old: { try $0.fold(total) },
            new: { try $0.fold(total, step: "sums", formerStep: "fold", name: "sum", formerly: "fold") }),
        Edit(
            "a step is removed", ["fold/fold: dropped"], .rows((Trial.half..<Trial.all).map { "\($0)" }),
            old: { try $0.fold(total) }, new: { $0.write($0.numbers.map { "\($0)" }) }),
        Edit(
            "a step with state takes the name of another kind of step", ["fold/fold: dropped"],
            .rows((Trial.half..<Trial.all).map { "\($0)" }), old: { try $0.fold(total) },
            new: { $0.write($0.numbers.process(Passing(), name: "fold")) }),
        Edit(
            "a step without state is put in between", ["fold/fold: kept"], .rows(kept), old: { try $0.fold(total) },
            new: {
                $0.write(
                    try $0.numbers.filter { $0 >= 0 }.map { $0 + 0 }.keyed { $0 % Trial.keys }.process(
                        Folding<Int64, Int64>(total), name: "fold"))
            }),
        Edit(
            "a step with state is added", ["fold/fold: kept", "more/fold: new"], .rows(kept + fresh),
            old: { try $0.fold(total) },
            new: {
                let keyed = try $0.numbers.keyed { $0 % Trial.keys }
                $0.write(
                    keyed.process(Folding<Int64, Int64>(total), name: "fold").union(
                        keyed.process(Folding<Int64, Int64>(total), name: "more")))
            }),
        Edit(
            "two steps are declared in another order", ["more/fold: kept", "fold/fold: kept"], .rows(kept + kept),
            old: {
                let keyed = try $0.numbers.keyed { $0 % Trial.keys }
                $0.write(
                    keyed.process(Folding<Int64, Int64>(total), name: "fold").union(
                        keyed.process(Folding<Int64, Int64>(total), name: "more")))
            },
            new: {
                let keyed = try $0.numbers.keyed { $0 % Trial.keys }
                let more = keyed.process(Folding<Int64, Int64>(total), name: "more")
                $0.write(keyed.process(Folding<Int64, Int64>(total), name: "fold").union(more))
            }),
        Edit(
            "the parallelism grows", ["fold/fold: kept"], .rows(kept), old: { try $0.fold(total) },
            new: { try $0.fold(total) }
        ).with(parallelism: 5),
        Edit(
            "the parallelism shrinks while values are widened", ["fold/fold: migrated"],
            .rows(
                total.rows(from: Fold<Int32> { ($0 ?? 0) + Int32($1) }.values(0..<Trial.half).mapValues { Int64($0) })),
            old: { try $0.fold(Fold<Int32> { ($0 ?? 0) + Int32($1) }) }, new: { try $0.fold(total) }
        ).with(parallelism: 1),
        Edit(
            "the largest parallelism changes", ["fold/fold: kept"], .rows([]), old: { try $0.fold(total) },
            new: { try $0.fold(total) }
        ).with(maxParallelism: 256),
        Edit(
            "a rolling aggregate becomes a function of the same state", ["sums/aggregate: kept"], .rows(kept),
            old: {
                $0.write(
                    try $0.numbers.keyed { $0 % Trial.keys }.aggregate(Sum(\.self), name: "sums") { "\($0) \($1)" })
            },
            new: {
                $0.write(
                    try $0.numbers.keyed { $0 % Trial.keys }.process(
                        Folding<Int64, Int64>(total, name: "aggregate"), name: "sums"))
            }),

        // MARK: Keys
        Edit(
            "the key's type changes without a word", byKey("incompatible"), .rows([]), fix: "keyed(by: …, evolution:",
            old: { try $0.by { Int32($0 % Trial.keys) } }, new: { try $0.by { "\($0 % Trial.keys)" } }),
        Edit(
            "the key is widened without a word", byKey("incompatible"), .rows([]),
            old: { try $0.by { Int32($0 % Trial.keys) } }, new: { try $0.by { $0 % Trial.keys } }),
        Edit(
            "the key is widened, declared", byKey("re-keyed"), .rest, old: { try $0.by { Int32($0 % Trial.keys) } },
            new: {
                try $0.by(
                    { $0 % Trial.keys }, evolution: Evolution<Int64>().migrated(from: Int32.self) { Int64($0) })
            }),
        Edit(
            "numbers become texts as keys, declared", byKey("re-keyed"), .rest, old: { try $0.by { $0 % Trial.keys } },
            new: {
                try $0.by(
                    { "key \($0 % Trial.keys)" },
                    evolution: Evolution<String>().migrated(from: Int64.self) { "key \($0)" })
            }),
        Edit(
            "the key's record gets a field, declared by its type", byKey("re-keyed"), .rest,
            old: { try $0.by { OldKeyRecord(rest: $0 % Trial.keys) } },
            new: { try $0.by { KeyRecord(rest: $0 % Trial.keys, region: "all") } }),
        Edit(
            "the key's enum gets a case", byKey("migrated"), .rest,
            old: { try $0.by { $0 % Trial.keys == 0 ? OldKind.zero : .other } },
            new: { try $0.by { $0 % Trial.keys == 0 ? NewKind.zero : .other } }),
    ]

    /// Two keys that become one: only their bytes tell.
    static let merging = Edit(
        "two keys become one", byKey("re-keyed"), .rows([]), old: { try $0.by { Int32($0 % Trial.keys) } },
        new: {
            try $0.by(
                { ($0 % Trial.keys) / 2 }, evolution: Evolution<Int64>().migrated(from: Int32.self) { Int64($0) / 2 })
        })
}
