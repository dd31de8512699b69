// SPDX-License-Identifier: Apache-2.0
//  The code of "Changing a job".

import Thalweg

struct Spent: Codable, Sendable {
    var buyer: String
    var cents: Int64
    var currency: String
}

extension Spent: EvolvingRecord {
    static var evolution: Evolution<Spent> {
        Evolution()
            .renamed("customer", to: \.buyer)
            .defaulting(\.currency, to: "EUR")
            .removed("channel")
    }
}

struct OldTotal: Codable, Sendable {
    var buyer: String
    var price: String
}

enum TotalEvolution {
    static let fromText = Evolution<Spent>().migrated(from: OldTotal.self) { old in
        guard let cents = Int64(old.price) else { throw ThalwegError(.input, "no price", detail: old.price) }
        return Spent(buyer: old.buyer, cents: cents, currency: "EUR")
    }
}

struct Totals: KeyedProcessFunction {
    @State("total", formerly: "sum", evolution: TotalEvolution.fromText)
    var total = ValueState<Spent>()

    mutating func process(_ order: Spent, _ context: KeyedContext<String>, _ out: Collector<Spent>) {
        var sum = total.value ?? Spent(buyer: context.key, cents: 0, currency: order.currency)
        sum.cents += order.cents
        total.value = sum
        out.emit(sum)
    }
}

/// An order with the number of its customer.
struct NumberedOrder: Codable, Sendable {
    var number: Int64
}

enum ChangingSnippets {
    static func names(_ orders: DataStream<Spent>) throws -> DataStream<Spent> {
        try orders.keyed(by: \.buyer).process(Totals()).named("totals", formerly: "sums")
    }

    static func keys(_ orders: DataStream<NumberedOrder>) throws -> KeyedStream<String, NumberedOrder> {
        try orders.keyed(
            by: { "customer-\($0.number)" },
            evolution: Evolution<String>().migrated(from: Int64.self) { "customer-\($0)" })
    }
}
