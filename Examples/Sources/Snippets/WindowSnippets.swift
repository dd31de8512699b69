// SPDX-License-Identifier: Apache-2.0
//  The code of "Windows".

import Thalweg

enum WindowSnippets {
    static func hot(_ bids: DataStream<Bid>) throws -> DataStream<Hot> {
        try bids.keyed(by: \.auction)
            .window(.sliding(size: .seconds(10), slide: .seconds(2)))
            .aggregate(Count()) { auction, bids, window in
                Hot(auction: auction, bids: bids, windowEnd: window.end)
            }
    }

    static func assigners() -> [WindowAssigner] {
        [
            .tumbling(.hours(1)),
            .tumbling(size: .hours(24), offset: .hours(-2)),
            .sliding(size: .seconds(10), slide: .seconds(2)),
            .session(gap: .minutes(30)),
            .processingTimeTumbling(size: .seconds(5)),
        ]
    }

    static func late(_ bids: DataStream<Bid>) throws {
        let tooLate = OutputTag<Bid>("too late")
        let counts = try bids.keyed(by: \.auction)
            .window(.tumbling(.minutes(1)))
            .allowedLateness(.minutes(5))
            .lateRecords(to: tooLate)
            .aggregate(Count()) { auction, bids, window in
                Hot(auction: auction, bids: bids, windowEnd: window.end)
            }
        try counts.write(to: .files("counts.csv", format: .csv))
        try counts.sideOutput(tooLate).write(to: .files("late.jsonl", format: .json))
    }

    static func triggered(_ bids: DataStream<Bid>) throws -> DataStream<String> {
        try bids.keyed(by: \.auction)
            .window(.global)
            .trigger(PurgingTrigger(of: CountTrigger<Bid>(100)))
            .aggregate(Average { Double($0.price) }) { auction, price, _ in "\(auction): \(price ?? 0)" }
    }

    static func joined(_ sales: DataStream<Sale>, _ bids: DataStream<Bid>) throws -> DataStream<String> {
        try sales.keyed(by: \.auction)
            .join(bids.keyed(by: \.auction), window: .tumbling(.hours(1))) { sale, bid in
                "auction \(sale.auction): \(bid.price) in the same hour"
            }
    }

    static func all(_ bids: DataStream<Bid>) throws -> DataStream<Int64> {
        try bids.keyed(by: \.bidder)
            .window(.session(gap: .minutes(30)))
            .process(Int64.self) { bidder, window, bids, out in
                if bids.count >= 3 { out.emit(bidder) }
            }
    }
}

/// The difference between the greatest and the least price.
struct Spread: AggregateFunction {
    struct Range: Codable, Sendable {
        var least = Int64.max
        var greatest = Int64.min
    }

    func makeAccumulator() -> Range { Range() }

    func add(_ bid: Bid, to range: inout Range) {
        range.least = min(range.least, bid.price)
        range.greatest = max(range.greatest, bid.price)
    }

    func merge(_ other: Range, into range: inout Range) {
        range.least = min(range.least, other.least)
        range.greatest = max(range.greatest, other.greatest)
    }

    func result(_ range: Range) -> Int64 { range.greatest - range.least }
}
