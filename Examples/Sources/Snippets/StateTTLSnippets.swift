// SPDX-License-Identifier: Apache-2.0
//  The code of "State that expires".

import Thalweg

/// Reports who bids again within ten minutes, and who fell silent.
struct Returning: KeyedProcessFunction {
    static let silent = OutputTag<Int64>("silent")
    @State var last = ValueState<Bid>(ttl: StateTTL(.minutes(10), domain: .eventTime))
    @State var auctions = MapState<Int64, Int>(ttl: StateTTL(.hours(1), update: .onReadAndWrite, domain: .eventTime))
    @Side var silent = SideOutput(Returning.silent)

    init() {
        let silent = silent
        last.onExpired { (bidder: Int64, _: Bid) in silent.emit(bidder) }
    }

    mutating func process(_ bid: Bid, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        if let last = last.value { out.emit("\(context.key) again, after \(last.price)") }
        last.value = bid
        auctions[bid.auction, default: 0] += 1
    }
}

enum StateTTLSnippets {
    static func returning(_ bids: DataStream<Bid>) throws {
        let returning = try bids.keyed(by: \.bidder).process(Returning())
        returning.write(to: .print())
        try returning.sideOutput(Returning.silent).write(to: .print())
    }

    static func best(_ bids: DataStream<Bid>) throws -> DataStream<Bid> {
        try bids.keyed(by: \.auction).reduce(ttl: StateTTL(.hours(2))) { $0.price >= $1.price ? $0 : $1 }
    }
}
