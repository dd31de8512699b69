// SPDX-License-Identifier: Apache-2.0
//  Directories of addresses.

public import Thalweg

/// Bids with the first three directories of their address.
public enum Q22: NexmarkQuery {
    public static let name = "q22"

    public struct Row: NexmarkRow {
        var auction: Int64
        var bidder: Int64
        var price: Int64
        var channel: String
        var directories: (String?, String?, String?)

        public var columns: [GoldenTable.Field] {
            [.integer(auction), .integer(bidder), .integer(price), .text(channel)]
                + [directories.0, directories.1, directories.2].map { $0.map { .text($0) } ?? .null }
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Q21.Bid.self, in: env).map { bid in
            Row(
                auction: bid.record.auction, bidder: bid.record.bidder, price: bid.record.price,
                channel: bid.record.channel, directories: URLText.directories(of: bid.record.url))
        }
    }
}
