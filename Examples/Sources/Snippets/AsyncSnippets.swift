// SPDX-License-Identifier: Apache-2.0
//  The code of "Asynchronous look-ups".

import Thalweg

struct Bidder: Sendable {
    var name: String
}

struct Named: Codable, Sendable {
    var bid: Bid
    var bidder: String?
}

/// Stands for the client of a service.
struct People: Sendable {
    func find(_ id: Int64) async throws -> Bidder? { Bidder(name: "bidder \(id)") }
    func find(all ids: [Int64]) async throws -> [Int64: Bidder] {
        Dictionary(uniqueKeysWithValues: ids.map { ($0, Bidder(name: "bidder \($0)")) })
    }
}

enum AsyncSnippets {
    static func map(_ bids: DataStream<Bid>, _ people: People) throws -> DataStream<Named> {
        try bids.asyncMap(.ordered(capacity: 100), timeout: .seconds(2)) { bid in
            let person = try await people.find(bid.bidder)
            return [Named(bid: bid, bidder: person?.name)]
        }
    }

    static func byKey(_ bids: DataStream<Bid>, _ people: People) throws -> DataStream<Named> {
        try bids.keyed(by: \.auction)
            .asyncMap(.keyOrdered(capacity: 100), timeout: .seconds(2)) { bid in
                [Named(bid: bid, bidder: try await people.find(bid.bidder)?.name)]
            }
    }

    static func failures(_ bids: DataStream<Bid>, _ people: People) throws -> DataStream<Named> {
        try bids.asyncMap(
            .unordered(capacity: 500), timeout: .seconds(2),
            retry: .exponential(attempts: 4, firstDelay: .milliseconds(50), delayMax: .seconds(1)),
            retryIf: { $0.isEmpty },
            onTimeout: { [Named(bid: $0, bidder: nil)] },
            onError: .skip(limit: 100)
        ) { bid in
            guard let person = try await people.find(bid.bidder) else { return [] }
            return [Named(bid: bid, bidder: person.name)]
        }
    }

    static func lookup(_ bids: DataStream<Bid>, _ people: People) throws -> DataStream<Named> {
        try bids.asyncLookup(
            by: \.bidder, timeout: .seconds(2),
            cache: LookupCache(rowsMax: 10_000, expiresAfterWrite: .minutes(10)),
            lookup: { try await people.find($0) }
        ) { bid, person in
            [Named(bid: bid, bidder: person?.name)]
        }
    }

    static func batches(_ bids: DataStream<Bid>, _ people: People) throws -> DataStream<Named> {
        try bids.asyncLookup(
            by: \.bidder, batch: CallBatching(countMax: 50, delayMax: .milliseconds(5)), timeout: .seconds(2),
            lookup: { try await people.find(all: $0) }
        ) { bid, person in
            [Named(bid: bid, bidder: person?.name)]
        }
    }
}
