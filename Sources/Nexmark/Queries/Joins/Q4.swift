// SPDX-License-Identifier: Apache-2.0
//  Average price for a category: an aggregate over an aggregate.

public import Thalweg

/// The average of the winning prices of all auctions of a category.
public enum Q4: NexmarkQuery {
    public static let name = "q4"

    public struct Auction: AuctionRecord {
        var id: Int64
        var category: Int64
        var expires: EventTime

        public init(_ event: NexmarkPosition) {
            (id, category, expires) = (event.auctionID, event.auctionCategory, event.auctionExpires)
        }
    }

    public struct Bid: BidRecord {
        var auction: Int64
        var price: Int64

        public init(_ event: NexmarkPosition) { (auction, price) = (event.bidAuction, event.bidPrice) }
    }

    public struct Row: NexmarkRow {
        var category: Int64
        var average: Int64

        public static let keyColumns = [0]
        public var columns: [GoldenTable.Field] { [.integer(category), .integer(average)] }
    }

    /// What a new highest bid changes in its category.
    struct Change: Sendable {
        var category: Int64
        /// How much the sum of the winning prices grows.
        var price: Int64
        /// 1 with an auction's first bid, else 0.
        var auctions: Int64
    }

    /// The highest bid of each auction while it is open.
    struct WinningPrice: KeyedProcessFunction {
        struct Offer: Codable {
            var category: Int64
            var opens: EventTime
            var expires: EventTime
            var price: Int64?
        }

        @State var offer = ValueState<Offer>()
        @State var early = ListState<TimedPrice>()

        struct TimedPrice: Codable {
            var price: Int64
            var dateTime: EventTime
        }

        mutating func process(
            _ event: AuctionOrBid<Auction, Bid>, _ context: KeyedContext<Int64>, _ out: Collector<Change>
        ) {
            switch event {
            case .auction(let auction):
                offer.value = Offer(
                    category: auction.record.category, opens: auction.dateTime, expires: auction.record.expires)
                guard !early.isEmpty else { return }
                for bid in early.values { take(bid, out) }
                early.clear()
            case .bid(let bid):
                let bid = TimedPrice(price: bid.record.price, dateTime: bid.dateTime)
                if offer.value == nil { early.append(bid) } else { take(bid, out) }
            }
        }

        private func take(_ bid: TimedPrice, _ out: Collector<Change>) {
            guard let offer = offer.value, offer.opens <= bid.dateTime, bid.dateTime <= offer.expires else { return }
            if let price = offer.price {
                if bid.price <= price { return }
                out.emit(Change(category: offer.category, price: bid.price - price, auctions: 0))
            } else {
                out.emit(Change(category: offer.category, price: bid.price, auctions: 1))
            }
            self.offer.value?.price = bid.price
        }
    }

    /// The sum and the number of the winning prices of a category.
    struct Average: AggregateFunction {
        struct Accumulator: Codable {
            var sum: Int64 = 0
            var auctions: Int64 = 0
        }

        func makeAccumulator() -> Accumulator { Accumulator() }
        func add(_ change: Change, to average: inout Accumulator) {
            average.sum += change.price
            average.auctions += change.auctions
        }
        func merge(_ other: Accumulator, into average: inout Accumulator) {
            average.sum += other.sum
            average.auctions += other.auctions
        }
        func result(_ average: Accumulator) -> Int64 { average.sum / average.auctions }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.auctionsAndBids(Auction.self, Bid.self, in: env)
            .keyed { event in
                switch event {
                case .auction(let auction): auction.record.id
                case .bid(let bid): bid.record.auction
                }
            }
            .process(WinningPrice())
            .keyed(by: \.category)
            .aggregate(Average()) { category, average in Row(category: category, average: average) }
    }
}
