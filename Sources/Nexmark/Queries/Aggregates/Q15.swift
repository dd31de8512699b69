// SPDX-License-Identifier: Apache-2.0
//  Bidding statistics: many distinct counts at once.

public import Thalweg

/// Bids, distinct bidders and distinct auctions of each day, in all and by rank of price.
public enum Q15: NexmarkQuery {
    public static let name = "q15"

    public struct Bid: BidRecord {
        var auction: Int64
        var bidder: Int64
        var price: Int64

        public init(_ event: NexmarkPosition) {
            (auction, bidder, price) = (event.bidAuction, event.bidBidder, event.bidPrice)
        }
    }

    public struct Row: NexmarkRow {
        var day: Day
        var statistics: BidStatistics

        public static let keyColumns = [0]
        public var columns: [GoldenTable.Field] { [day.field] + statistics.columns }
    }

    /// For each bidder and auction one byte says at which ranks they were seen, so that one look-up serves the total
    /// and the ranks.
    struct Statistics: KeyedProcessFunction {
        @State var statistics = ValueState<BidStatistics>()
        @State var bidders = MapState<Int64, UInt8>()
        @State var auctions = MapState<Int64, UInt8>()

        mutating func process(_ bid: Timed<Bid>, _ context: KeyedContext<Day>, _ out: Collector<Row>) {
            let rank = PriceRank.bit(bid.record.price)
            var counts = statistics.value ?? BidStatistics()
            counts.bids.total += 1
            counts.bids.add(rank)
            counts.bidders.addDistinct(rank, seen: &bidders[bid.record.bidder, default: 0])
            counts.auctions.addDistinct(rank, seen: &auctions[bid.record.auction, default: 0])
            statistics.value = counts
            out.emit(Row(day: context.key, statistics: counts))
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Bid.self, in: env)
            .keyed { Day($0.dateTime) }
            .process(Statistics())
    }
}
