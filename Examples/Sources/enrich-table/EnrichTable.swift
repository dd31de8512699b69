// SPDX-License-Identifier: Apache-2.0
//  Orders enriched with their customers from a table of PostgreSQL. Build it with `--traits Postgres`.

#if Postgres
    import Thalweg
    import ThalwegPostgres

    struct Order: Codable, Sendable {
        var id: Int64
        var customer: Int64
        var cents: Int64
    }

    /// A row: fields have the names of columns.
    struct Customer: Codable, Sendable {
        var name: String
        var city: String?
    }

    struct Enriched: Codable, Sendable {
        var order: Int64
        var customer: String
        var city: String?
        var cents: Int64
    }

    @main
    struct EnrichTable: StreamJob {
        static let abstract = "Enriches orders with the names and cities of their customers."

        @Option(help: "The database, as libpq names it: host=db dbname=shop.") var connection: String
        @Option(help: "The table of customers, with columns id, name and city.") var table = "customers"
        @Option(help: "How many orders to make up.") var orders: Int64 = 10_000
        @Option(help: "How many customers they come from.") var customers: Int64 = 500
        @Option(help: "The most sessions with the server.") var sessions = 4
        @Option(help: "The CSV file to write.") var output = "enriched.csv"

        func build(_ env: StreamEnvironment) throws {
            let count = customers
            let orders = env.read(
                GeneratedSource(0..<orders) { number in
                    Order(id: number, customer: number * 7919 % count, cents: number % 90 * 100)
                }, name: "orders")
            let directory = try PostgresLookup<Int64, Customer>(
                connection, table: table, key: "id", limits: PostgresLookupLimits(sessions: sessions))
            try orders.asyncLookup(
                by: \.customer, batch: CallBatching(countMax: 100, delayMax: .milliseconds(2)),
                .ordered(capacity: 1000), timeout: .seconds(30),
                retry: .exponential(
                    attempts: 8, firstDelay: .milliseconds(100), delayMax: .seconds(5), when: AsyncRetry.mayPass),
                cache: LookupCache(rowsMax: 10_000, expiresAfterWrite: .minutes(10), keepsMisses: true),
                name: "customers",
                lookup: directory.rows
            ) { order, customer -> [Enriched] in
                guard let customer else { return [] }
                return [Enriched(order: order.id, customer: customer.name, city: customer.city, cents: order.cents)]
            }
            .write(to: .files(output, format: .csv))
        }
    }
#else
    @main
    struct EnrichTable {
        static func main() { print("built without PostgreSQL: build it with --traits Postgres, which needs libpq") }
    }
#endif
