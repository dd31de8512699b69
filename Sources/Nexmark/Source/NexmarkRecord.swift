// SPDX-License-Identifier: Apache-2.0
//  What a query reads of an event: it declares the fields it needs, and pays for no others.

public import ThalwegBase

/// The fields of one kind of event that a query reads.
///
/// A query declares a struct with the fields it needs, named as in the events. The same struct is filled from the
/// generator, by `init(_:)`, and from files, by its `Codable` conformance.
///
///     struct Bid: BidRecord {
///         var auction: Int64
///         var price: Int64
///         init(_ event: NexmarkPosition) { (auction, price) = (event.bidAuction, event.bidPrice) }
///     }
public protocol NexmarkRecord: Codable, Sendable {
    /// The JSON line that such a record stands in.
    associatedtype Line: NexmarkRecordLine<Self>
    /// The kind of event the fields belong to.
    static var kind: NexmarkKind { get }
    /// Computes the fields of an event of this kind.
    init(_ event: NexmarkPosition)
}

/// Fields of a person.
public protocol PersonRecord: NexmarkRecord where Line == PersonLine<Self> {}
/// Fields of an auction.
public protocol AuctionRecord: NexmarkRecord where Line == AuctionLine<Self> {}
/// Fields of a bid.
public protocol BidRecord: NexmarkRecord where Line == BidLine<Self> {}

/// A JSON line of which only the time and the record of one kind are read.
public protocol NexmarkRecordLine<Record>: Codable, Sendable {
    associatedtype Record
    var ms: EventTime { get }
    var record: Record? { get }
}

/// `{"ms":1436918400048,"person":{...}}`
public struct PersonLine<Record: Codable & Sendable>: NexmarkRecordLine {
    public var ms: EventTime
    public var person: Record?
    public var record: Record? { person }
}

/// `{"ms":1436918400048,"auction":{...}}`
public struct AuctionLine<Record: Codable & Sendable>: NexmarkRecordLine {
    public var ms: EventTime
    public var auction: Record?
    public var record: Record? { auction }
}

/// `{"ms":1436918400048,"bid":{...}}`
public struct BidLine<Record: Codable & Sendable>: NexmarkRecordLine {
    public var ms: EventTime
    public var bid: Record?
    public var record: Record? { bid }
}

extension PersonRecord {
    @inlinable public static var kind: NexmarkKind { .person }
}
extension AuctionRecord {
    @inlinable public static var kind: NexmarkKind { .auction }
}
extension BidRecord {
    @inlinable public static var kind: NexmarkKind { .bid }
}

/// A row of an input stream: an event of the kinds that a query reads.
public protocol NexmarkInputRow: Sendable {
    /// A JSON line of the input, as far as this row needs it.
    associatedtype Line: Codable & Sendable
    var dateTime: EventTime { get }
    /// The row of a generated event; nil when it is of another kind.
    init?(_ event: NexmarkPosition)
    /// The row of a line; nil when it is of another kind.
    init?(_ line: Line)
}

/// A record with its time, which stands outside of the record in the input.
@frozen
public struct Timed<Record: NexmarkRecord>: NexmarkInputRow, Codable {
    public var dateTime: EventTime
    public var record: Record

    @inlinable @inline(__always)
    public init(_ record: Record, at dateTime: EventTime) {
        self.dateTime = dateTime
        self.record = record
    }

    @inlinable @inline(__always)
    public init?(_ event: NexmarkPosition) {
        guard event.kind == Record.kind else { return nil }
        self.init(Record(event), at: event.dateTime)
    }

    @inlinable
    public init?(_ line: Record.Line) {
        guard let record = line.record else { return nil }
        self.init(record, at: line.ms)
    }
}

/// An event of a stream of persons and auctions.
@frozen
public enum PersonOrAuction<Person: PersonRecord, Auction: AuctionRecord>: NexmarkInputRow {
    case person(Timed<Person>)
    case auction(Timed<Auction>)

    @inlinable public var dateTime: EventTime {
        switch self {
        case .person(let person): person.dateTime
        case .auction(let auction): auction.dateTime
        }
    }

    @inlinable @inline(__always)
    public init?(_ event: NexmarkPosition) {
        switch event.kind {
        case .person: self = .person(Timed(Person(event), at: event.dateTime))
        case .auction: self = .auction(Timed(Auction(event), at: event.dateTime))
        case .bid: return nil
        }
    }

    public struct Line: Codable, Sendable {
        public var ms: EventTime
        public var person: Person?
        public var auction: Auction?
    }

    @inlinable
    public init?(_ line: Line) {
        if let person = line.person {
            self = .person(Timed(person, at: line.ms))
        } else if let auction = line.auction {
            self = .auction(Timed(auction, at: line.ms))
        } else {
            return nil
        }
    }
}

/// An event of a stream of auctions and bids.
@frozen
public enum AuctionOrBid<Auction: AuctionRecord, Bid: BidRecord>: NexmarkInputRow {
    case auction(Timed<Auction>)
    case bid(Timed<Bid>)

    @inlinable public var dateTime: EventTime {
        switch self {
        case .auction(let auction): auction.dateTime
        case .bid(let bid): bid.dateTime
        }
    }

    @inlinable @inline(__always)
    public init?(_ event: NexmarkPosition) {
        switch event.kind {
        case .person: return nil
        case .auction: self = .auction(Timed(Auction(event), at: event.dateTime))
        case .bid: self = .bid(Timed(Bid(event), at: event.dateTime))
        }
    }

    public struct Line: Codable, Sendable {
        public var ms: EventTime
        public var auction: Auction?
        public var bid: Bid?
    }

    @inlinable
    public init?(_ line: Line) {
        if let auction = line.auction {
            self = .auction(Timed(auction, at: line.ms))
        } else if let bid = line.bid {
            self = .bid(Timed(bid, at: line.ms))
        } else {
            return nil
        }
    }
}
