// SPDX-License-Identifier: Apache-2.0
//  Orders enriched by look-ups that run elsewhere.

import Foundation
import Testing
import Thalweg

@testable import enrich

@Suite struct EnrichTests {
    @Test func everyOrderHasItsCustomerInOrder() async throws {
        try await withFolder { folder in
            let output = folder.appending(path: "enriched.csv").path
            try await run(
                Enrich.self,
                ["--orders", "2000", "--customers", "50", "--latency", "1", "--patience", "600", "--output", output])
            // One number in 51 is nobody's.
            let known = (0..<2000).filter { $0 * 7919 % 51 < 50 }
            let cities = ["Basel", "Bonn", "Köln", "Mainz"]
            let expected = known.map { order in
                let customer = order * 7919 % 51
                return "\(order),customer \(customer),\(cities[customer % 4]),\(order % 90 * 100)"
            }
            #expect(try await lines(output) == ["order,customer,city,cents"] + expected)
        }
    }
}
