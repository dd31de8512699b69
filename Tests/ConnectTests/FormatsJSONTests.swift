// SPDX-License-Identifier: Apache-2.0
//  Proofs of the JSON lines format.

import FoundationEssentials
import Testing
import ThalwegBase
import ThalwegStorage

@testable import ThalwegFormats

@Suite struct FormatsJSONTests {
    @Test func fieldsInAnyOrderUnknownOnesSkipped() throws {
        let text = """
            {"auction":1,"bidder":2,"price":3.5,"channel":"x","dateTime":1436918400000}
            {"extra":{"a":[1,{"b":"}"}]},"dateTime":"2015-07-15T00:00:00.001","channel":"\\u00e9\\n\\ud83d\\ude00","price":-2,"bidder":9223372036854775807,"auction":-9223372036854775808}
              { "auction" : 1 , "bidder":2,"price":1e3,"channel":"","more":null,"dateTime":0 , "x":[ ] }  \r

            \t
            {"auction":1,"auction":7,"bidder":2,"price":0,"channel":"a","dateTime":5,"channel":"b"}
            """
        for chunk in [1, 13, 10_000] {
            let found = try read(text, .json(Bid.self), chunk: chunk)
            #expect(found.errors.map(\.description) == [])
            #expect(
                found.rows == [
                    Bid(
                        auction: 1, bidder: 2, price: 3.5, channel: "x",
                        dateTime: EventTime(milliseconds: 1_436_918_400_000)),
                    Bid(
                        auction: .min, bidder: .max, price: -2, channel: "é\n😀",
                        dateTime: EventTime(milliseconds: 1_436_918_400_001)),
                    Bid(auction: 1, bidder: 2, price: 1000, channel: "", dateTime: EventTime(milliseconds: 0)),
                    Bid(auction: 7, bidder: 2, price: 0, channel: "b", dateTime: EventTime(milliseconds: 5)),
                ])
        }
    }

    @Test func writtenBytes() throws {
        let deep = Deep(
            id: -7, inner: Inner(x: 1, label: "a\"\\\u{1}\n"), maybe: nil, numbers: [1, 2], names: [],
            inners: [Inner(x: 2, label: nil)], grid: [[], [0.5, 1e300]], maybeList: [1, nil], table: ["k": 1])
        #expect(
            try text([deep], .json)
                == #"{"id":-7,"inner":{"x":1,"label":"a\"\\\u0001\n"},"maybe":null,"numbers":[1,2],"names":[],"#
                + #""inners":[{"x":2,"label":null}],"grid":[[],[0.5,1e+300]],"maybeList":[1,null],"table":{"k":1}}"#
                + "\n")
        #expect(
            try text([Inner(x: 1, label: nil)], .json(options: JSONOptions(nulls: .omitted))) == "{\"x\":1}\n")
        let bid = Bid(auction: 1, bidder: 2, price: 3, channel: "é", dateTime: EventTime(milliseconds: 1))
        #expect(
            try text([bid], .json(options: JSONOptions(timeFormat: .iso8601)))
                == #"{"auction":1,"bidder":2,"price":3.0,"channel":"é","dateTime":"1970-01-01T00:00:00.001"}"# + "\n")
        let infinite = Bid(auction: 1, bidder: 2, price: .infinity, channel: "", dateTime: .min)
        let error = #expect(throws: ThalwegError.self) { try text([infinite], .json) }
        #expect(error?.description.contains("field price") == true)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func whatIsWrittenReadsBackEqual(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let wide = (0..<300).map { _ in Wide.random(&random) }
        let deep = (0..<300).map { _ in Deep.random(&random) }
        for options in [JSONOptions(), JSONOptions(nulls: .omitted, timeFormat: .iso8601)] {
            let wideText = try text(wide, .json(options: options))
            #expect(try read(wideText, .json(Wide.self)).rows == wide, "seed \(seed)")
            let deepText = try text(deep, .json(options: options))
            let found = try read(deepText, .json(Deep.self), chunk: 100)
            #expect(found.rows == deep, "seed \(seed)")
        }
        // Foundation agrees with both directions.
        let decoder = JSONDecoder()
        let lines = try text(deep, .json).split(separator: "\n")
        #expect(try lines.map { try decoder.decode(Deep.self, from: Data($0.utf8)) } == deep)
        let encoded = try deep.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) }
        #expect(try read(encoded.joined(separator: "\n"), .json(Deep.self)).rows == deep)
    }

    /// Each line alone and each between good lines: a bad line never harms its neighbours.
    @Test(arguments: [
        (#"{"id":1"#, "JSON ends too early"), (#"{"id":1,"#, "JSON ends too early"),
        (#"{"id"#, "a string is not closed"), (#"{"id":1}}"#, "more than one JSON value"),
        (#"{"id":1} {"id":2}"#, "more than one JSON value"), (#"{"id":1,}"#, "expected a key"),
        (#"{"id" 1}"#, "expected `:`"), (#"{"id":1 "n":2}"#, "expected `,`"), (#"{"id":}"#, "expected a value"),
        (#"{"id":tru}"#, "not a JSON value"), (#"{"id":01}"#, "not a JSON number"),
        (#"{"id":1.}"#, "not a JSON number"),
        (#"{"id":-}"#, "not a JSON number"), (#"{"id":1x}"#, "not a JSON number"), (#"{"id":1e}"#, "not a JSON number"),
        (#"{"id":1e999}"#, "number is too large"), (#"{"id":123456789012345678901234567890}"#, "out of range"),
        (#"{"id":1.5}"#, "expected Int"), (#"{"id":"1"}"#, "expected Int"), (#"{"id":null}"#, "expected Int"),
        (#"{"id":{}}"#, "expected Int"), (#"{"id":[1]}"#, "expected Int"), (#"{"id":true}"#, "expected Int"),
        (#"{"n":1}"#, "missing"), ("[1]", "expected a record"), ("7", "expected a record"),
        ("null", "expected a record"),
        (#"{"id":1,"label":5}"#, "expected String"), (#"{"id":1,"label":"\x"}"#, "bad escape"),
        (#"{"id":1,"label":"\ud800"}"#, "bad escape"), (#"{"id":1,"label":"\u12"}"#, "bad escape"),
        (#"{"id":1,"z":[1,2}"#, "other kind"), (#"{"id":1,"z":[1,2"#, "JSON ends too early"),
        (#"{"id":1]"#, "other kind"), ("{\"id\":1,\"label\":\"a\u{0}b\"}", "control character"),
        ("{\"id\":1,\"label\":\"a\tb\"}", "control character"), ("\u{0}", "not a JSON value"),
        ("hello", "not a JSON value"),
        ("\"", "a string is not closed"), ("{\"id\":1}\u{0}", "more than one JSON value"), ("}", "expected a value"),
        (#"{\"id\":1}"#, "expected a key"), (#"{"id":1}\"#, "more than one JSON value"),
        (#"{"id":1,"list":[1,"x"]}"#, "expected Int"), (#"{"id":1,"list":[1 2]}"#, "expected `,`"),
        (#"{"id":1,"list":[1,]}"#, "expected a value"), (#"{"id":1,"list":{}}"#, "expected an array"),
    ])
    func malformedLines(bad: String, reason: String) throws {
        struct Small: Codable, Hashable, Sendable {
            var id: Int
            var label: String?
            var list: [Int]?
        }
        let good = #"{"id":1,"label":"\"","list":[1,2]}"#
        let expected = Small(id: 1, label: "\"", list: [1, 2])
        let format = try InputFormat<Small>.json()
        for chunk in [3, 100_000] {
            let found = try read(
                "\(good)\n\(bad)\n\(good)\n\(bad)\r\n\(good)\n\(bad)", format, chunk: chunk, name: "x.json")
            #expect(found.rows == [expected, expected, expected])
            #expect(found.errors.map(\.line) == [2, 4, 6])
            for error in found.errors {
                #expect(error.reason.contains(reason), "\(error)")
                #expect(error.description.contains("x.json, line \(error.line) (byte \(error.byteOffset)"))
                #expect(error.description.contains("hint: "))
                #expect(error.excerpt.utf8.count <= 200)
            }
        }
    }

    @Test func invalidUTF8() throws {
        let good = Array("{\"x\":1,\"label\":\"é\"}\n".utf8)
        for bytes: [UInt8] in [[0xFF], [0xC3], [0xE2, 0x82], [0xC0, 0x80], [0xED, 0xA0, 0x80]] {
            let bad = Array("{\"x\":2,\"label\":\"".utf8) + bytes + Array("\"}\n".utf8)
            let found = try read(good + bad + good, .json(Inner.self))
            #expect(found.rows == [Inner(x: 1, label: "é"), Inner(x: 1, label: "é")])
            #expect(found.errors.map(\.reason) == ["not valid UTF-8"])
        }
    }

    @Test func errorTextsNamePlaceCauseAndFix() throws {
        let text =
            "{\"id\":1,\"inner\":{\"x\":1},\"numbers\":[],\"names\":[],\"inners\":[{\"x\":\"no\"}],\"grid\":[],\"table\":{}}"
        let error = try #require(try read("\n" + text, .json(Deep.self), name: "a.json").errors.first)
        #expect(error.fieldPath == "inners[0].x")
        #expect(
            error.description
                == "cannot read record: a.json, line 2 (byte 1), field inners[0].x: expected Int32, got string \"no\": "
                + "`\(text)`\n  hint: change the field's type, or filter such lines out before they are read")
        let syntax = try #require(try read("{\"id\":1,\"inner\":{\"x\":01}}", .json(Deep.self)).errors.first)
        #expect(syntax.fieldPath == "inner.x")
        #expect(syntax.columnOffset == 21)
        #expect(syntax.thalwegError.kind == .input)
        let long =
            "{\"pad\":\"" + String(repeating: "é", count: 5000) + "\",\"x\":bad,\"y\":\""
            + String(repeating: "z", count: 500) + "\"}"
        let cut = try #require(try read(long, .json(Inner.self)).errors.first)
        #expect(cut.excerpt.utf8.count <= 200)
        #expect(cut.excerpt.contains("\"x\":bad"))
    }

    @Test func nestingHasALimit() throws {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for (depth, isFine) in [(400, true), (600, false), (200_000, false)] {
                let nested = String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
                let found = try read("{\"x\":1,\"skip\":\(nested)}\n{\"x\":2}", .json(Inner.self))
                #expect(found.rows.map(\.x) == (isFine ? [1, 2] : [2]))
                #expect(found.errors.map(\.reason) == (isFine ? [] : ["nested too deep"]))
            }
        }
        var limits = ReadLimits()
        limits.jsonArrayCellsMax = 1000
        struct List: Codable, Hashable, Sendable { var list: [Int] }
        for (count, isFine) in [(1000, true), (1001, false)] {
            let list = (0..<count).map(String.init).joined(separator: ",")
            let found = try read("{\"list\":[\(list)]}", .json(List.self, limits: limits))
            #expect(found.rows.map(\.list.count) == (isFine ? [count] : []))
            #expect(found.errors.map(\.reason) == (isFine ? [] : ["arrays are too long"]))
        }
        #expect(
            try read("{\"list\":[\((0..<20_000).map(String.init).joined(separator: ","))]}", .json(List.self)).rows
                == [List(list: Array(0..<20_000))])
    }

    @Test func numbersAtTheirLimits() throws {
        struct Numbers: Codable, Sendable { var i: Int64?; var u: UInt64?; var d: Double? }
        func one(_ text: String) throws -> Numbers {
            let found = try read(text, .json(Numbers.self))
            guard let row = found.rows.first else { throw found.errors[0] }
            return row
        }
        #expect(try one("{\"u\":18446744073709551615}").u == .max)
        #expect(try one("{\"i\":-9223372036854775808}").i == .min)
        #expect(try one("{\"i\":1e3}").i == 1000)
        #expect(try one("{\"i\":-0}").i == 0)
        #expect(try one("{\"d\":-0}").d?.sign == .minus)
        #expect(try one("{\"d\":18446744073709551616}").d == 18446744073709551616)
        #expect(try one("{\"d\":1e-999}").d == 0)
        #expect(try one("{\"d\":0.\(String(repeating: "0", count: 400))1}").d == 0)
        #expect(try one("{\"d\":4.9406564584124654e-324}").d == Double.leastNonzeroMagnitude)
        #expect(try one("{\"d\":1.7976931348623157e308}").d == .greatestFiniteMagnitude)
        #expect(try one("{\"d\":2.2250738585072011e-308}").d == Double("2.2250738585072011e-308"))
        var random = SeededRandom(seed: 9)
        for _ in 0..<2000 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            #expect(try one("{\"d\":\(value)}").d == value)
        }
        for text in ["{\"i\":9223372036854775808}", "{\"u\":-1}", "{\"u\":18446744073709551616}"] {
            #expect(try read(text, .json(Numbers.self)).errors.count == 1)
        }
    }

    @Test func keysOfAllKinds() throws {
        struct Odd: Codable, Hashable, Sendable {
            var a: Int
            var key: Int
            var long: Int
            enum CodingKeys: String, CodingKey {
                case a
                case key = "k\"e.y é"
                case long = "a key that is longer than the sixty-three bytes which the parser remembers of it"
            }
        }
        let record = Odd(a: 1, key: 2, long: 3)
        let written = try text([record], .json)
        let escaped =
            #"{"\u0061":1,"k\u0022e.y \u00e9":2,"a key that is longer than the sixty-three bytes which the parser remembers of it":3}"#
        // Keys that begin like others, unknown keys in changing order, more unknown keys than are remembered.
        let many = (0..<1000).map {
            "{\"u\($0)\":0,\"aa\":9,\"\":1,\(written.dropFirst().dropLast(2)),\"z\($0 % 7)\":{}}"
        }
        let found = try read(written + escaped + "\n" + many.joined(separator: "\n"), .json(Odd.self), chunk: 1000)
        #expect(found.errors.map(\.description) == [])
        #expect(found.rows == Array(repeating: record, count: 1002))
    }

    @Test func duplicateKeysOfRecordsLeaveNothingBehind() throws {
        let text =
            "{\"id\":1,\"inner\":{\"x\":1,\"label\":\"old\"},\"inner\":{\"x\":2},\"numbers\":[],\"names\":[],\"inners\":[],\"grid\":[],\"table\":{}}"
        #expect(try read(text, .json(Deep.self)).rows.first?.inner == Inner(x: 2, label: nil))
    }

    @Test func unprovenTypesGoThroughCodable() throws {
        let format = try InputFormat<Doubled>.json()
        #expect(format.handling.contains("plain Codable"))
        let found = try read("{\"value\":1}\n\n{\"value\":\"x\"}\nnonsense\n{}\n{\"value\":4}", format)
        #expect(found.rows.map(\.value) == [2, 8])
        #expect(found.errors.map(\.line) == [3, 4, 5])
        #expect(found.errors.map(\.fieldPath) == ["value", nil, "value"])
        #expect(try text([Doubled(value: 3)], .json) == "{\"value\":3}\n")
    }

    @Test func bareValuesAreRecordsToo() throws {
        #expect(try read("1\n-2\n\"x\"\n3", .json(Int.self)).rows == [1, -2, 3])
        #expect(try read("[1,2]\n[]", .json([Int].self)).rows == [[1, 2], []])
        #expect(try text([1, -2], .json) == "1\n-2\n")
    }

    @Test func rangesCoverEachRecordOnce() throws {
        let rows = (0..<12).map { Inner(x: Int32($0 * 997), label: $0.isMultiple(of: 3) ? nil : "l\($0)") }
        let bytes = Array(("\u{FEFF}" + (try text(rows, .json))).utf8)
        let format = try InputFormat<Inner>.json()
        for split in 0...UInt64(bytes.count) {
            let first = try read(bytes, format, range: ReadRange(end: split)).rows
            let second = try read(bytes, format, range: ReadRange(start: split)).rows
            #expect(first + second == rows, "split at \(split)")
        }
        let zipped = try read(gzipped(bytes), format)
        #expect(zipped.rows == rows)
        #expect(throws: ThalwegError.self) { try read(gzipped(bytes), format, range: ReadRange(start: 5)) }
    }

    @Test func aThrowingPolicyLeavesNoRowsBehind() throws {
        let reader = try InputFormat<Inner>.json().makeReader(
            MemoryByteSource("{\"x\":1,\"label\":\"a long label on the heap\"}\nbad\n"))
        let rows = UnsafeMutablePointer<Inner>.allocate(capacity: 4)
        defer { rows.deallocate() }
        #expect(throws: RecordError.self) { try reader.read(into: rows, positions: nil, capacity: 4) { throw $0 } }
    }
}
