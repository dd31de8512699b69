// SPDX-License-Identifier: Apache-2.0
//  Pass-through.

public import Thalweg

/// Every bid as it is: what it costs to get events in and rows out.
public enum Q0: NexmarkQuery {
    public static let name = "q0"

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
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var dateTime: EventTime
        var extra: String

        public var columns: [GoldenTable.Field] {
            [.integer(auction), .integer(bidder), .integer(price), .time(dateTime), .text(extra)]
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Bid.self, in: env).map { bid in
            Row(
                auction: bid.record.auction, bidder: bid.record.bidder, price: bid.record.price,
                dateTime: bid.dateTime, extra: bid.record.extra)
        }
    }
}
