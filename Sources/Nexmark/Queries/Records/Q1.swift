// SPDX-License-Identifier: Apache-2.0
//  Currency conversion.

public import Thalweg

/// Every bid with its price in euros.
public enum Q1: NexmarkQuery {
    public static let name = "q1"

    public struct Row: NexmarkRow {
        var auction: Int64
        var bidder: Int64
        /// In thousandths, which makes the conversion exact.
        var price: Int64
        var dateTime: EventTime
        var extra: String

        public var columns: [GoldenTable.Field] {
            [
                .integer(auction), .integer(bidder), .decimal(unscaled: price, scale: 3), .time(dateTime),
                .text(extra),
            ]
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Q0.Bid.self, in: env).map { bid in
            Row(
                auction: bid.record.auction, bidder: bid.record.bidder, price: bid.record.price * 908,
                dateTime: bid.dateTime, extra: bid.record.extra)
        }
    }
}
