// SPDX-License-Identifier: Apache-2.0
//  Proofs of the CSV format.

import Testing
import ThalwegBase
import ThalwegStorage

@testable import ThalwegFormats

@Suite struct FormatsCSVTests {
    let bid = Bid(
        auction: 1, bidder: -2, price: 0.1, channel: "a,\"b\"\nc", dateTime: EventTime(milliseconds: 1_436_918_402_000))

    @Test func writtenBytes() throws {
        #expect(
            try text([bid], .csv)
                == "auction,bidder,price,channel,dateTime\n1,-2,0.1,\"a,\"\"b\"\"\nc\",2015-07-15T00:00:02.000\n")
        var plain = bid
        plain.channel = "x\"y"
        #expect(
            try text([plain], .csv(header: false, separator: ";", quoting: .none, timeFormat: .milliseconds))
                == "1;-2;0.1;x\"y;1436918402000\n")
        let error = #expect(throws: ThalwegError.self) { try text([bid], .csv(quoting: .none)) }
        #expect(error?.description.contains("field channel") == true)
        #expect(try text([Inner(x: 1, label: nil), Inner(x: 2, label: "")], .csv) == "x,label\n1,\n2,\"\"\n")
        #expect(try text([Inner(x: 1, label: nil)], .csv(nullText: "\\N")) == "x,label\n1,\\N\n")
        var options = CSVOptions()
        options.lineEnd = "\r\n"
        #expect(try text([Inner(x: 1, label: "y")], .csv(options: options)) == "x,label\r\n1,y\r\n")
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func whatIsWrittenReadsBackEqual(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let rows = (0..<300).map { _ in Wide.random(&random) }
        for (header, separator, nullText) in [(true, ",", ""), (false, ";", "\\N"), (true, "\t", "null")]
            as [(Bool, Character, String)]
        {
            let written = try text(rows, .csv(header: header, separator: separator, nullText: nullText))
            let found = try read(
                written, .csv(Wide.self, header: header, separator: separator, nullText: nullText),
                chunk: 1 + Int(seed) * 50)
            #expect(found.errors.map(\.description) == [])
            #expect(found.rows == rows, "seed \(seed)")
        }
    }

    @Test func columnsByNameOrPosition() throws {
        let named = "\u{FEFF}label,unknown,x\r\nhi,\"z,z\",5\r\n,1,6\r\n"
        #expect(try read(named, .csv(Inner.self)).rows == [Inner(x: 5, label: "hi"), Inner(x: 6, label: nil)])
        #expect(try read("x\n7\n", .csv(Inner.self)).rows == [Inner(x: 7, label: nil)])
        #expect(
            try read("5,hi\n6,\n", .csv(Inner.self, header: false)).rows == [
                Inner(x: 5, label: "hi"), Inner(x: 6, label: nil),
            ])
        struct Outer: Codable, Hashable, Sendable { var id: Int; var inner: Inner }
        let outer = [Outer(id: 1, inner: Inner(x: 2, label: "l"))]
        #expect(try text(outer, .csv) == "id,inner.x,inner.label\n1,2,l\n")
        #expect(try read("inner.label,id,inner.x\nl,1,2", .csv(Outer.self)).rows == outer)
        struct One: Codable, Hashable, Sendable { var text: String }
        let ones = [One(text: ""), One(text: "a"), One(text: "")]
        #expect(try read(try text(ones, .csv), .csv(One.self)).rows == ones)
        #expect(try read("", .csv(Inner.self)).rows == [])
        #expect(try read("x,label", .csv(Inner.self)).rows == [])
    }

    @Test func headersThatDoNotFit() throws {
        let missing = #expect(throws: ThalwegError.self) { try read("label,y\n", .csv(Inner.self), name: "a.csv") }
        #expect(missing?.description.contains("a.csv, line 1: no column `x` among `label`, `y`") == true)
        let twice = #expect(throws: ThalwegError.self) { try read("x,x\n1,2\n", .csv(Inner.self)) }
        #expect(twice?.primary == "column is there twice")
    }

    @Test func badRecordsNameLineAndFix() throws {
        let bytes =
            Array("x,label\n1,a\n2\n3,b,c\nfour,d\n\"5\",\"e\ne\"\n\"6\" ,f\n,g\n99999999999,h\n8,".utf8) + [0xFF]
            + Array("\n9,i\n".utf8)
        for chunk in [1, 9, 1000] {
            let found = try read(bytes, .csv(Inner.self), chunk: chunk, name: "b.csv")
            #expect(found.rows.map(\.x) == [1, 5, 9])
            #expect(found.errors.map(\.line) == [3, 4, 5, 8, 9, 10, 11])
            #expect(
                found.errors.map(\.reason) == [
                    "expected 2 columns, got 1", "expected 2 columns, got 3", "expected Int32, got text \"four\"",
                    "text follows the closing quotation mark of a field", "expected Int32, got text \"\"",
                    "text \"99999999999\" is out of range for Int32", "not valid UTF-8",
                ])
            #expect(
                found.errors.first?.description
                    == "cannot read record: b.csv, line 3 (byte 12): expected 2 columns, got 1: `2`\n"
                    + "  hint: quote fields that hold the separator (`,`), or check the separator")
        }
    }

    @Test func typesThatDoNotFitAreRefusedAtSetUp() throws {
        struct WithArray: Codable, Sendable { var list: [Int] }
        struct WithOptionalRecord: Codable, Sendable { var inner: Inner? }
        for refused in [
            #expect(throws: ThalwegError.self, performing: { try InputFormat<WithArray>.csv() }),
            #expect(throws: ThalwegError.self, performing: { try OutputFormat<WithArray>.csv() }),
            #expect(throws: ThalwegError.self, performing: { try OutputFormat<WithOptionalRecord>.csv() }),
            #expect(throws: ThalwegError.self, performing: { try OutputFormat<Doubled>.csv() }),
            #expect(throws: ThalwegError.self, performing: { try InputFormat<Int>.csv() }),
        ] {
            #expect(refused?.kind == .job)
            #expect(refused?.hint != nil)
        }
        #expect(throws: ThalwegError.self) { try InputFormat<Inner>.csv(separator: "\"") }
    }

    @Test func resumesBehindTheLastRecordRead() throws {
        let rows = (0..<40).map { Inner(x: Int32($0), label: $0.isMultiple(of: 5) ? "two\nlines" : nil) }
        let source = MemoryByteSource(try text(rows, .csv))
        let format = try InputFormat<Inner>.csv()
        let buffer = UnsafeMutablePointer<Inner>.allocate(capacity: 3)
        defer { buffer.deallocate() }
        var range = ReadRange.all
        var found: [Inner] = []
        while true {
            let reader = try format.makeReader(source, range: range)
            let count = try reader.read(into: buffer, positions: nil, capacity: 3) { throw $0 }
            if count == 0 { break }
            for row in 0..<count { found.append((buffer + row).move()) }
            range.resume = reader.position
        }
        #expect(found == rows)
        #expect(range.resume?.line == 49)
        #expect(throws: ThalwegError.self) { try format.makeReader(source, range: ReadRange(start: 10)) }
    }

    @Test func rangesWithAHeaderCoverEachRecordOnce() throws {
        let rows = (0..<9).map { Inner(x: Int32($0), label: "l\($0),") }
        let bytes = Array(try text(rows, .csv).utf8)
        let format = try InputFormat<Inner>.csv(multiline: false)
        for first in 0...UInt64(bytes.count) {
            for second in first...UInt64(bytes.count) {
                let parts = try [
                    ReadRange(end: first), ReadRange(start: first, end: second), ReadRange(start: second),
                ].flatMap { try read(bytes, format, range: $0).rows }
                #expect(parts == rows, "split at \(first) and \(second)")
            }
        }
    }
}
