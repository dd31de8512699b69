// SPDX-License-Identifier: Apache-2.0
//  Which auctions had the most bids in the last ten seconds? Asked anew every two seconds.

import Thalweg

/// An event of the Nexmark workload, as far as this job needs it: persons and auctions have no bid.
struct Event: Codable, Sendable {
    var ms: EventTime
    var bid: Bid?
}

struct Bid: Codable, Sendable {
    var auction: Int64
}

/// The bids that an auction had in the ten seconds before `windowEnd`.
struct Hot: Codable, Sendable {
    var auction: Int64
    var bids: Int64
    var windowEnd: EventTime
}

@main
struct HotItems: StreamJob {
    static let abstract = "Finds the auctions with the most bids in every sliding window of a Nexmark stream."

    @Option(help: "JSON lines with Nexmark events.") var input: String
    @Option(help: "The CSV file to write.") var output = "hot-items.csv"

    func build(_ env: StreamEnvironment) throws {
        try env.read(.files(input, format: .json(Event.self)), name: "events")
            .timestamps(by: \.ms, watermark: .boundedOutOfOrderness(.seconds(4)))
            .compactMap(name: "bids") { $0.bid }
            .keyed(by: \.auction)
            .window(.sliding(size: .seconds(10), slide: .seconds(2)))
            .aggregate(Count(), name: "count") { auction, bids, window in
                Hot(auction: auction, bids: bids, windowEnd: window.end)
            }
            // A result carries the last millisecond of its window as its time: the counts of the windows that end
            // together meet in the tumbling window that ends with them.
            .keyed(by: \.windowEnd)
            .window(.tumbling(.seconds(2)))
            .aggregate(Hottest(), name: "hottest") { _, hottest, _ in hottest }
            .flatMap(Hot.self, name: "one by one") { hottest, out in for hot in hottest { out.emit(hot) } }
            .write(to: .files(output, format: .csv))
    }
}

/// Keeps the counts that no other exceeds.
struct Hottest: AggregateFunction {
    func makeAccumulator() -> [Hot] { [] }

    func add(_ hot: Hot, to best: inout [Hot]) {
        if let most = best.first?.bids, most >= hot.bids {
            if most == hot.bids { best.append(hot) }
        } else {
            best = [hot]
        }
    }

    func merge(_ other: [Hot], into best: inout [Hot]) { for hot in other { add(hot, to: &best) } }

    func result(_ best: [Hot]) -> [Hot] { best }
}
