// SPDX-License-Identifier: Apache-2.0
//  Auction statistics.

public import Thalweg

/// The number of bids and the least, greatest, average and total price of each auction and day.
public enum Q17: NexmarkQuery {
    public static let name = "q17"

    public struct Key: Hashable, Codable, Sendable {
        var auction: Int64
        var day: Day
    }

    public struct Prices: Codable, Sendable {
        var bids = RankCounts()
        var least = Int64.max
        var greatest = Int64.min
        var sum: Int64 = 0
    }

    public struct Row: NexmarkRow {
        var key: Key
        var prices: Prices

        public static let keyColumns = [0, 1]
        public var columns: [GoldenTable.Field] {
            [.integer(key.auction), key.day.field] + prices.bids.columns
                + [
                    .integer(prices.least), .integer(prices.greatest), .integer(prices.sum / prices.bids.total),
                    .integer(prices.sum),
                ]
        }
    }

    struct Statistics: AggregateFunction {
        func makeAccumulator() -> Prices { Prices() }
        func add(_ bid: Timed<Q2.Bid>, to prices: inout Prices) {
            let price = bid.record.price
            prices.bids.total += 1
            prices.bids.add(PriceRank.bit(price))
            prices.least = min(prices.least, price)
            prices.greatest = max(prices.greatest, price)
            prices.sum += price
        }
        func merge(_ other: Prices, into prices: inout Prices) {
            prices.bids.total += other.bids.total
            prices.bids.rank1 += other.bids.rank1
            prices.bids.rank2 += other.bids.rank2
            prices.bids.rank3 += other.bids.rank3
            prices.least = min(prices.least, other.least)
            prices.greatest = max(prices.greatest, other.greatest)
            prices.sum += other.sum
        }
        func result(_ prices: Prices) -> Prices { prices }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Q2.Bid.self, in: env)
            .keyed { Key(auction: $0.record.auction, day: Day($0.dateTime)) }
            .aggregate(Statistics()) { key, prices in Row(key: key, prices: prices) }
    }
}
