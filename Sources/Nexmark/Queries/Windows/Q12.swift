// SPDX-License-Identifier: Apache-2.0
//  Bids by the clock on the wall.

public import Thalweg

/// How many bids of each bidder were processed in each ten seconds of processing time?
///
/// The result depends on when the query runs.
public enum Q12: NexmarkQuery {
    public static let name = "q12"

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Q11.Row> {
        try input.bids(Q11.Bid.self, in: env)
            .keyed(by: \.record.bidder)
            .window(.processingTimeTumbling(size: .seconds(10)))
            .aggregate(Count()) { bidder, bids, window in Q11.Row(bidder: bidder, bids: bids, window: window) }
    }
}
