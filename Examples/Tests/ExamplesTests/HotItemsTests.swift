// SPDX-License-Identifier: Apache-2.0
//  The auctions with the most bids.

import Foundation
import Testing
import Thalweg

@testable import hot_items

@Suite struct HotItemsTests {
    private func result(input: String, parallelism: Int) async throws -> [String] {
        try await withFolder { folder in
            let output = folder.appending(path: "hot.csv").path
            try await run(HotItems.self, ["--input", input, "--output", output], parallelism: parallelism)
            return try await lines(output)
        }
    }

    /// Two auctions share the first place in the windows that end at 2 s and 4 s; from 6 s on auction 1002 leads alone.
    @Test(arguments: 1...3)
    func findsTheHottest(parallelism: Int) async throws {
        let rows = try await result(input: fixture("events.jsonl"), parallelism: parallelism)
        #expect(rows.first == "auction,bids,windowEnd")
        #expect(
            rows.dropFirst().sorted() == [
                "1001,2,2015-07-15T00:00:02.000", "1001,2,2015-07-15T00:00:04.000",
                "1002,1,2015-07-15T00:00:12.000", "1002,1,2015-07-15T00:00:14.000",
                "1002,2,2015-07-15T00:00:02.000", "1002,2,2015-07-15T00:00:04.000",
                "1002,3,2015-07-15T00:00:06.000", "1002,3,2015-07-15T00:00:08.000",
                "1002,3,2015-07-15T00:00:10.000",
            ])
    }

    /// The job is Nexmark's fifth query.
    @Test(.enabled(if: Shared.has("nexmark/golden/q5.csv.gz")), arguments: 1...3)
    func agreesWithTheReference(parallelism: Int) async throws {
        let rows = try await result(
            input: Shared.path("nexmark/input/events-seed42-100k.jsonl.gz"), parallelism: parallelism)
        let golden = try await Shared.lines("nexmark/golden/q5.csv.gz")
        #expect(rows.dropFirst().sorted() == golden.sorted())
    }
}
