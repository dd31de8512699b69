// SPDX-License-Identifier: Apache-2.0
//  The three records of the workload, and the event that is one of them.

public import ThalwegBase

/// What an event carries.
@frozen
public enum NexmarkKind: Int, Codable, Sendable, CaseIterable {
    case person = 0
    case auction = 1
    case bid = 2
}

/// Somebody who sells or bids.
@frozen
public struct Person: Codable, Hashable, Sendable {
    public var id: Int64
    public var name: String
    public var emailAddress: String
    public var creditCard: String
    public var city: String
    public var state: String
    public var dateTime: EventTime
    public var extra: String

    @inlinable
    public init(
        id: Int64, name: String, emailAddress: String, creditCard: String, city: String, state: String,
        dateTime: EventTime, extra: String
    ) {
        self.id = id
        self.name = name
        self.emailAddress = emailAddress
        self.creditCard = creditCard
        self.city = city
        self.state = state
        self.dateTime = dateTime
        self.extra = extra
    }
}

/// An item put up for sale until `expires`.
@frozen
public struct Auction: Codable, Hashable, Sendable {
    public var id: Int64
    public var itemName: String
    public var description: String
    public var initialBid: Int64
    public var reserve: Int64
    public var dateTime: EventTime
    public var expires: EventTime
    public var seller: Int64
    public var category: Int64
    public var extra: String

    @inlinable
    public init(
        id: Int64, itemName: String, description: String, initialBid: Int64, reserve: Int64, dateTime: EventTime,
        expires: EventTime, seller: Int64, category: Int64, extra: String
    ) {
        self.id = id
        self.itemName = itemName
        self.description = description
        self.initialBid = initialBid
        self.reserve = reserve
        self.dateTime = dateTime
        self.expires = expires
        self.seller = seller
        self.category = category
        self.extra = extra
    }
}

/// An offer of `price` for an auction.
@frozen
public struct Bid: Codable, Hashable, Sendable {
    public var auction: Int64
    public var bidder: Int64
    public var price: Int64
    public var channel: String
    public var url: String
    public var dateTime: EventTime
    public var extra: String

    @inlinable
    public init(
        auction: Int64, bidder: Int64, price: Int64, channel: String, url: String, dateTime: EventTime, extra: String
    ) {
        self.auction = auction
        self.bidder = bidder
        self.price = price
        self.channel = channel
        self.url = url
        self.dateTime = dateTime
        self.extra = extra
    }
}

/// One event of the mixed stream.
///
/// An enum, because it is a third of the size of a struct with three optional records and needs one test to take apart.
@frozen
public enum NexmarkEvent: Hashable, Sendable {
    case person(Person)
    case auction(Auction)
    case bid(Bid)

    /// 0 person, 1 auction, 2 bid: the column `event_type` of the SQL tables.
    @inlinable public var eventType: Int { kind.rawValue }

    @inlinable public var kind: NexmarkKind {
        switch self {
        case .person: .person
        case .auction: .auction
        case .bid: .bid
        }
    }

    @inlinable public var dateTime: EventTime {
        switch self {
        case .person(let person): person.dateTime
        case .auction(let auction): auction.dateTime
        case .bid(let bid): bid.dateTime
        }
    }

    @inlinable public var person: Person? {
        if case .person(let person) = self { person } else { nil }
    }

    @inlinable public var auction: Auction? {
        if case .auction(let auction) = self { auction } else { nil }
    }

    @inlinable public var bid: Bid? {
        if case .bid(let bid) = self { bid } else { nil }
    }
}
