// SPDX-License-Identifier: Apache-2.0
//  A job to be tried under faults: what each customer has spent, hour by hour; once right, once wrong.

import Thalweg

struct Order: Codable, Sendable {
    var customer: Int64
    var cents: Int64
    var time: EventTime

    /// Order number n: a minute after the one before, or a little out of order.
    init(number: Int) {
        customer = Int64(number * 7 % 5)
        cents = Int64(100 + number % 50)
        time = EventTime(milliseconds: Int64(number + number % 3) * 60_000)
    }
}

struct Sales: Codable, Sendable { var customer: Int64, hour: EventTime, cents: Int64 }

/// The sum of a customer's hours so far.
struct RunningTotal: KeyedProcessFunction {
    @State var sum = ValueState<Int64>()

    mutating func process(_ sales: Sales, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        let total = (sum.value ?? 0) + sales.cents
        sum.value = total
        out.emit("customer \(sales.customer) hour \(sales.hour) total \(total)")
    }
}

/// The same with a mistake: no checkpoint sees a dictionary of the function's own.
struct ForgetfulTotal: KeyedProcessFunction {
    var sums: [Int64: Int64] = [:]

    mutating func process(_ sales: Sales, _ context: KeyedContext<Int64>, _ out: Collector<String>) {
        let total = (sums[sales.customer] ?? 0) + sales.cents
        sums[sales.customer] = total
        out.emit("customer \(sales.customer) hour \(sales.hour) total \(total)")
    }
}

enum SalesJob {
    static func totals<Total: KeyedProcessFunction<Int64, Sales, String>>(
        _ orders: DataStream<Order>, by makeTotal: @escaping @Sendable () -> Total
    ) throws -> DataStream<String> {
        try orders
            .timestamps(by: \.time, watermark: .boundedOutOfOrderness(.minutes(5)))
            .keyed(by: \.customer).window(.tumbling(.hours(1)))
            .aggregate(Sum(\.cents), name: "hours") { Sales(customer: $0, hour: $2.start, cents: $1) }
            .keyed(by: \.customer).process(makeTotal(), name: "totals")
    }
}
