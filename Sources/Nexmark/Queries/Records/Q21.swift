// SPDX-License-Identifier: Apache-2.0
//  Add a channel id.

public import Thalweg

/// Bids with the id of their channel: well-known channels have one, others carry it in the address.
public enum Q21: NexmarkQuery {
    public static let name = "q21"

    public struct Bid: BidRecord {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var channel: String
        var url: String

        public init(_ event: NexmarkPosition) {
            (auction, bidder, price) = (event.bidAuction, event.bidBidder, event.bidPrice)
            (channel, url) = (event.bidChannel, event.bidURL)
        }
    }

    public struct Row: NexmarkRow {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var channel: String
        var channelID: String

        public var columns: [GoldenTable.Field] {
            [.integer(auction), .integer(bidder), .integer(price), .text(channel), .text(channelID)]
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Bid.self, in: env).compactMap { bid in
            let bid = bid.record
            guard let id = URLText.channelID(ofName: bid.channel) ?? URLText.channelID(in: bid.url) else { return nil }
            return Row(auction: bid.auction, bidder: bid.bidder, price: bid.price, channel: bid.channel, channelID: id)
        }
    }
}
