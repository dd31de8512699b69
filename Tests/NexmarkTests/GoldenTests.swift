// SPDX-License-Identifier: Apache-2.0
//  Golden tables: the sum of changes, the digest, the verdict.

import Foundation
import Testing
import ThalwegBase

@testable import ThalwegNexmark

@Suite struct GoldenTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func sha256OfKnownTexts(text: String, digest: String) {
        #expect(SHA256.hexadecimal(text) == digest)
    }

    @Test func sha256OfAMillionBytesInPieces() {
        var random = SeededRandom(seed: 3)
        var hash = SHA256()
        var rest = 1_000_000
        while rest > 0 {
            let count = min(rest, Int.random(in: 0...300, using: &random))
            hash.update([UInt8](repeating: UInt8(ascii: "a"), count: count))
            rest -= count
        }
        #expect(hash.hexadecimal() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func changesAddUp() throws {
        var table = GoldenTable(rows: ["b,1", "a,1", "b,1"])
        table.add("c,9", multiplicity: -1)
        table.add("c,9")
        table.add("b,1", multiplicity: -1)
        table.add("B")
        #expect(try table.sortedRows() == ["B", "a,1", "b,1"])
        var other = GoldenTable()
        other.add("a,1", multiplicity: -2)
        table.merge(other)
        #expect(throws: ThalwegError.self) { try table.digest() }
    }

    @Test func rowsAreRendered() {
        let row = GoldenTable.row([
            .null, .integer(-5), .text("x y"), .time(EventTime(milliseconds: 1_436_918_402_000)),
            .decimal(unscaled: 1_307_520, scale: 3), .decimal(unscaled: -42, scale: 3),
        ])
        #expect(row == #"\N,-5,x y,2015-07-15T00:00:02.000,1307.520,-0.042"#)
    }

    @Test func verdictNamesTheDifference() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "golden-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let expected = try GoldenTable(rows: ["a", "b"]).digest()
        let line = "q2\trows=\(expected.rows)\tsha256=\(expected.sha256)\n"
        try Data((line + line.replacing("q2", with: "q0")).utf8).write(to: folder.appending(path: "DIGESTS.tsv"))
        // zlib reads files that are not compressed as they are.
        try Data("a\nb\n".utf8).write(to: folder.appending(path: "q2.csv.gz"))
        try Data("b\n".utf8).write(to: folder.appending(path: "q0.sample.csv.gz"))

        let golden = try GoldenFolder(path: folder.path)
        #expect(try golden.verdict(on: GoldenTable(rows: ["b", "a"]), query: "q2").isEqual)
        let verdict = try golden.verdict(on: GoldenTable(rows: ["a", "c", "c"]), query: "q2")
        #expect(!verdict.isEqual)
        #expect(verdict.difference == "missing: 1 rows\n  b\nunexpected: 2 rows\n  c\n  c")
        let sampled = try golden.verdict(on: GoldenTable(rows: ["a"]), query: "q0")
        #expect(sampled.difference == "missing, of a sample of 1: 1 rows\n  b")
        #expect(throws: ThalwegError.self) { try golden.verdict(on: GoldenTable(), query: "q99") }
    }

    /// Stateless queries, computed by hand from the generator, agree with the results of the reference engine.
    @Test(.enabled(if: Place.hasShared)) func statelessQueriesAgreeWithTheReference() throws {
        let golden = try GoldenFolder(path: Place.shared.appending(path: "golden").path)
        var q0 = GoldenTable(), q1 = GoldenTable(), q2 = GoldenTable(), q22 = GoldenTable()
        var cursor = NexmarkGenerator(seed: 42).cursor()
        cursor.forEach(.bid, next: 100_000) { position in
            let bid = position.bid
            let (auction, bidder) = (GoldenTable.Field.integer(bid.auction), GoldenTable.Field.integer(bid.bidder))
            let price = GoldenTable.Field.integer(bid.price)
            q0.add(GoldenTable.row([auction, bidder, price, .time(bid.dateTime), .text(bid.extra)]))
            let euro = GoldenTable.Field.decimal(unscaled: bid.price * 908, scale: 3)
            q1.add(GoldenTable.row([auction, bidder, euro, .time(bid.dateTime), .text(bid.extra)]))
            if bid.auction % 123 == 0 { q2.add(GoldenTable.row([auction, price])) }
            let path = bid.url.split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
            q22.add(
                GoldenTable.row([
                    auction, bidder, price, .text(bid.channel), .text(path[3]), .text(path[4]), .text(path[5]),
                ]))
        }
        for (query, table) in [("q0", q0), ("q1", q1), ("q2", q2), ("q22", q22)] {
            let verdict = try golden.verdict(on: table, query: query)
            #expect(verdict.isEqual, "\(verdict)")
        }
    }
}
