// SPDX-License-Identifier: Apache-2.0
//  Winning bids.

public import Thalweg

/// Every auction with its winning bid: the highest while the auction is open, of equal ones the earliest.
public enum Q9: NexmarkQuery {
    public static let name = "q9"

    public struct Auction: AuctionRecord {
        var id: Int64
        var itemName: String
        var description: String
        var initialBid: Int64
        var reserve: Int64
        var expires: EventTime
        var seller: Int64
        var category: Int64
        var extra: String

        public init(_ event: NexmarkPosition) {
            (id, itemName, description) = (event.auctionID, event.auctionItemName, event.auctionDescription)
            (initialBid, reserve) = (event.auctionInitialBid, event.auctionReserve)
            (expires, seller, category) = (event.auctionExpires, event.auctionSeller, event.auctionCategory)
            extra = event.auctionExtra
        }
    }

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

    public struct Row: NexmarkRow {
        var auction: Timed<Auction>
        var bid: Timed<Bid>

        public static let keyColumns = [0]
        public var columns: [GoldenTable.Field] {
            let (auction, bid) = (self.auction.record, self.bid.record)
            return [
                .integer(auction.id), .text(auction.itemName), .text(auction.description),
                .integer(auction.initialBid), .integer(auction.reserve), .time(self.auction.dateTime),
                .time(auction.expires), .integer(auction.seller), .integer(auction.category), .text(auction.extra),
                .integer(bid.auction), .integer(bid.bidder), .integer(bid.price), .time(self.bid.dateTime),
                .text(bid.extra),
            ]
        }
    }

    /// Gives a row for every bid that becomes the best of its auction.
    struct WinningBid: KeyedProcessFunction {
        struct Best: Codable {
            var price: Int64
            var dateTime: EventTime
        }

        @State var auction = ValueState<Timed<Auction>>()
        @State var best = ValueState<Best>()
        @State var early = ListState<Timed<Bid>>()

        mutating func process(
            _ event: AuctionOrBid<Auction, Bid>, _ context: KeyedContext<Int64>, _ out: Collector<Row>
        ) {
            switch event {
            case .auction(let auction):
                self.auction.value = auction
                guard !early.isEmpty else { return }
                for bid in early.values { take(bid, on: auction, out) }
                early.clear()
            case .bid(let bid):
                if let best = best.value, bid.record.price < best.price { return }
                if let auction = auction.value { take(bid, on: auction, out) } else { early.append(bid) }
            }
        }

        private func take(_ bid: Timed<Bid>, on auction: Timed<Auction>, _ out: Collector<Row>) {
            guard auction.dateTime <= bid.dateTime, bid.dateTime <= auction.record.expires else { return }
            if let best = best.value,
                best.price > bid.record.price || best.price == bid.record.price && best.dateTime <= bid.dateTime
            {
                return
            }
            best.value = Best(price: bid.record.price, dateTime: bid.dateTime)
            out.emit(Row(auction: auction, bid: bid))
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.auctionsAndBids(Auction.self, Bid.self, in: env)
            .keyed { event in
                switch event {
                case .auction(let auction): auction.record.id
                case .bid(let bid): bid.record.auction
                }
            }
            .process(WinningBid())
    }
}
