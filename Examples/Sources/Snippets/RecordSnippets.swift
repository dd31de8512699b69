// SPDX-License-Identifier: Apache-2.0
//  The code of "Records".

import Thalweg

struct Percentage: Codable, Sendable {
    var value: Int64

    init(from decoder: any Decoder) throws {
        value = try decoder.singleValueContainer().decode(Int64.self)
        guard value != 4711 else { throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "4711")) }
    }
}

enum RecordSnippets {
    static func learn() throws {
        let type = try RecordType.learn(Bid.self)
        print(type.schema)
        print(type.handling)
    }

    static func validate(_ bids: DataStream<Bid>) -> DataStream<Bid> {
        bids.filter(onError: .skip(limit: 100)) { bid in
            guard bid.price >= 0 else { throw ThalwegError(.input, "a price is negative", detail: "\(bid.price)") }
            return true
        }
    }
}
