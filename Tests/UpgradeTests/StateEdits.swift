// SPDX-License-Identifier: Apache-2.0
//  Edits of states: their names, kinds and lives.

import Thalweg

private let total = Fold<Int64> { ($0 ?? 0) + $1 }
private let fresh = total.rows(from: [:])
private let kept = total.rows(from: total.values(0..<Trial.half))

/// Lists the numbers of a key, of any width.
private struct Listing<Element: Codable & Sendable>: KeyedProcessFunction {
    @State var items: ListState<Element>
    let make: @Sendable (Int64) -> Element

    init(ttl: StateTTL? = nil, _ make: @escaping @Sendable (Int64) -> Element) {
        _items = State(wrappedValue: ListState<Element>(ttl: ttl), "items")
        self.make = make
    }

    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        items.append(make(number))
        out.emit("\(context.key) \(items.count) \(items.values.suffix(2))")
    }
}

private struct Mapping<UserKey: Hashable & Codable & Sendable, Value: Codable & Sendable>: KeyedProcessFunction {
    @State var counts: MapState<UserKey, Value>
    let key: @Sendable (Int64) -> UserKey
    let add: @Sendable (Value?) -> Value

    init(
        ttl: StateTTL? = nil, _ key: @escaping @Sendable (Int64) -> UserKey,
        _ add: @escaping @Sendable (Value?) -> Value
    ) {
        _counts = State(wrappedValue: MapState<UserKey, Value>(ttl: ttl), "counts")
        self.key = key
        self.add = add
    }

    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        let value = add(counts[key(number)])
        counts[key(number)] = value
        out.emit("\(number) \(value)")
    }
}

/// Two states, one of which an edit leaves out.
private struct Both: KeyedProcessFunction {
    @State var fold = ValueState<Int64>()
    @State var other = ValueState<Int64>()
    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        fold.value = (fold.value ?? 0) + number
        other.value = number
        out.emit("\(context.key) \(fold.value ?? 0)")
    }
}

/// The fold beside a state that is new.
private struct More: KeyedProcessFunction {
    @State var newest = ListState<String>()
    @State var fold = ValueState<Int64>()
    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        fold.value = (fold.value ?? 0) + number
        newest.append("\(number)")
        out.emit("\(context.key) \(fold.value ?? 0)")
    }
}

/// A list where a value was.
private struct FoldList: KeyedProcessFunction {
    @State var fold = ListState<Int64>()
    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        fold.append(number)
    }
}

/// Timers beside a count that changes its type.
private struct Ticking<Value: FixedWidthInteger & Codable & Sendable>: KeyedProcessFunction {
    @State var count = ValueState<Value>()
    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        count.value = (count.value ?? 0) + 1
        context.registerEventTimeTimer(at: EventTime(milliseconds: number * 100 + 3_000))
    }
    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<String>
    ) {
        out.emit("\(context.key) at \(time.milliseconds)")
    }
}

private struct Holding<Element: Codable & Sendable>: ProcessFunction {
    @State var held: OperatorListState<Element>
    let make: @Sendable (Int64) -> Element

    init(_ mode: OperatorListMode<Element>, _ make: @escaping @Sendable (Int64) -> Element) {
        _held = State(wrappedValue: OperatorListState(mode), "held")
        self.make = make
    }

    mutating func open(_ context: ProcessContext) throws { restored = held.elements.map { "restored \($0)" } }
    private var restored: [String] = []

    mutating func process(_ number: Int64, _ context: ProcessContext, _ out: Collector<String>) {
        for text in restored { out.emit(text) }
        restored = []
        if number < Trial.half, number % 10 == 0 { held.append(make(number)) }
    }
}

private struct Ruling<Value: Codable & Sendable>: BroadcastProcessFunction {
    @State var rules: BroadcastState<String, Value>
    let make: @Sendable (Int64) -> Value

    init(_ make: @escaping @Sendable (Int64) -> Value) {
        _rules = State(wrappedValue: BroadcastState(), "rules")
        self.make = make
    }

    mutating func processElement(_ number: Int64, _ context: ProcessContext, _ out: Collector<String>) {
        if number >= Trial.half {
            out.emit("\(number) \(rules["rule \(number - Trial.half)"].map { "\($0)" } ?? "none")")
        }
    }
    mutating func processBroadcast(_ number: Int64, _ context: BroadcastContext, _ out: Collector<String>) {
        if number < Trial.half { context.update(rules) { $0["rule \(number)"] = make(number) } }
    }
}

private struct Wrapped: EvolvingRecord {
    var number: Int64
    static var evolution: Evolution<Wrapped> { Evolution().migrated(from: Int32.self) { Wrapped(number: Int64($0)) } }
}

extension Bench {
    fileprivate func keyed<F: KeyedProcessFunction>(_ make: @autoclosure @escaping @Sendable () -> F) throws
    where F.Key == Int64, F.Input == Int64, F.Output == String {
        write(try timed.keyed { $0 % Trial.keys }.process(make(), name: "fold"))
    }
}

extension Edit {
    static let states: [Edit] = [
        Edit(
            "a state is renamed without a word", ["fold/sum: new", "fold/fold: dropped"], .rows(fresh),
            fix: "formerly", old: { try $0.fold(total) }, new: { try $0.fold(total, name: "sum") }),
        Edit(
            "a state is renamed, declared", ["fold/sum: kept"], .rows(kept), old: { try $0.fold(total) },
            new: { try $0.fold(total, name: "sum", formerly: "fold") }),
        Edit(
            "a state is renamed and widened", ["fold/sum: migrated"],
            .rows(
                total.rows(from: Fold<Int32> { ($0 ?? 0) + Int32($1) }.values(0..<Trial.half).mapValues { Int64($0) })),
            old: { try $0.fold(Fold<Int32> { ($0 ?? 0) + Int32($1) }) },
            new: { try $0.fold(total, name: "sum", formerly: "fold") }),
        Edit(
            "a state is added before another", ["fold/newest: new", "fold/fold: kept"], .rows(kept),
            old: { try $0.fold(total) }, new: { try $0.keyed(More()) }),
        Edit(
            "a state is removed", ["fold/fold: kept", "fold/other: dropped"], .rows(kept),
            fix: "--drop-unclaimed-state",
            old: { try $0.keyed(Both()) }, new: { try $0.fold(total) }),
        Edit(
            "a value becomes a list", ["fold/fold: incompatible"], .rows([]), fix: "another name",
            old: { try $0.fold(total) }, new: { try $0.keyed(FoldList()) }),
        Edit(
            "a list becomes a value", ["fold/fold: incompatible"], .rows([]), old: { try $0.keyed(FoldList()) },
            new: { try $0.fold(total) }),
        Edit(
            "a value gets a time to live", ["fold/fold: kept"], .rows(kept), old: { try $0.fold(total) },
            new: { try $0.fold(total, ttl: StateTTL(.seconds(3600), domain: .eventTime)) }),
        Edit(
            "a value loses its time to live", ["fold/fold: kept"], .rows(kept),
            old: { try $0.fold(total, ttl: StateTTL(.seconds(3600), domain: .eventTime)) }, new: { try $0.fold(total) }),
        Edit(
            "a value lives longer and is widened", ["fold/fold: migrated"],
            .rows(
                total.rows(from: Fold<Int32> { ($0 ?? 0) + Int32($1) }.values(0..<Trial.half).mapValues { Int64($0) })),
            old: {
                try $0.fold(Fold<Int32> { ($0 ?? 0) + Int32($1) }, ttl: StateTTL(.seconds(3600), domain: .eventTime))
            },
            new: { try $0.fold(total, ttl: StateTTL(.seconds(7200), domain: .eventTime)) }),
        Edit(
            "the elements of a list are widened", ["fold/items: migrated"], .rest,
            old: { try $0.keyed(Listing { Int32($0) }) }, new: { try $0.keyed(Listing { $0 }) }),
        Edit(
            "the elements of a list that expires are widened", ["fold/items: migrated"], .rest,
            old: { try $0.keyed(Listing(ttl: StateTTL(.seconds(3600), domain: .eventTime)) { Int32($0) }) },
            new: { try $0.keyed(Listing(ttl: StateTTL(.seconds(7200), domain: .eventTime)) { $0 }) }),
        Edit(
            "the elements of a list become texts", ["fold/items: incompatible"], .rows([]),
            old: { try $0.keyed(Listing { $0 }) }, new: { try $0.keyed(Listing { "\($0)" }) }),
        Edit(
            "the values of a map are widened", ["fold/counts: migrated"], .rest,
            old: { try $0.keyed(Mapping({ $0 % 50 }) { ($0 ?? 0) + 1 as Int32 }) },
            new: { try $0.keyed(Mapping({ $0 % 50 }) { ($0 ?? 0) + 1 as Int64 }) }),
        Edit(
            "the keys of a map are widened", ["fold/counts: migrated"], .rest,
            old: { try $0.keyed(Mapping({ Int16($0 % 50) }) { ($0 ?? 0) + 1 as Int32 }) },
            new: { try $0.keyed(Mapping({ $0 % 50 }) { ($0 ?? 0) + 1 as Int32 }) }),
        Edit(
            "a map with a time to live changes", ["fold/counts: migrated"], .rest,
            old: {
                try $0.keyed(
                    Mapping(ttl: StateTTL(.seconds(60), domain: .eventTime), { UInt8($0 % 50) }) {
                        ($0 ?? 0) + 1 as Int16
                    })
            },
            new: {
                try $0.keyed(
                    Mapping(ttl: StateTTL(.seconds(60), domain: .eventTime), { UInt64($0 % 50) }) {
                        ($0 ?? 0) + 1 as Int64
                    })
            }),
        Edit(
            "the keys of a map become texts", ["fold/counts: incompatible"], .rows([]),
            old: { try $0.keyed(Mapping({ $0 % 50 }) { ($0 ?? 0) + 1 as Int32 }) },
            new: { try $0.keyed(Mapping({ "\($0 % 50)" }) { ($0 ?? 0) + 1 as Int32 }) }),
        Edit(
            "timers stay while a value is widened", ["fold/count: migrated"], .rest,
            old: { try $0.keyed(Ticking<Int32>()) }, new: { try $0.keyed(Ticking<Int64>()) }),
        Edit(
            "the elements of an operator's list are widened", ["holding/held: migrated"],
            .rows(stride(from: 0, to: Trial.half, by: 10).map { "restored \($0)" }),
            old: { $0.write($0.numbers.process(Holding(.split) { Int32($0) }, name: "holding")) },
            new: { $0.write($0.numbers.rebalance().process(Holding(.split) { $0 }, name: "holding")) }
        ).with(parallelism: 1),
        Edit(
            "an operator's list is divided otherwise", ["holding/held: kept"],
            .rows(stride(from: 0, to: Trial.half, by: 10).map { "restored \($0)" }),
            old: { $0.write($0.numbers.process(Holding(.split) { $0 }, name: "holding")) },
            new: { $0.write($0.numbers.process(Holding(.keyedList(by: { $0 })) { $0 }, name: "holding")) }
        ).with(parallelism: 1),
        Edit(
            "the elements of an operator's list become records by a function", ["holding/held: migrated"],
            .rows(stride(from: 0, to: Trial.half, by: 10).map { "restored \(Wrapped(number: $0))" }),
            old: { $0.write($0.numbers.process(Holding(.split) { Int32($0) }, name: "holding")) },
            new: { $0.write($0.numbers.process(Holding(.split) { Wrapped(number: $0) }, name: "holding")) }
        ).with(parallelism: 1),
        Edit(
            "the values of a broadcast map are widened", ["ruling/rules: migrated"],
            .rows((Trial.half..<Trial.all).map { "\($0) \($0 - Trial.half)" }),
            old: { $0.write($0.numbers.connect(broadcast: $0.numbers).process(Ruling { Int32($0) }, name: "ruling")) },
            new: { $0.write($0.numbers.connect(broadcast: $0.numbers).process(Ruling { $0 }, name: "ruling")) }),
    ]
}
