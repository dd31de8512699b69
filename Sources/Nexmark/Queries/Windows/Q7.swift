// SPDX-License-Identifier: Apache-2.0
//  Highest bid: the rows that hold a window's maximum.

public import Thalweg

/// The bids with the highest price of each ten seconds, all of them if several are equal.
///
/// As the query is written, a bid also counts at the very end of a window, where the next one begins: such a bid is
/// among the results if its price happens to be the highest of the window before. So a bid goes to the window it is in,
/// and one on a boundary also to the window before, where it is only looked at.
public enum Q7: NexmarkQuery {
    public static let name = "q7"

    public struct Bid: BidRecord {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var extra: String

        public init(_ event: NexmarkPosition) {
            (auction, bidder, price) = (event.bidAuction, event.bidBidder, event.bidPrice)
            extra = event.bidExtra
        }
    }

    public struct Row: NexmarkRow, Codable {
        var auction: Int64
        var price: Int64
        var bidder: Int64
        var dateTime: EventTime
        var extra: String

        public var columns: [GoldenTable.Field] {
            [.integer(auction), .integer(price), .integer(bidder), .time(dateTime), .text(extra)]
        }
    }

    static let size: Int64 = 10_000

    /// A bid as seen by the window that ends at `windowEnd`.
    struct Candidate: Sendable {
        var windowEnd: EventTime
        var row: Row
        /// Whether the bid lies inside of the window, so that its price counts.
        var counts: Bool { row.dateTime < windowEnd }
    }

    /// Keeps the best bids of a window until it has ended.
    struct Highest: KeyedProcessFunction {
        @State var price = ValueState<Int64>()
        @State var best = ListState<Row>()

        mutating func process(
            _ bid: Candidate, _ context: KeyedContext<EventTime>, _ out: Collector<Row>
        ) {
            if let price = price.value, bid.row.price < price { return }
            if price.value == nil { context.registerEventTimeTimer(at: context.key) }
            if bid.counts && bid.row.price > price.value ?? .min {
                price.value = bid.row.price
                best.values.removeAll { $0.price < bid.row.price }
            }
            best.append(bid.row)
        }

        mutating func onTimer(
            at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<EventTime>, _ out: Collector<Row>
        ) {
            for row in best.values where row.price == price.value { out.emit(row) }
            best.clear()
            price.clear()
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Bid.self, in: env)
            .timestamps(by: \.dateTime, watermark: .boundedOutOfOrderness(.seconds(4)))
            .flatMap(Candidate.self) { bid, out in
                let time = bid.dateTime.milliseconds
                let start = time - time % size
                let row = Row(
                    auction: bid.record.auction, price: bid.record.price, bidder: bid.record.bidder,
                    dateTime: bid.dateTime, extra: bid.record.extra)
                if time == start { out.emit(Candidate(windowEnd: EventTime(milliseconds: start), row: row)) }
                out.emit(Candidate(windowEnd: EventTime(milliseconds: start + size), row: row))
            }
            .keyed(by: \.windowEnd)
            .process(Highest())
    }
}
