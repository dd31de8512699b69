// SPDX-License-Identifier: Apache-2.0
//  Orders priced by another service, those that make no sense kept aside: two outputs, each record in exactly one.

import Thalweg

struct Order: Codable, Sendable {
    var id: Int64
    var customer: Int64
    var pieces: Int64

    /// Order number `id`, made up; one in ten makes no sense.
    init(_ id: Int64, customers: Int64) {
        self.id = id
        customer = id * 7919 % customers
        pieces = id % 10 == 3 ? 0 : id % 90 + 1
    }
}

struct Priced: Codable, Sendable, Equatable {
    var customer: Int64
    var order: Int64
    var cents: Int64
}

struct Rejected: Codable, Sendable, Equatable {
    var order: Int64
    var reason: String
}

/// Lets orders through that can be delivered.
struct Check: ProcessFunction {
    static let rejected = OutputTag<Rejected>("rejected")
    @Side var rejected = SideOutput(Check.rejected)

    mutating func process(_ order: Order, _ context: ProcessContext, _ out: Collector<Order>) {
        if order.pieces > 0 {
            out.emit(order)
        } else {
            rejected.emit(Rejected(order: order.id, reason: "nothing ordered"))
        }
    }
}

@main
struct Pricing: StreamJob {
    static let abstract = "Has orders priced by another service, and keeps those aside that make no sense."

    enum Mode: String, ExpressibleByArgument, CaseIterable, Sendable {
        case ordered, unordered
        case keyOrdered = "key-ordered"
    }

    @Option(help: "How many orders to make up.") var orders: Int64 = 20_000
    @Option(help: "How many customers there are.") var customers: Int64 = 500
    @Option(help: "The most milliseconds that a price takes.") var latency: Int64 = 10
    @Option(help: "How many orders may wait for their prices at a time.") var capacity = 100
    @Option(help: "How prices leave: ordered, unordered or key-ordered.") var order = Mode.keyOrdered
    @Option(help: "The directory for priced orders, as CSV.") var output: String
    @Option(help: "The directory for rejected orders, as CSV.") var rejected: String

    func build(_ env: StreamEnvironment) throws {
        let (count, service) = (customers, PriceService(latencyMax: latency))
        // One subtask, so that the orders of a customer come in the order of their numbers.
        let checked = env.read(GeneratedSource(0..<orders) { Order($0, customers: count) }, name: "orders")
            .parallelism(1).process(Check(), name: "check").parallelism(1)
        let price: @Sendable (Order) async throws -> [Priced] = { order in
            [Priced(customer: order.customer, order: order.id, cents: try await service.price(of: order))]
        }
        let priced =
            switch order {
            case .ordered:
                try checked.asyncMap(.ordered(capacity: capacity), timeout: .seconds(30), name: "prices", price)
            case .unordered:
                try checked.asyncMap(.unordered(capacity: capacity), timeout: .seconds(30), name: "prices", price)
            case .keyOrdered:
                try checked.keyed(by: \.customer)
                    .asyncMap(.keyOrdered(capacity: capacity), timeout: .seconds(30), name: "prices", price)
            }
        try priced.write(to: .files(output, format: .csv), name: "priced")
        try checked.sideOutput(Check.rejected).write(to: .files(rejected, format: .csv), name: "rejected")
    }
}

/// Stands for a service elsewhere: an answer takes from nothing to `latencyMax` milliseconds, so that later ones come
/// before earlier ones.
struct PriceService: Sendable {
    let latencyMax: Int64

    func price(of order: Order) async throws -> Int64 {
        try await Task.sleep(for: .milliseconds(order.id * 31 % (latencyMax + 1)))
        return order.pieces * 250
    }
}
