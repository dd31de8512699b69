// SPDX-License-Identifier: Apache-2.0
//  Hot items: sliding windows, then the best of each.

public import Thalweg

/// Which auctions had the most bids in the last ten seconds, every two seconds?
public enum Q5: NexmarkQuery {
    public static let name = "q5"

    public struct Bid: BidRecord {
        var auction: Int64

        public init(_ event: NexmarkPosition) { auction = event.bidAuction }
    }

    public struct Row: NexmarkRow, Codable {
        var auction: Int64
        var bids: Int64
        var windowEnd: EventTime

        public var columns: [GoldenTable.Field] { [.integer(auction), .integer(bids), .time(windowEnd)] }
    }

    /// The rows with the highest count, several if they are equal.
    struct Hottest: AggregateFunction {
        func makeAccumulator() -> [Row] { [] }
        func add(_ row: Row, to hottest: inout [Row]) {
            if let best = hottest.first {
                if row.bids < best.bids { return }
                if row.bids > best.bids { hottest.removeAll(keepingCapacity: true) }
            }
            hottest.append(row)
        }
        func merge(_ other: [Row], into hottest: inout [Row]) { for row in other { add(row, to: &hottest) } }
        func result(_ hottest: [Row]) -> [Row] { hottest }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Bid.self, in: env)
            .timestamps(by: \.dateTime, watermark: .boundedOutOfOrderness(.seconds(4)))
            .keyed(by: \.record.auction)
            .window(.sliding(size: .seconds(10), slide: .seconds(2)))
            .aggregate(Count()) { auction, bids, window in Row(auction: auction, bids: bids, windowEnd: window.end) }
            .keyed(by: \.windowEnd)
            .window(.tumbling(.seconds(2)))
            .aggregate(Hottest()) { _, hottest, _ in hottest }
            .flatMap { hottest, out in for row in hottest { out.emit(row) } }
    }
}
