// SPDX-License-Identifier: Apache-2.0
//  The code of "Looking into snapshots".

import Thalweg
import ThalwegSavepointStreams

struct Offer: Codable, Sendable {
    var category: Int64
    var price: Int64?
}

enum SavepointSnippets {
    static func read() throws {
        let reader = try SavepointReader("checkpoints")
        let prices = try reader.read("price", in: "auctions", as: Int64.self, Offer.self)
        while let (auction, offer) = try prices.next() { print(auction, offer) }

        let entries = try reader.entries(of: "price", in: "auctions", where: .key(.integer(7)))
        while let entry = try entries.next() { print(entry.record.json) }
    }

    static func write() throws {
        var writer = SavepointWriter(try SavepointReader("checkpoints"))
        try writer.delete(at: [.init("key", .integer(7))], of: "price", in: "auctions")
        try writer.transform("last", in: "bidders", as: Int64.self) { cents in Double(cents) / 100 }
        try writer.write(to: "repaired")
    }

    static func load(_ balances: [(String, Int64)]) throws {
        var writer = try SavepointWriter(maxParallelism: 128, timeMilliseconds: 1_767_225_600_000)
        try writer.load("balance", in: "accounts", as: String.self, Int64.self) { add in
            for (account, cents) in balances { try add(account, cents) }
        }
        try writer.write(to: "start")
    }

    static func streams(_ env: StreamEnvironment) throws {
        struct Entry: Codable, Sendable { var key: Int64, value: Offer }

        let offers = try env.read(
            .savepoint(
                "checkpoints", operator: "auctions", state: "price", as: Entry.self, matching: "value.category == 11"),
            name: "offers")
        offers.map { Entry(key: $0.key, value: Offer(category: 12, price: $0.value.price)) }
            .write(
                to: try .savepoint("moved", operator: "auctions", state: "price", maxParallelism: 128), name: "moved")
    }
}
