// SPDX-License-Identifier: Apache-2.0
//  Selection.

public import Thalweg

/// The bids on every 123rd auction.
public enum Q2: NexmarkQuery {
    public static let name = "q2"

    public struct Bid: BidRecord {
        var auction: Int64
        var price: Int64

        public init(_ event: NexmarkPosition) { (auction, price) = (event.bidAuction, event.bidPrice) }
    }

    public struct Row: NexmarkRow {
        var auction: Int64
        var price: Int64

        public var columns: [GoldenTable.Field] { [.integer(auction), .integer(price)] }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Bid.self, in: env)
            .filter { $0.record.auction % 123 == 0 }
            .map { Row(auction: $0.record.auction, price: $0.record.price) }
    }
}
