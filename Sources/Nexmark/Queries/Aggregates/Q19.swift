// SPDX-License-Identifier: Apache-2.0
//  Auction top ten.

public import Thalweg

/// The ten highest bids of each auction, of equal ones the earlier first.
public enum Q19: NexmarkQuery {
    public static let name = "q19"

    /// A bid and its place. A new bid pushes others down, so their places are given anew.
    public struct Row: NexmarkRow {
        var bid: Timed<Q18.Bid>
        var rank: Int

        public static let keyColumns = [0, 7]
        public var columns: [GoldenTable.Field] { bid.record.columns(bid.dateTime) + [.integer(Int64(rank))] }
    }

    struct TopTen: KeyedProcessFunction {
        @State var top = ListState<Timed<Q18.Bid>>()

        mutating func process(_ bid: Timed<Q18.Bid>, _ context: KeyedContext<Int64>, _ out: Collector<Row>) {
            var place = top.count
            while place > 0 && bid.standing > top[place - 1].standing { place -= 1 }
            if place == 10 { return }
            if top.isEmpty { top.values.reserveCapacity(10) }
            if top.count == 10 { top.popLast() }
            top.insert(bid, at: place)
            for rank in place..<top.count { out.emit(Row(bid: top[rank], rank: rank + 1)) }
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.bids(Q18.Bid.self, in: env)
            .keyed(by: \.record.auction)
            .process(TopTen())
    }
}

/// What decides between two bids: the price, then who came first.
private struct Standing: Comparable {
    var price: Int64
    var dateTime: EventTime

    static func < (left: Standing, right: Standing) -> Bool {
        left.price != right.price ? left.price < right.price : left.dateTime > right.dateTime
    }
}

extension Timed<Q18.Bid> {
    fileprivate var standing: Standing { Standing(price: record.price, dateTime: dateTime) }
}
