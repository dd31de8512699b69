// SPDX-License-Identifier: Apache-2.0
//  Where a query's events come from.

public import Thalweg

/// The events that a query runs over.
public enum NexmarkInput: Sendable {
    /// The first `events` events of a seed. `fullRows` computes every field of every event, also those nobody reads.
    case generator(events: Int64, seed: Int64, fullRows: Bool = false)
    /// JSON lines of the mixed stream.
    case files(String)

    /// The bids, with the fields that `Record` declares.
    @inlinable
    public func bids<Record: BidRecord>(
        _: Record.Type = Record.self, in env: StreamEnvironment
    ) throws -> DataStream<Timed<Record>> {
        try rows(in: env)
    }

    /// Persons and auctions, in the order in which they come.
    @inlinable
    public func personsAndAuctions<Person: PersonRecord, Auction: AuctionRecord>(
        _: Person.Type = Person.self, _: Auction.Type = Auction.self, in env: StreamEnvironment
    ) throws -> DataStream<PersonOrAuction<Person, Auction>> {
        try rows(in: env)
    }

    /// Auctions and bids, in the order in which they come.
    @inlinable
    public func auctionsAndBids<Auction: AuctionRecord, Bid: BidRecord>(
        _: Auction.Type = Auction.self, _: Bid.Type = Bid.self, in env: StreamEnvironment
    ) throws -> DataStream<AuctionOrBid<Auction, Bid>> {
        try rows(in: env)
    }

    /// The events of the kinds that `Row` knows.
    @inlinable
    public func rows<Row: NexmarkInputRow>(
        _: Row.Type = Row.self, in env: StreamEnvironment
    ) throws -> DataStream<Row> {
        switch self {
        case .generator(let events, let seed, let fullRows):
            return env.read(
                NexmarkSource<Row>(NexmarkGenerator(seed: seed), events: events, fullRows: fullRows), name: "events")
        case .files(let path):
            return try env.read(.files(path, format: .json(Row.Line.self)), name: "events").compactMap { Row($0) }
        }
    }
}
