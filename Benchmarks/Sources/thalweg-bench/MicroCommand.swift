// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench micro`: one operator at a time, over the records that the other engines are given.

import ArgumentParser
import Thalweg
import ThalwegNexmark

struct MicroCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "micro", abstract: "Measure one operator.")

    enum Measure: String, ExpressibleByArgument, CaseIterable {
        case pass, filter, exchange, count, win, join
        /// Another name of `win`.
        case tumbling
    }

    @Argument(help: "What to measure.")
    var measure: Measure

    @Option(help: "How many events.")
    var events: Int64

    @Option(help: "How many keys.")
    var keys: UInt64 = 1_000_000

    @Option(help: "The number of subtasks of each step.")
    var parallelism = 1

    func validate() throws {
        guard events >= 0 else { throw ValidationError("--events must not be negative, not \(events)") }
        guard keys >= 1 else { throw ValidationError("--keys must be at least 1") }
        guard parallelism >= 1 else { throw ValidationError("--parallelism must be at least 1, not \(parallelism)") }
    }

    func run() async throws {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        try build(Item.stream(events: events, keys: keys, in: env))
        print(try await RunSummary.run(measure.rawValue, events: events, in: env).json)
    }

    private func build(_ items: DataStream<Item>) throws {
        switch measure {
        case .pass:
            items.map { $0 }.write(to: .blackHole())
        case .filter:
            items.filter { $0.value % 10 == 0 }.write(to: .blackHole())
        case .exchange:
            items.rebalance().map { $0 }.startNewChain().write(to: .blackHole())
        case .count:
            try items.keyed(by: \.key).process(CountPerKey()).write(to: .blackHole())
        case .win, .tumbling:
            try timed(items).keyed(by: \.key).window(.tumbling(.seconds(1)))
                .aggregate(Count()) { _, count, _ in count }
                .write(to: .blackHole())
        case .join:
            let items = timed(items)
            let even = try items.filter { $0.value & 1 == 0 }.keyed(by: \.key)
            let odd = try items.filter { $0.value & 1 == 1 }.keyed(by: \.key)
            try even.intervalJoin(odd, lower: .milliseconds(-100), upper: .milliseconds(100)) {
                Pair($0.value, $1.value)
            }
            .write(to: .blackHole())
        }
    }

    private func timed(_ items: DataStream<Item>) -> DataStream<Item> {
        items.timestamps(
            by: { EventTime(milliseconds: $0.time) }, watermark: .boundedOutOfOrderness(.milliseconds(10)))
    }
}

/// How many records each key has had.
struct CountPerKey: KeyedProcessFunction {
    @State var count = ValueState<Int64>()

    mutating func process(_ item: Item, _ context: KeyedContext<Int64>, _ out: Collector<Pair>) {
        let next = (count.value ?? 0) + 1
        count.value = next
        out.emit(Pair(item.key, next))
    }
}
