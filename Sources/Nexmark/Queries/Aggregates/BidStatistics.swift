// SPDX-License-Identifier: Apache-2.0
//  Counts of bids by rank of price, shared by several queries.

import Thalweg

/// The three ranks of a bid's price, as one bit each.
enum PriceRank {
    static func bit(_ price: Int64) -> UInt8 { price < 10_000 ? 1 : price < 1_000_000 ? 2 : 4 }
}

/// How many things there are: in all, and by rank of price.
struct RankCounts: Codable, Sendable {
    var total: Int64 = 0
    var rank1: Int64 = 0
    var rank2: Int64 = 0
    var rank3: Int64 = 0

    /// Counts one more of the ranks given by their bits.
    mutating func add(_ ranks: UInt8) {
        rank1 += Int64(ranks & 1)
        rank2 += Int64(ranks >> 1 & 1)
        rank3 += Int64(ranks >> 2 & 1)
    }

    /// Counts something distinct that was seen with the ranks `seen` and is now seen with `rank`.
    mutating func addDistinct(_ rank: UInt8, seen: inout UInt8) {
        if seen & rank != 0 { return }
        if seen == 0 { total += 1 }
        add(rank)
        seen |= rank
    }

    var columns: [GoldenTable.Field] { [.integer(total), .integer(rank1), .integer(rank2), .integer(rank3)] }
}

/// Counts of bids, and of distinct bidders and auctions.
struct BidStatistics: Codable, Sendable {
    var bids = RankCounts()
    var bidders = RankCounts()
    var auctions = RankCounts()

    var columns: [GoldenTable.Field] { bids.columns + bidders.columns + auctions.columns }
}

/// A day of event time, counted from 1970.
@frozen
public struct Day: Hashable, Codable, Sendable {
    var number: Int64

    init(_ time: EventTime) { number = time.milliseconds.flooredDivision(by: 86_400_000).quotient }

    /// `yyyy-MM-dd`
    var field: GoldenTable.Field {
        var text: [UInt8] = []
        EventTime(milliseconds: number * 86_400_000).appendISO8601(to: &text)
        return .text(String(decoding: text.prefix(10), as: UTF8.self))
    }
}
