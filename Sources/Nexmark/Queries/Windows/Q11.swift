// SPDX-License-Identifier: Apache-2.0
//  User sessions.

public import Thalweg

/// How many bids did somebody make in a stretch without a pause of ten seconds?
public enum Q11: NexmarkQuery {
    public static let name = "q11"

    public struct Bid: BidRecord {
        var bidder: Int64

        public init(_ event: NexmarkPosition) { bidder = event.bidBidder }
    }

    public struct Row: NexmarkRow {
        var bidder: Int64
        var bids: Int64
        var window: TimeWindow

        public var columns: [GoldenTable.Field] {
            [.integer(bidder), .integer(bids), .time(window.start), .time(window.end)]
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Bid.self, in: env)
            .timestamps(by: \.dateTime, watermark: .boundedOutOfOrderness(.seconds(4)))
            .keyed(by: \.record.bidder)
            .window(.session(gap: .seconds(10)))
            .aggregate(Count()) { bidder, bids, window in Row(bidder: bidder, bids: bids, window: window) }
    }
}
