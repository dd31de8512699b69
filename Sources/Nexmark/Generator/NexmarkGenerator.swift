// SPDX-License-Identifier: Apache-2.0
//  The event generator: event number n is a pure function of a seed and n.

public import ThalwegBase

/// The workload's events under one seed.
///
/// There is no hidden state: any worker may produce any part of the stream. To walk through many events use
/// ``cursor(at:stride:)``, which needs no division per event; to compute one event, or one field of it, ask by number.
@frozen
public struct NexmarkGenerator: Sendable {
    /// The seed of the whole stream.
    public let seed: Int64

    @inlinable
    public init(seed: Int64) {
        precondition(NexmarkText.provesSmallStrings, "strings of this Swift version have another layout")
        self.seed = seed
    }

    /// What event `n` carries: per 50 events one person, three auctions, 46 bids.
    @inlinable
    public static func kind(of n: Int64) -> NexmarkKind { position(n, 0).kind }

    /// The time of event `n`: one event per millisecond on average, out of order by less than 50 ms.
    @inlinable
    public static func time(of n: Int64) -> EventTime { position(n, 0).dateTime }

    /// Event `n` before any field is computed. `n` is 0 or above.
    @inlinable @inline(__always)
    public func position(_ n: Int64) -> NexmarkPosition {
        Self.position(n, UInt64(truncatingIfNeeded: seed &+ 1) &* 0x9E37_79B9_7F4A_7C15)
    }

    @inlinable @inline(__always)
    static func position(_ n: Int64, _ start: UInt64) -> NexmarkPosition {
        let number = UInt64(truncatingIfNeeded: n)
        return NexmarkPosition(
            epoch: number / 50, offset: number % 50, word: start &+ number &* NexmarkPosition.eventStep)
    }

    /// A walk from event `n`, taking every `stride`-th event.
    @inlinable
    public func cursor(at n: Int64 = 0, stride: Int64 = 1) -> NexmarkCursor {
        NexmarkCursor(self, at: n, stride: stride)
    }

    // MARK: Whole events, by number

    @inlinable public func event(_ n: Int64) -> NexmarkEvent { position(n).event }
    @inlinable public func person(_ n: Int64) -> Person { position(n).person }
    @inlinable public func auction(_ n: Int64) -> Auction { position(n).auction }
    @inlinable public func bid(_ n: Int64) -> Bid { position(n).bid }

    // MARK: Fields of a bid, by number

    @inlinable public func bidAuction(_ n: Int64) -> Int64 { position(n).bidAuction }
    @inlinable public func bidBidder(_ n: Int64) -> Int64 { position(n).bidBidder }
    @inlinable public func bidPrice(_ n: Int64) -> Int64 { position(n).bidPrice }
    @inlinable public func bidChannel(_ n: Int64) -> String { position(n).bidChannel }
    @inlinable public func bidURL(_ n: Int64) -> String { position(n).bidURL }
    @inlinable public func bidExtra(_ n: Int64) -> String { position(n).bidExtra }
}

extension NexmarkPosition {
    /// The whole event; for a narrow record take the fields one by one.
    @inlinable
    public var event: NexmarkEvent {
        switch kind {
        case .person: .person(person)
        case .auction: .auction(auction)
        case .bid: .bid(bid)
        }
    }

    /// All fields of a person.
    @inlinable
    public var person: Person {
        Person(
            id: personID, name: personName, emailAddress: personEmailAddress, creditCard: personCreditCard,
            city: personCity, state: personState, dateTime: dateTime, extra: personExtra)
    }

    /// All fields of an auction.
    @inlinable
    public var auction: Auction {
        Auction(
            id: auctionID, itemName: auctionItemName, description: auctionDescription, initialBid: auctionInitialBid,
            reserve: auctionReserve, dateTime: dateTime, expires: auctionExpires, seller: auctionSeller,
            category: auctionCategory, extra: auctionExtra)
    }

    /// All fields of a bid.
    @inlinable
    public var bid: Bid {
        Bid(
            auction: bidAuction, bidder: bidBidder, price: bidPrice, channel: bidChannel, url: bidURL,
            dateTime: dateTime, extra: bidExtra)
    }
}
