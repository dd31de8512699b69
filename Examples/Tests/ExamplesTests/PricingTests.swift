// SPDX-License-Identifier: Apache-2.0
//  Orders priced by another service, in three orders, with two outputs.

import Foundation
import Testing
import Thalweg

@testable import pricing

@Suite struct PricingTests {
    private let orders: Int64 = 2000

    @Test(arguments: Pricing.Mode.allCases, [1, 3])
    func everyOrderIsInOneOutput(_ order: Pricing.Mode, _ parallelism: Int) async throws {
        try await withFolder { folder in
            let (good, bad) = (folder.appending(path: "good/").path, folder.appending(path: "bad/").path)
            try await run(
                Pricing.self,
                [
                    "--orders", "\(orders)", "--customers", "50", "--latency", "3", "--order", order.rawValue,
                    "--output", good + "/", "--rejected", bad + "/",
                ], parallelism: parallelism)
            let parts = try await parts(good)
            let all = (0..<orders).map { Order($0, customers: 50) }
            let expected = all.filter { $0.pieces > 0 }.map { "\($0.customer),\($0.id),\($0.pieces * 250)" }
            #expect(parts.joined().sorted() == expected.sorted())
            #expect(
                try await self.parts(bad).joined().sorted()
                    == all.filter { $0.pieces == 0 }.map { "\($0.id),nothing ordered" }.sorted())
            for part in parts { try check(part, order) }
        }
    }

    private func parts(_ folder: String) async throws -> [[String]] {
        var parts: [[String]] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() {
            parts.append(Array(try await lines("\(folder)/\(name)").dropFirst()))
        }
        return parts
    }

    /// The order that the mode promises within a subtask.
    private func check(_ lines: [String], _ order: Pricing.Mode) throws {
        let rows = try lines.map { line in
            let fields = line.split(separator: ",").compactMap { Int64($0) }
            return (customer: try #require(fields.first), id: try #require(fields.dropFirst().first))
        }
        switch order {
        case .ordered: #expect(rows.map(\.id) == rows.map(\.id).sorted())
        // A short part may be in order by chance.
        case .unordered where rows.count > 100: #expect(rows.map(\.id) != rows.map(\.id).sorted())
        case .unordered: break
        case .keyOrdered:
            for (_, own) in Dictionary(grouping: rows, by: \.customer) {
                #expect(own.map(\.id) == own.map(\.id).sorted())
            }
        }
    }
}
