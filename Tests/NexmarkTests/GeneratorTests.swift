// SPDX-License-Identifier: Apache-2.0
//  The generator gives the bytes of the specification, however it is asked.

import Foundation
import Testing
import ThalwegBase

@testable import ThalwegNexmark

@Suite struct GeneratorTests {
    let generator = NexmarkGenerator(seed: 42)

    private func jsonLines(_ events: Range<Int64>) -> [UInt8] {
        var bytes: [UInt8] = []
        NexmarkWriter(generator).appendJSONLines(events, to: &bytes)
        return bytes
    }

    private func csv(_ kind: NexmarkKind, _ events: Range<Int64>) -> [UInt8] {
        var bytes: [UInt8] = []
        NexmarkWriter(generator).appendCSV(kind, events, to: &bytes)
        return bytes
    }

    private func digest(_ bytes: [UInt8]) -> String {
        var hash = SHA256()
        hash.update(bytes)
        return hash.hexadecimal()
    }

    @Test func firstEventsAreThoseOfTheFixture() throws {
        let fixture = try Data(contentsOf: Place.fixtures.appending(path: "events-seed42-200.jsonl"))
        #expect(Data(jsonLines(0..<200)) == fixture)
    }

    @Test func hundredThousandEventsHaveTheKnownDigest() {
        #expect(
            digest(jsonLines(0..<100_000))
                == "f4574eedde5a144c8f73d75b46935805acab8a7f7b9ca154539815d8c6c608ea")
        #expect(
            digest(csv(.person, 0..<100_000))
                == "80c7cdb8a762e0eee5845f93c36d1f7db9ea48685ec84d0795b014267529a50d")
        #expect(
            digest(csv(.auction, 0..<100_000))
                == "86d38cb2fa16d0fb93b3a26061e7e0e09552748afd1efba8e81e64ad6a2cd144")
        #expect(
            digest(csv(.bid, 0..<100_000))
                == "c76def235ba5ec4e67349bd7bc23f64b7d782213e7439e2d632d49305cf32224")
    }

    @Test(.enabled(if: Place.hasShared)) func hundredThousandEventsAreTheInput() throws {
        let input = try GzipText.lines(Place.shared.appending(path: "input/events-seed42-100k.jsonl.gz").path)
        let lines = String(decoding: jsonLines(0..<100_000), as: UTF8.self).split(separator: "\n")
        #expect(input.count == lines.count)
        let different = zip(input, lines).enumerated().first { $0.element.0 != $0.element.1 }
        #expect(different == nil, "event \(different?.offset ?? 0)")
    }

    @Test func rangesWrittenApartAreTheWhole() {
        let whole = jsonLines(0..<5000)
        var random = SeededRandom(seed: 7)
        for _ in 0..<20 {
            let cut = Int64.random(in: 0...5000, using: &random)
            #expect(jsonLines(0..<cut) + jsonLines(cut..<5000) == whole, "cut at \(cut)")
        }
    }

    @Test(arguments: [1, 2, 3, 7, 49, 50, 51, 100, 137] as [Int64])
    func stridedCursorsMeetEveryEvent(stride: Int64) {
        for first in 0..<min(stride, 5) {
            var cursor = generator.cursor(at: first, stride: stride)
            var stepped = cursor
            var expected = first
            for count in [1, 64, 500] {
                cursor.forEach(next: count) { position in
                    #expect(position.number == expected)
                    #expect(stepped.position.number == expected)
                    #expect(position.event == generator.event(expected))
                    stepped.advance()
                    expected += stride
                }
            }
            #expect(cursor.position.number == expected)
        }
    }

    @Test func cursorHandsOverOneKind() {
        for kind in NexmarkKind.allCases {
            var cursor = generator.cursor(at: 13)
            var numbers: [Int64] = []
            cursor.forEach(kind, next: 1000) { numbers.append($0.number) }
            #expect(numbers == (13..<1013).filter { NexmarkGenerator.kind(of: $0) == kind })
        }
    }

    /// The fields of a record, rendered by plain means, are the fields of the CSV line.
    @Test(arguments: [0, 1000, 49_990, 123_456_789, 40_000_000_000] as [Int64])
    func recordsAgreeWithTheWriter(start: Int64) {
        for n in start..<start + 200 {
            let text: String
            switch generator.event(n) {
            case .person(let p):
                text =
                    "\(p.dateTime.milliseconds),\(p.id),\(p.name),\(p.emailAddress),\(p.creditCard),\(p.city),"
                    + "\(p.state),\(p.extra)"
            case .auction(let a):
                text =
                    "\(a.dateTime.milliseconds),\(a.id),\(a.itemName),\(a.description),\(a.initialBid),\(a.reserve),"
                    + "\(a.expires.milliseconds),\(a.seller),\(a.category),\(a.extra)"
            case .bid(let b):
                text =
                    "\(b.dateTime.milliseconds),\(b.auction),\(b.bidder),\(b.price),\(b.channel),\(b.url),\(b.extra)"
            }
            let line = csv(NexmarkGenerator.kind(of: n), n..<n + 1)
            #expect(String(decoding: line, as: UTF8.self) == text + "\n")
            #expect(generator.event(n).dateTime == NexmarkGenerator.time(of: n))
        }
    }

    @Test func jsonLinesDecodeToTheirEvents() throws {
        let fixture = try Data(contentsOf: Place.fixtures.appending(path: "events-seed42-200.jsonl"))
        let lines = fixture.split(separator: UInt8(ascii: "\n"))
        #expect(lines.count == 200)
        for (n, line) in lines.enumerated() {
            let event = try JSONDecoder().decode(NexmarkEvent.self, from: line)
            #expect(event == generator.event(Int64(n)))
            #expect(try JSONDecoder().decode(NexmarkEvent.self, from: JSONEncoder().encode(event)) == event)
        }
        #expect(throws: ThalwegError.self) {
            try JSONDecoder().decode(NexmarkEvent.self, from: Data(#"{"event_type":2,"ms":5}"#.utf8))
        }
    }

    @Test func seedsDiffer() {
        #expect(NexmarkGenerator(seed: 1).bid(4) != NexmarkGenerator(seed: 2).bid(4))
        #expect(NexmarkGenerator(seed: -1).bid(1_000_004) != generator.bid(1_000_004))
    }

    @Test func smallStringsAreStrings() {
        #expect(NexmarkText.provesSmallStrings)
    }

    @Test func digitsAreDigits() {
        var random = SeededRandom(seed: 11)
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { buffer in
            guard let start = buffer.baseAddress else { return }
            let edges: [UInt64] = [0, 9, 10, 99, 100, 99_999_999, 100_000_000, 9_999_999_999_999_999]
            let others = (0..<2000).map { _ in (random.next() >> (random.next() % 60)) % 10_000_000_000_000_000 }
            for number in edges + others {
                let count = NexmarkText.decimal(number, start)
                let text = String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
                #expect(text == "\(number)")
            }
        }
    }
}

/// Where the tests find their files.
enum Place {
    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")
    /// The workload's folder beside the checkout, when there is one.
    static let shared = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../shared/nexmark").standardizedFileURL
    static let hasShared = FileManager.default.fileExists(atPath: shared.appending(path: "golden").path)
}
