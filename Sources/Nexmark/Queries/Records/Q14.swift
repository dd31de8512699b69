// SPDX-License-Identifier: Apache-2.0
//  Calculation.

public import Thalweg

/// Bids in a range of prices, with the time of day in words and a count of letters.
public enum Q14: NexmarkQuery {
    public static let name = "q14"

    /// When a bid was made.
    enum TimeOfDay: String {
        case dayTime, nightTime, otherTime

        init(_ time: EventTime) {
            let hour = time.milliseconds.flooredDivision(by: 3_600_000).quotient.flooredDivision(by: 24).remainder
            switch hour {
            case 8...18: self = .dayTime
            case ...6, 20...: self = .nightTime
            default: self = .otherTime
            }
        }
    }

    public struct Row: NexmarkRow {
        var auction: Int64
        var bidder: Int64
        /// In thousandths.
        var price: Int64
        var timeOfDay: TimeOfDay
        var dateTime: EventTime
        var extra: String
        /// How often the letter c stands in `extra`.
        var cCount: Int

        public var columns: [GoldenTable.Field] {
            [
                .integer(auction), .integer(bidder), .decimal(unscaled: price, scale: 3), .text(timeOfDay.rawValue),
                .time(dateTime), .text(extra), .integer(Int64(cCount)),
            ]
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Q0.Bid.self, in: env).compactMap { bid in
            let price = bid.record.price * 908
            guard price > 1_000_000_000 && price < 50_000_000_000 else { return nil }
            return Row(
                auction: bid.record.auction, bidder: bid.record.bidder, price: price,
                timeOfDay: TimeOfDay(bid.dateTime), dateTime: bid.dateTime, extra: bid.record.extra,
                cCount: bid.record.extra.utf8.count { $0 == UInt8(ascii: "c") })
        }
    }
}
