// SPDX-License-Identifier: Apache-2.0
//  What becomes of records that cannot be read or make no sense.

import Foundation
import Testing
import Thalweg

@testable import dead_letters

@Suite struct DeadLettersTests {
    private func letters(_ path: String) async throws -> [DeadLetter] {
        let decoder = JSONDecoder()
        return try await lines(path).map { try decoder.decode(DeadLetter.self, from: Data($0.utf8)) }
    }

    /// The fixture has 7 lines: 3 good ones, 3 that cannot be read, and one with an absurd temperature.
    @Test func keepsBadRecordsAside() async throws {
        try await withFolder { folder in
            let (good, bad) = (folder.appending(path: "good.csv").path, folder.appending(path: "bad.jsonl").path)
            let report = try await run(
                DeadLetters.self, ["--input", fixture("readings.jsonl"), "--output", good, "--dead-letters", bad])
            #expect(report.rejected == 4)
            #expect(
                try await lines(good) == [
                    "station,time,celsius", "north,2024-01-01T00:00:00.000,-3.5", "south,2024-01-01T00:01:00.000,18.0",
                    "north,2024-01-01T00:06:00.000,-3.0",
                ])
            let letters = try await letters(bad).sorted { $0.position < $1.position }
            #expect(letters.map(\.operatorName).sorted() == ["plausible", "readings", "readings", "readings"])
            let field = try #require(letters.first { $0.record.contains("warm") })
            #expect(field.position.contains("readings.jsonl, byte "))
            #expect(field.error.contains("line 4") && field.error.contains("celsius"))
            #expect(field.record == #"{"station":"south","time":"2024-01-01T00:03:00","celsius":"warm"}"#)
            let absurd = try #require(letters.first { $0.operatorName == "plausible" })
            #expect(absurd.error == "451.0 °C is not a temperature of this planet")
            #expect(absurd.record.contains("451"))
        }
    }

    @Test func failsAndPublishesNothing() async throws {
        try await withFolder { folder in
            let good = folder.appending(path: "good.csv").path
            let error = await #expect(throws: ThalwegError.self) {
                try await run(
                    DeadLetters.self, ["--input", fixture("readings.jsonl"), "--output", good, "--on-error", "fail"])
            }
            #expect(error?.kind == .input)
            #expect(error?.description.contains("line 3") == true)
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(left == [])
        }
    }

    @Test(arguments: [(2, false), (3, true)])
    func skipsUpToALimit(limit: Int, succeeds: Bool) async throws {
        try await withFolder { folder in
            let good = folder.appending(path: "good.csv").path
            let arguments = [
                "--input", try fixture("readings.jsonl"), "--output", good, "--on-error", "skip", "--skip-limit", "\(limit)",
            ]
            if succeeds {
                let report = try await run(DeadLetters.self, arguments)
                #expect(report.rejected == 4)
                #expect(try await lines(good).count == 4)
            } else {
                await #expect(throws: ThalwegError.self) { try await run(DeadLetters.self, arguments) }
                #expect(!FileManager.default.fileExists(atPath: good))
            }
        }
    }
}
