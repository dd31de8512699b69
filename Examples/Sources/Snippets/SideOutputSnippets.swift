// SPDX-License-Identifier: Apache-2.0
//  The code of "Side outputs and dead letters".

import Thalweg

let expensive = OutputTag<Bid>("expensive")

/// Passes all prices on and the expensive bids aside.
struct Prices: ProcessFunction {
    @Side var aside = SideOutput(expensive)

    mutating func process(_ bid: Bid, _ context: ProcessContext, _ out: Collector<Int64>) {
        out.emit(bid.price)
        if bid.price > 1_000_000 { aside.emit(bid) }
    }
}

enum SideOutputSnippets {
    static func sides(_ bids: DataStream<Bid>) throws {
        let prices = bids.process(Prices())
        prices.write(to: .print())
        try prices.sideOutput(expensive).write(to: .files("expensive.jsonl", format: .json))
    }

    static func deadLetters(_ env: StreamEnvironment) throws {
        let unreadable = OutputTag<DeadLetter>("unreadable")
        let bids = env.read(
            .files("bids.jsonl", format: try .json(Bid.self)), name: "bids", onError: .deadLetter(unreadable))
        try bids.sideOutput(unreadable).write(to: .files("unreadable.jsonl", format: .json))
        bids.write(to: .print())
    }
}
