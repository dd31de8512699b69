// SPDX-License-Identifier: Apache-2.0
//  The records that the articles speak of.

import Thalweg

struct Bid: Codable, Sendable {
    var auction: Int64
    var bidder: Int64
    var price: Int64
    var time: EventTime
}

struct Hot: Codable, Sendable {
    var auction: Int64
    var bids: Int64
    var windowEnd: EventTime
}

/// Bids with their timestamps, as most articles begin.
func bids(_ env: StreamEnvironment) throws -> DataStream<Bid> {
    try env.read(.files("bids.jsonl", format: .json(Bid.self)), name: "bids")
        .timestamps(by: \.time, watermark: .boundedOutOfOrderness(.seconds(4)))
}
