// SPDX-License-Identifier: Apache-2.0
//  Proofs of finding CSV fields and records, without record types.

import Testing
import ThalwegBase
import ThalwegStorage

@testable import ThalwegFormats

@Suite struct FormatsCSVScannerTests {
    /// Fields of each record, with the lines of the errors.
    func records(
        _ text: String, options: CSVOptions = CSVOptions(), chunk: Int = .max, limits: ReadLimits = ReadLimits(),
        range: ReadRange = .all
    ) throws -> (rows: [[String]], errors: [UInt64], end: ReadPosition) {
        let source = CSVRecords(
            MemoryByteSource(text, chunkBytesMax: chunk), range: range, limits: limits,
            separator: try options.checkedSeparator(), options: options, columns: 8)
        var result: ([[String]], [UInt64]) = ([], [])
        while try source.next(onError: { result.1.append($0.line) }) {
            var scratch = 0
            result.0.append(
                (0..<source.columns).map {
                    String(decoding: source.text($0, scratchOffset: &scratch).text, as: UTF8.self)
                })
        }
        return (result.0, result.1, source.position)
    }

    @Test func fieldsOfRFC4180() throws {
        let text = "a,b,c\r\n\"x, y\",\"say \"\"hi\"\"\",\"two\r\nlines\"\n,,\n\"\",z,\"\"\"\"\n\nlast,one,"
        let expected = [
            ["a", "b", "c"], ["x, y", "say \"hi\"", "two\r\nlines"], ["", "", ""], ["", "z", "\""],
            ["last", "one", ""],
        ]
        for chunk in [1, 2, 3, 1000] {
            let found = try records(text, chunk: chunk)
            #expect(found.rows == expected)
            #expect(found.errors == [])
            #expect(found.end == ReadPosition(byteOffset: UInt64(text.utf8.count), line: 7))
        }
    }

    @Test func dialects() throws {
        #expect(try records("a;\"b;c\"\n", options: CSVOptions(separator: ";")).rows == [["a", "b;c"]])
        #expect(try records("a\t\"b\n", options: CSVOptions(separator: "\t", quoting: .none)).rows == [["a", "\"b"]])
        #expect(try records("5\" pipe,x\n").rows == [["5\" pipe", "x"]])
        for bad in ["\"", "\n", "é"] as [Character] {
            #expect(throws: ThalwegError.self) { try CSVOptions(separator: bad).checkedSeparator() }
        }
    }

    @Test func malformedRecordsAreReportedAndPassedOver() throws {
        for chunk in [1, 4, 1000] {
            let found = try records("a,b\n\"x\"y,z\nc,d\n\"open,\ne,f\n", chunk: chunk)
            #expect(found.rows == [["a", "b"], ["c", "d"], ["e", "f"]])
            #expect(found.errors == [2, 4])
        }
        let single = try records("\"a\nb\",c\nd,e\n", options: CSVOptions(multiline: false))
        #expect(single.errors == [1])
        #expect(single.rows == [["b\"", "c"], ["d", "e"]])
    }

    @Test func recordsHaveALimit() throws {
        var limits = ReadLimits()
        limits.lineBytesMax = 20
        limits.blockBytes = 16
        let text =
            "a,b\n\"" + String(repeating: "x", count: 500) + "\",c\nd,e\n\"never closed\n1,2\n3,4\n5,6\n7,8\n9,0\n"
        for chunk in [1, 7, 1000] {
            let found = try records(text, chunk: chunk, limits: limits)
            #expect(found.errors == [2, 4])
            #expect(found.rows.first == ["a", "b"])
            #expect(found.rows.last == ["9", "0"])
            #expect(found.rows.count == 7)
        }
    }

    @Test func rangesCoverEachRecordOnceWhereRecordsAreLines() throws {
        let text = "a,b\nccc,d\n\ne,\"f,g\"\r\nh,i"
        let options = CSVOptions(multiline: false)
        let whole = try records(text, options: options).rows
        for split in 0...UInt64(text.utf8.count) {
            let first = try records(text, options: options, range: ReadRange(end: split)).rows
            let second = try records(text, options: options, range: ReadRange(start: split)).rows
            #expect(first + second == whole, "split at \(split)")
        }
    }
}
