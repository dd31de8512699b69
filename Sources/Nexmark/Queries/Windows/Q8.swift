// SPDX-License-Identifier: Apache-2.0
//  New users: a join in a window.

public import Thalweg

/// Who registered and opened an auction within the same ten seconds?
public enum Q8: NexmarkQuery {
    public static let name = "q8"

    public struct Person: PersonRecord {
        var id: Int64
        var name: String

        public init(_ event: NexmarkPosition) { (id, name) = (event.personID, event.personName) }
    }

    public struct Auction: AuctionRecord {
        var seller: Int64

        public init(_ event: NexmarkPosition) { seller = event.auctionSeller }
    }

    public struct Row: NexmarkRow {
        var id: Int64
        var name: String
        var windowStart: EventTime

        public var columns: [GoldenTable.Field] { [.integer(id), .text(name), .time(windowStart)] }
    }

    /// Gathers what a window knows of a person: the name, and whether there is an auction.
    struct NewSeller: AggregateFunction {
        struct Accumulator: Codable {
            var name: String?
            var sells = false
        }

        func makeAccumulator() -> Accumulator { Accumulator() }
        func add(_ event: PersonOrAuction<Person, Auction>, to seller: inout Accumulator) {
            switch event {
            case .person(let person): seller.name = person.record.name
            case .auction: seller.sells = true
            }
        }
        func merge(_ other: Accumulator, into seller: inout Accumulator) {
            seller.name = seller.name ?? other.name
            seller.sells = seller.sells || other.sells
        }
        /// The name, if it is a new seller's.
        func result(_ seller: Accumulator) -> String? { seller.sells ? seller.name : nil }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.personsAndAuctions(Person.self, Auction.self, in: env)
            .timestamps(by: \.dateTime, watermark: .boundedOutOfOrderness(.seconds(4)))
            .keyed { event in
                switch event {
                case .person(let person): person.record.id
                case .auction(let auction): auction.record.seller
                }
            }
            .window(.tumbling(.seconds(10)))
            .aggregate(NewSeller()) { id, name, window in
                name.map { Row(id: id, name: $0, windowStart: window.start) }
            }
            .compactMap { $0 }
    }
}
