// SPDX-License-Identifier: Apache-2.0
//  Local items: a join without windows.

public import Thalweg

/// Who sells items of category 10 in Oregon, Idaho or California?
///
/// A person and the auctions of that person meet under the person's id; whichever comes first waits for the other.
public enum Q3: NexmarkQuery {
    public static let name = "q3"

    public struct Person: PersonRecord {
        var id: Int64
        var name: String
        var city: String
        var state: String

        public init(_ event: NexmarkPosition) {
            (id, name, city, state) = (event.personID, event.personName, event.personCity, event.personState)
        }
    }

    public struct Auction: AuctionRecord {
        var id: Int64
        var seller: Int64
        var category: Int64

        public init(_ event: NexmarkPosition) {
            (id, seller, category) = (event.auctionID, event.auctionSeller, event.auctionCategory)
        }
    }

    public struct Row: NexmarkRow {
        var name: String
        var city: String
        var state: String
        var auction: Int64

        public var columns: [GoldenTable.Field] { [.text(name), .text(city), .text(state), .integer(auction)] }
    }

    /// Joins the auctions of a seller with the seller.
    struct Join: KeyedProcessFunction {
        @State var seller = ValueState<Person>()
        @State var waiting = ListState<Int64>()

        mutating func process(
            _ event: PersonOrAuction<Person, Auction>, _ context: KeyedContext<Int64>, _ out: Collector<Row>
        ) {
            switch event {
            case .person(let person):
                seller.value = person.record
                guard !waiting.isEmpty else { return }
                for auction in waiting.values { emit(auction, of: person.record, to: out) }
                waiting.clear()
            case .auction(let auction):
                if let seller = seller.value {
                    emit(auction.record.id, of: seller, to: out)
                } else {
                    waiting.append(auction.record.id)
                }
            }
        }

        private func emit(_ auction: Int64, of seller: Person, to out: Collector<Row>) {
            guard seller.state == "OR" || seller.state == "ID" || seller.state == "CA" else { return }
            out.emit(Row(name: seller.name, city: seller.city, state: seller.state, auction: auction))
        }
    }

    public static func rows(_ input: NexmarkInput, in env: StreamEnvironment) throws -> DataStream<Row> {
        try input.personsAndAuctions(Person.self, Auction.self, in: env)
            .filter { event in
                if case .auction(let auction) = event { auction.record.category == 10 } else { true }
            }
            .keyed { event in
                switch event {
                case .person(let person): person.record.id
                case .auction(let auction): auction.record.seller
                }
            }
            .process(Join())
    }
}
