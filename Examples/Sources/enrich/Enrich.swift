// SPDX-License-Identifier: Apache-2.0
//  Orders enriched with their customers, who live in another service: many look-ups at a time, few of them twice.

import Thalweg

struct Order: Codable, Sendable {
    var id: Int64
    var customer: Int64
    var cents: Int64
    var time: EventTime
}

struct Customer: Sendable {
    var name: String
    var city: String
}

struct Enriched: Codable, Sendable, Equatable {
    var order: Int64
    var customer: String
    var city: String
    var cents: Int64
}

@main
struct Enrich: StreamJob {
    static let abstract = "Enriches orders with the names and cities of their customers."

    @Option(help: "How many orders to make up.") var orders: Int64 = 10_000
    @Option(help: "How many customers there are.") var customers: Int64 = 500
    @Option(help: "Milliseconds that a look-up takes.") var latency = 10
    @Option(help: "Seconds after which an order goes on without its customer.") var patience = 2
    @Option(help: "How many orders may wait for their customers at a time.") var capacity = 100
    @Option(help: "The CSV file to write.") var output = "enriched.csv"

    func build(_ env: StreamEnvironment) throws {
        let (count, directory) = (customers, CustomerDirectory(count: customers, latency: .milliseconds(latency)))
        let orders = env.read(
            GeneratedSource(0..<orders) { number in
                Order(
                    id: number, customer: number * 7919 % (count + 1), cents: number % 90 * 100,
                    time: EventTime(milliseconds: number))
            }, name: "orders")
        try orders.asyncLookup(
            by: \.customer, .ordered(capacity: capacity), timeout: .seconds(patience),
            retry: .fixed(attempts: 3, delay: .milliseconds(50)),
            cache: LookupCache(rowsMax: 10_000, expiresAfterWrite: .minutes(10), keepsMisses: true),
            onTimeout: { [Enriched(order: $0.id, customer: "not known yet", city: "", cents: $0.cents)] },
            name: "customers",
            lookup: { id in try await directory.find(id) }
        ) { order, customer in
            guard let customer else { return [] }
            return [Enriched(order: order.id, customer: customer.name, city: customer.city, cents: order.cents)]
        }
        .write(to: .files(output, format: .csv))
    }
}

/// Stands for a service elsewhere: it takes its time, and does not know everybody.
actor CustomerDirectory {
    private let count: Int64
    private let latency: Duration
    private(set) var requests = 0

    init(count: Int64, latency: Duration) {
        self.count = count
        self.latency = latency
    }

    func find(_ id: Int64) async throws -> Customer? {
        requests += 1
        try await Task.sleep(for: latency)
        guard id < count else { return nil }
        return Customer(name: "customer \(id)", city: ["Basel", "Bonn", "Köln", "Mainz"][Int(id % 4)])
    }
}
