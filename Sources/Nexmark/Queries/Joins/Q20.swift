// SPDX-License-Identifier: Apache-2.0
//  Expand bids with their auctions.

public import Thalweg

/// Every bid on an auction of category 10, with the auction.
///
/// A bid that comes before its auction waits for it.
public enum Q20: NexmarkQuery {
    public static let name = "q20"

    public struct Row: NexmarkRow {
        var bid: Timed<Q18.Bid>
        var auction: Timed<Q9.Auction>

        public var columns: [GoldenTable.Field] {
            let auction = self.auction.record
            return bid.record.columns(bid.dateTime) + [
                .text(auction.itemName), .text(auction.description), .integer(auction.initialBid),
                .integer(auction.reserve), .time(self.auction.dateTime), .time(auction.expires),
                .integer(auction.seller), .integer(auction.category), .text(auction.extra),
            ]
        }
    }

    struct Join: KeyedProcessFunction {
        /// What is known of an auction: whether its bids are wanted.
        enum Known: Codable {
            case wanted(Timed<Q9.Auction>)
            case other
        }

        @State var auction = ValueState<Known>()
        @State var early = ListState<Timed<Q18.Bid>>()

        mutating func process(
            _ event: AuctionOrBid<Q9.Auction, Q18.Bid>, _ context: KeyedContext<Int64>, _ out: Collector<Row>
        ) {
            // Most auctions are of other categories: their bids end here.
            if case .other = auction.value { return }
            switch event {
            case .auction(let auction):
                if auction.record.category == 10 {
                    self.auction.value = .wanted(auction)
                    for bid in early.values { out.emit(Row(bid: bid, auction: auction)) }
                } else {
                    self.auction.value = .other
                }
                if !early.isEmpty { early.clear() }
            case .bid(let bid):
                if case .wanted(let auction) = auction.value {
                    out.emit(Row(bid: bid, auction: auction))
                } else {
                    early.append(bid)
                }
            }
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.auctionsAndBids(Q9.Auction.self, Q18.Bid.self, in: env)
            .keyed { event in
                switch event {
                case .auction(let auction): auction.record.id
                case .bid(let bid): bid.record.auction
                }
            }
            .process(Join())
    }
}
