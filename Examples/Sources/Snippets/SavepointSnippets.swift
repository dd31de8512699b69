// SPDX-License-Identifier: Apache-2.0
//  The code of "Looking into snapshots".

import ThalwegSavepoint

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
        try writer.write(to: "repaired")
    }
}
