// SPDX-License-Identifier: Apache-2.0
//  The code of "State of a subtask".

import Thalweg

struct SettingAside: ProcessFunction {
    @State var lost = OperatorListState<Bid>(.split)

    mutating func process(_ bid: Bid, _ context: ProcessContext, _ out: Collector<Bid>) {
        if bid.price == 0 { lost.append(bid) } else { out.emit(bid) }
    }
}

struct Position: Codable, Sendable {
    var partition: Int
    var offset: Int64
}

struct Following: ProcessFunction {
    @State var positions = OperatorListState<Position>(.union)

    mutating func open(_ context: ProcessContext) throws {
        guard context.isRestored else { return }
        var mine: [Position] = []
        try positions.forEachRestored { if $0.partition % context.parallelism == context.subtask { mine.append($0) } }
        positions.replace(with: mine)
    }

    mutating func process(_ position: Position, _ context: ProcessContext, _ out: Collector<Position>) {
        positions.removeAll { $0.partition == position.partition }
        positions.append(position)
    }
}

struct Limit: Codable, Sendable {
    var bidder: Int64
    var cents: Int64
}

struct Limits: KeyedBroadcastProcessFunction {
    @State var limits = BroadcastState<Int64, Int64>()
    @State var spent = ValueState<Int64>()

    mutating func processElement(_ bid: Bid, _ context: KeyedContext<Int64>, _ out: Collector<Bid>) {
        spent[default: 0] += bid.price
        if let limit = limits[bid.bidder], spent[default: 0] > limit { out.emit(bid) }
    }

    mutating func processBroadcast(_ limit: Limit, _ context: BroadcastContext, _ out: Collector<Bid>) {
        context.update(limits) { $0[limit.bidder] = limit.cents }
    }
}

enum OperatorStateSnippets {
    static func settingAside(_ bids: DataStream<Bid>) -> DataStream<Bid> { bids.process(SettingAside()) }

    static func following(_ positions: DataStream<Position>) -> DataStream<Position> { positions.process(Following()) }

    static func limits(_ bids: DataStream<Bid>, _ limits: DataStream<Limit>) throws -> DataStream<Bid> {
        try bids.keyed(by: \.bidder).connect(broadcast: limits).process(Limits())
    }
}
