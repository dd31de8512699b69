// SPDX-License-Identifier: Apache-2.0
//  The code of "Looking up rows of PostgreSQL".

#if Postgres
    import Thalweg
    import ThalwegPostgres

    struct Person: Codable, Sendable {
        var name: String
        var city: String?
    }

    enum PostgresSnippets {
        static func lookup(_ bids: DataStream<Bid>) throws -> DataStream<Named> {
            let people = try PostgresLookup<Int64, Person>("host=db dbname=shop", table: "people", key: "id")
            return try bids.asyncLookup(
                by: \.bidder, batch: CallBatching(countMax: 100, delayMax: .milliseconds(2)), timeout: .seconds(30),
                retry: .exponential(
                    attempts: 8, firstDelay: .milliseconds(100), delayMax: .seconds(5), when: AsyncRetry.mayPass),
                cache: LookupCache(rowsMax: 10_000, expiresAfterWrite: .minutes(10)),
                lookup: people.rows
            ) { bid, person in
                [Named(bid: bid, bidder: person?.name)]
            }
        }

        static func query() throws -> PostgresLookup<Int64, Person> {
            try PostgresLookup<Int64, Person>(
                "host=db dbname=shop",
                query: "SELECT id, name, city FROM people JOIN cities USING (zip) WHERE id = ANY($1) AND NOT deleted",
                key: ["id"], limits: PostgresLookupLimits(sessions: 8, timeout: .seconds(2)))
        }
    }
#endif
