// SPDX-License-Identifier: Apache-2.0
//  The code of "Keyed state and timers".

import Thalweg

/// Reports a bidder who has been silent for a minute, with the number of bids before.
struct Silence: KeyedProcessFunction {
    @State var bids = ValueState<Int>()
    @State var deadline = ValueState<EventTime>()

    mutating func process(_ bid: Bid, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        bids[default: 0] += 1
        if let old = deadline.value { context.deleteEventTimeTimer(at: old) }
        let new = bid.time + .minutes(1)
        context.registerEventTimeTimer(at: new)
        deadline.value = new
    }

    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<String>
    ) {
        out.emit("\(context.key) has been silent since \(time - .minutes(1)), after \(bids[default: 0]) bids")
        bids.clear()
        deadline.clear()
    }
}

/// Puts bids back in order, and tells the best and the mean price so far.
struct InOrder: KeyedProcessFunction {
    @State var waiting = SortedMapState<EventTime, [Bid]>()
    @State var best = ReducingState<Bid> { $0.price >= $1.price ? $0 : $1 }
    @State var mean = AggregatingState(Average<Bid> { Double($0.price) })

    mutating func process(_ bid: Bid, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        waiting[bid.time, default: []].append(bid)
        best.add(bid)
        mean.add(bid)
        context.registerEventTimeTimer(at: bid.time)
    }

    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<String>
    ) {
        for (time, bids) in waiting.entries(through: time) {
            for bid in bids { out.emit("\(time): \(bid.price) by \(bid.bidder)") }
            waiting[time] = nil
        }
        out.emit("at most \(best.value?.price ?? 0), \(mean.value ?? 0) on average")
    }
}

struct Person: Codable, Sendable {
    var id: Int64
    var name: String
}

/// Adds the bidder's name to bids; bids wait until the name is known.
struct WithName: KeyedCoProcessFunction {
    @State var name = ValueState<String>()
    @State var waiting = ListState<Bid>()

    mutating func processFirst(_ bid: Bid, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        if let name = name.value { out.emit("\(name): \(bid.price)") } else { waiting.append(bid) }
    }

    mutating func processSecond(_ person: Person, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        name.value = person.name
        for bid in waiting.values { out.emit("\(person.name): \(bid.price)") }
        waiting.clear()
    }
}

struct Sale: Codable, Sendable {
    var auction: Int64
    var time: EventTime
}

enum KeyedStateSnippets {
    static func last(_ bids: DataStream<Bid>, _ sales: DataStream<Sale>) throws {
        try sales.keyed(by: \.auction)
            .intervalJoin(bids.keyed(by: \.auction), lower: .seconds(-10), upper: .zero) { sale, bid in
                "auction \(sale.auction): \(bid.price) in the last ten seconds"
            }
            .write(to: .print())
    }

    static func silence(_ bids: DataStream<Bid>) throws {
        try bids.keyed(by: \.bidder).process(Silence()).write(to: .print())
    }

    static func names(_ bids: DataStream<Bid>, _ persons: DataStream<Person>) throws {
        try bids.keyed(by: \.bidder)
            .connect(persons.keyed(by: \.id))
            .process(WithName())
            .write(to: .print())
    }

    static func rolling(_ bids: DataStream<Bid>) throws -> DataStream<Bid> {
        try bids.keyed(by: \.auction).reduce { $0.price >= $1.price ? $0 : $1 }
    }
}
