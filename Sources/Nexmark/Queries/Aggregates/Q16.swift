// SPDX-License-Identifier: Apache-2.0
//  Channel statistics.

public import Thalweg

/// The statistics of q15 for each channel and day, with the minute of the last bid.
public enum Q16: NexmarkQuery {
    public static let name = "q16"

    public struct Bid: BidRecord {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var channel: String

        public init(_ event: NexmarkPosition) {
            (auction, bidder, price) = (event.bidAuction, event.bidBidder, event.bidPrice)
            channel = event.bidChannel
        }
    }

    public struct Key: Hashable, Codable, Sendable {
        var channel: String
        var day: Day
    }

    public struct Row: NexmarkRow {
        var key: Key
        /// The latest minute of the day.
        var minute: Int64
        var statistics: BidStatistics

        public static let keyColumns = [0, 1]
        public var columns: [GoldenTable.Field] {
            let digits = { (number: Int64) in number < 10 ? "0\(number)" : "\(number)" }
            return [.text(key.channel), key.day.field, .text(digits(minute / 60) + ":" + digits(minute % 60))]
                + statistics.columns
        }
    }

    struct Statistics: KeyedProcessFunction {
        struct Counts: Codable {
            var minute: Int64 = 0
            var statistics = BidStatistics()
        }

        @State var counts = ValueState<Counts>()
        @State var bidders = MapState<Int64, UInt8>()
        @State var auctions = MapState<Int64, UInt8>()

        mutating func process(_ bid: Timed<Bid>, _ context: KeyedContext<Key>, _ out: Collector<Row>) {
            let rank = PriceRank.bit(bid.record.price)
            var counts = counts.value ?? Counts()
            counts.minute = max(
                counts.minute, bid.dateTime.milliseconds.flooredDivision(by: 86_400_000).remainder / 60_000)
            counts.statistics.bids.total += 1
            counts.statistics.bids.add(rank)
            counts.statistics.bidders.addDistinct(rank, seen: &bidders[bid.record.bidder, default: 0])
            counts.statistics.auctions.addDistinct(rank, seen: &auctions[bid.record.auction, default: 0])
            self.counts.value = counts
            out.emit(Row(key: context.key, minute: counts.minute, statistics: counts.statistics))
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Bid.self, in: env)
            .keyed { Key(channel: $0.record.channel, day: Day($0.dateTime)) }
            .process(Statistics())
    }
}
