// SPDX-License-Identifier: Apache-2.0
//  Sessions of an access log.

import Foundation
import Testing
import Thalweg

@testable import sessions

@Suite struct SessionsTests {
    private func result(log: String, arguments: [String] = [], parallelism: Int = 1) async throws -> [String] {
        try await withFolder { folder in
            let output = folder.appending(path: "sessions.csv").path
            try await run(Sessions.self, ["--log", log, "--output", output] + arguments, parallelism: parallelism)
            return try await lines(output).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
    }

    /// The fixture has a request 29 min 59 s after another and one exactly 30 min after it, lines out of order, sizes of
    /// `-`, an escaped quotation mark, and two lines that are not requests.
    @Test(arguments: 1...3)
    func cutsSessions(parallelism: Int) async throws {
        let result = try await result(log: fixture("access.log"), parallelism: parallelism)
        #expect(
            result == [
                "192.0.2.7,2015-05-17T10:00:00,2015-05-17T10:29:59,3,1600",
                "192.0.2.7,2015-05-17T10:59:59,2015-05-17T10:59:59,1,100",
                "198.51.100.4,2015-05-17T08:00:10,2015-05-17T08:00:40,2,7",
            ])
    }

    @Test func keepsUnreadableLinesAside() async throws {
        try await withFolder { folder in
            let letters = folder.appending(path: "bad.jsonl").path
            _ = try await result(log: fixture("access.log"), arguments: ["--dead-letters", letters])
            let decoder = JSONDecoder()
            let records = try await lines(letters).map { try decoder.decode(DeadLetter.self, from: Data($0.utf8)) }
            #expect(records.map(\.record) == ["this is not a request", "192.0.2.7 - - [yesterday] \"GET / HTTP/1.1\" 200 1"])
            #expect(records.map(\.operatorName) == ["parse", "parse"])
            #expect(records[1].error.contains("the time is not like [17/May/2015:10:05:03 +0000]"))
        }
    }

    @Test(arguments: [("30m", 1800), ("90s", 90), ("1h", 3600), ("2d", 172_800)])
    func readsTheGap(text: String, seconds: Int) throws {
        let job = try Sessions.parse(["--log", "l", "--output", "o", "--gap", text])
        #expect(job.gap == .seconds(seconds))
    }

    @Test(arguments: ["30", "m", "-5m", "1.5h", "30 m", "30min", "99999999999999999999d", "9223372036854775807h", ""])
    func refusesOtherGaps(text: String) {
        #expect(throws: (any Error).self) { try Sessions.parse(["--log", "l", "--output", "o", "--gap=\(text)"]) }
    }

    @Test(.enabled(if: Shared.has("data/expected/sessions.csv")), arguments: 1...3)
    func givesTheExpectedResult(parallelism: Int) async throws {
        let result = try await result(log: Shared.path("data/access-6k.log.gz"), parallelism: parallelism)
        #expect(try await result == Shared.lines("data/expected/sessions.csv"))
    }
}
