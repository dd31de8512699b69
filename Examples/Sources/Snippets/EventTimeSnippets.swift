// SPDX-License-Identifier: Apache-2.0
//  The code of "Event time and watermarks".

import Thalweg

enum EventTimeSnippets {
    static func timestamps(_ env: StreamEnvironment) throws {
        let bids = try env.read(.files("bids/*.jsonl.gz", format: .json(Bid.self)), name: "bids")
            .timestamps(by: \.time, watermark: .boundedOutOfOrderness(.seconds(4)))
        bids.write(to: .print())
    }

    static func strategies() -> [WatermarkStrategy] {
        [
            .boundedOutOfOrderness(.seconds(4)),
            .ascending,
            .none,
            .boundedOutOfOrderness(.seconds(4)).withIdleness(.seconds(30)),
            .boundedOutOfOrderness(.seconds(4)).aligned(group: "bids", maxDrift: .minutes(1)),
        ]
    }
}
