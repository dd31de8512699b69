// SPDX-License-Identifier: Apache-2.0
//  Delays by airport and hour.

import Foundation
import Testing
import Thalweg

@testable import hourly_delays

@Suite struct HourlyDelaysTests {
    private func result(
        flights: String, airports: String, arguments: [String] = [], parallelism: Int = 1
    ) async throws -> [String] {
        try await withFolder { folder in
            let output = folder.appending(path: "delays.csv").path
            let options = ["--flights", flights, "--airports", airports, "--output", output]
            try await run(HourlyDelays.self, options + arguments, parallelism: parallelism)
            return try await lines(output).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
    }

    @Test(arguments: 1...3)
    func addsUpDelaysByHour(parallelism: Int) async throws {
        let result = try await result(
            flights: fixture("flights.jsonl"), airports: fixture("airports.csv"), parallelism: parallelism)
        #expect(
            result == [
                "HIL,\"Hill, Upper\",2001-01-01T10:00:00,1,-4",
                "HIL,\"Hill, Upper\",2001-01-01T11:00:00,2,20",
                "SEA,Seaside,2001-01-01T10:00:00,3,30",
                "XXX,,2001-01-01T10:00:00,1,1",
            ])
    }

    @Test func readsGzip() async throws {
        let result = try await result(flights: fixture("flights.jsonl.gz"), airports: fixture("airports.csv"))
        #expect(result.count == 4)
    }

    @Test func saysWhichOptionIsMissing() throws {
        #expect(throws: (any Error).self) { try HourlyDelays.parse(["--flights", "f", "--output", "o"]) }
    }

    @Test(.enabled(if: Shared.has("data/expected/hourly-delays.csv.gz")), arguments: 1...3)
    func givesTheExpectedResult(parallelism: Int) async throws {
        let result = try await result(
            flights: Shared.path("data/flights-20k.jsonl.gz"), airports: Shared.path("data/airports.csv"),
            arguments: ["--out-of-order", "0s"], parallelism: parallelism)
        #expect(try await result == Shared.lines("data/expected/hourly-delays.csv.gz"))
    }

    /// Flights that are late by up to the declared bound change nothing.
    @Test(.enabled(if: Shared.has("data/expected/hourly-delays.csv.gz")), arguments: [1, 2, 3] as [UInt64])
    func bearsDisorder(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let bound: Int64 = 2 * 3_600_000
        // Shifting each flight by less than the bound and sorting again leaves none more than the bound behind.
        let shuffled = try await Shared.lines("data/flights-20k.jsonl.gz").map { line in
            let time = try #require(EventTime(iso8601: String(line.dropFirst(9).prefix(19))))
            return (time.milliseconds + Int64.random(in: 0..<bound, using: &random), line)
        }.sorted { $0.0 < $1.0 }.map(\.1)
        try await withFolder { folder in
            let flights = folder.appending(path: "flights.jsonl")
            try shuffled.joined(separator: "\n").write(to: flights, atomically: true, encoding: .utf8)
            let result = try await result(
                flights: flights.path, airports: Shared.path("data/airports.csv"), arguments: ["--out-of-order", "2h"])
            #expect(try await result == Shared.lines("data/expected/hourly-delays.csv.gz"), "seed \(seed)")
        }
    }
}
