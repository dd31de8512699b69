// SPDX-License-Identifier: Apache-2.0
//  An event as it stands in a JSON line.

public import ThalwegBase

/// One line of the mixed stream: `{"event_type":2,"ms":1436918400048,"bid":{"auction":1000,...}}`.
///
/// A plain struct, so that a format can fill it in place. A job that needs only some fields declares its own smaller
/// struct with the same names; what it leaves out is not parsed.
public struct NexmarkLine: Codable, Hashable, Sendable {
    public var eventType: Int
    public var dateTime: EventTime
    public var person: PersonFields?
    public var auction: AuctionFields?
    public var bid: BidFields?

    enum CodingKeys: String, CodingKey {
        case eventType = "event_type"
        case dateTime = "ms"
        case person, auction, bid
    }

    /// A person without the time, which stands outside.
    public struct PersonFields: Codable, Hashable, Sendable {
        public var id: Int64
        public var name: String
        public var emailAddress: String
        public var creditCard: String
        public var city: String
        public var state: String
        public var extra: String
    }

    /// An auction without the time, which stands outside.
    public struct AuctionFields: Codable, Hashable, Sendable {
        public var id: Int64
        public var itemName: String
        public var description: String
        public var initialBid: Int64
        public var reserve: Int64
        public var expires: EventTime
        public var seller: Int64
        public var category: Int64
        public var extra: String
    }

    /// A bid without the time, which stands outside.
    public struct BidFields: Codable, Hashable, Sendable {
        public var auction: Int64
        public var bidder: Int64
        public var price: Int64
        public var channel: String
        public var url: String
        public var extra: String
    }

    /// The event, when the line holds the record that its type announces.
    public var event: NexmarkEvent? {
        switch NexmarkKind(rawValue: eventType) {
        case .person:
            person.map {
                .person(
                    Person(
                        id: $0.id, name: $0.name, emailAddress: $0.emailAddress, creditCard: $0.creditCard,
                        city: $0.city, state: $0.state, dateTime: dateTime, extra: $0.extra))
            }
        case .auction:
            auction.map {
                .auction(
                    Auction(
                        id: $0.id, itemName: $0.itemName, description: $0.description, initialBid: $0.initialBid,
                        reserve: $0.reserve, dateTime: dateTime, expires: $0.expires, seller: $0.seller,
                        category: $0.category, extra: $0.extra))
            }
        case .bid:
            bid.map {
                .bid(
                    Bid(
                        auction: $0.auction, bidder: $0.bidder, price: $0.price, channel: $0.channel, url: $0.url,
                        dateTime: dateTime, extra: $0.extra))
            }
        case nil: nil
        }
    }
}

extension NexmarkLine {
    /// The line of an event.
    public init(_ event: NexmarkEvent) {
        eventType = event.eventType
        dateTime = event.dateTime
        switch event {
        case .person(let p):
            person = PersonFields(
                id: p.id, name: p.name, emailAddress: p.emailAddress, creditCard: p.creditCard, city: p.city,
                state: p.state, extra: p.extra)
        case .auction(let a):
            auction = AuctionFields(
                id: a.id, itemName: a.itemName, description: a.description, initialBid: a.initialBid,
                reserve: a.reserve, expires: a.expires, seller: a.seller, category: a.category, extra: a.extra)
        case .bid(let b):
            bid = BidFields(
                auction: b.auction, bidder: b.bidder, price: b.price, channel: b.channel, url: b.url, extra: b.extra)
        }
    }
}

/// Coded as a ``NexmarkLine``.
extension NexmarkEvent: Codable {
    public init(from decoder: any Decoder) throws {
        let line = try NexmarkLine(from: decoder)
        guard let event = line.event else {
            throw ThalwegError(
                .input, "not a Nexmark event", detail: "event_type is \(line.eventType), and its record is missing",
                hint: "0 comes with person, 1 with auction, 2 with bid")
        }
        self = event
    }

    public func encode(to encoder: any Encoder) throws { try NexmarkLine(self).encode(to: encoder) }
}
