// SPDX-License-Identifier: Apache-2.0
//  The last bid: a table of the newest row of each key.

public import Thalweg

/// The last bid of each bidder on each auction.
public enum Q18: NexmarkQuery {
    public static let name = "q18"

    public struct Bid: BidRecord {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var channel: String
        var url: String
        var extra: String

        public init(_ event: NexmarkPosition) {
            (auction, bidder, price) = (event.bidAuction, event.bidBidder, event.bidPrice)
            (channel, url, extra) = (event.bidChannel, event.bidURL, event.bidExtra)
        }

        func columns(_ dateTime: EventTime) -> [GoldenTable.Field] {
            [
                .integer(auction), .integer(bidder), .integer(price), .text(channel), .text(url), .time(dateTime),
                .text(extra),
            ]
        }
    }

    public struct Key: Hashable, Codable, Sendable {
        var bidder: Int64
        var auction: Int64
    }

    public struct Row: NexmarkRow {
        var bid: Timed<Bid>

        public static let keyColumns = [0, 1]
        public var columns: [GoldenTable.Field] { bid.record.columns(bid.dateTime) }
    }

    struct Last: KeyedProcessFunction {
        @State var last = ValueState<EventTime>()

        mutating func process(_ bid: Timed<Bid>, _ context: KeyedContext<Key>, _ out: Collector<Row>) {
            if let last = last.value, last >= bid.dateTime { return }
            last.value = bid.dateTime
            out.emit(Row(bid: bid))
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Bid.self, in: env)
            .keyed { Key(bidder: $0.record.bidder, auction: $0.record.auction) }
            .process(Last())
    }
}
