// SPDX-License-Identifier: Apache-2.0
//  Record types and helpers for proofs of formats.

import Testing
import ThalwegBase
import ThalwegStorage

@testable import ThalwegFormats

struct Bid: Codable, Hashable, Sendable {
    var auction: Int64
    var bidder: Int64
    var price: Double
    var channel: String
    var dateTime: EventTime
}

enum Color: String, Codable, Sendable, CaseIterable { case red, green = "g,r\"een", blue }
enum Level: Int, Codable, Sendable, CaseIterable { case low = -1, high = 1_000_000 }

struct Inner: Codable, Hashable, Sendable {
    var x: Int32
    var label: String?
}

struct Wide: Codable, Hashable, Sendable {
    var flag: Bool
    var a: Int8
    var b: Int16
    var c: Int32
    var d: Int64
    var e: UInt8
    var f: UInt16
    var g: UInt32
    var h: UInt64
    var i: Float
    var j: Double
    var text: String
    var maybe: Int?
    var note: String?
    var maybeFlag: Bool?
    var color: Color
    var level: Level
    var maybeColor: Color?
    var time: EventTime
    var maybeTime: EventTime?

    static func random(_ random: inout SeededRandom) -> Wide {
        func optional<Value>(_ value: Value) -> Value? { Bool.random(using: &random) ? value : nil }
        func text() -> String {
            let parts = [
                "", "a", "plain text", "comma, here", "\"quoted\"", "line\nbreak", "\r\n", "é", "漢字", "😀", "\u{1}\t\\/",
                " ",
            ]
            return (0..<Int.random(in: 0...4, using: &random)).map { _ in parts.randomElement(using: &random) ?? "" }
                .joined()
        }
        func word() -> UInt64 {
            switch Int.random(in: 0..<4, using: &random) {
            case 0: random.next()
            case 1: [0, .max, 1 << 63, (1 << 63) - 1, 10, 99, 100].randomElement(using: &random) ?? 0
            default: random.next() >> UInt64.random(in: 0...63, using: &random)
            }
        }
        func double() -> Double {
            let value = Double(bitPattern: word())
            return value.isFinite ? value : 0.1
        }
        func float() -> Float {
            let value = Float(bitPattern: UInt32(truncatingIfNeeded: word()))
            return value.isFinite ? value : -0.0
        }
        func time() -> EventTime {
            EventTime(milliseconds: Int64.random(in: -62_135_596_800_000...253_402_300_799_999, using: &random))
        }
        return Wide(
            flag: Bool.random(using: &random), a: Int8(truncatingIfNeeded: word()),
            b: Int16(truncatingIfNeeded: word()),
            c: Int32(truncatingIfNeeded: word()), d: Int64(bitPattern: word()), e: UInt8(truncatingIfNeeded: word()),
            f: UInt16(truncatingIfNeeded: word()), g: UInt32(truncatingIfNeeded: word()), h: word(), i: float(),
            j: double(), text: text(), maybe: optional(Int(truncatingIfNeeded: word())), note: optional(text()),
            maybeFlag: optional(Bool.random(using: &random)),
            color: Color.allCases.randomElement(using: &random) ?? .red,
            level: Level.allCases.randomElement(using: &random) ?? .low,
            maybeColor: optional(Color.allCases.randomElement(using: &random) ?? .red), time: time(),
            maybeTime: optional(time()))
    }
}

struct Deep: Codable, Hashable, Sendable {
    var id: Int
    var inner: Inner
    var maybe: Inner?
    var numbers: [Int]
    var names: [String]
    var inners: [Inner]
    var grid: [[Double]]
    var maybeList: [Int?]?
    var table: [String: Int]

    static func random(_ random: inout SeededRandom) -> Deep {
        func inner() -> Inner {
            Inner(
                x: Int32.random(in: .min ... .max, using: &random),
                label: Bool.random(using: &random) ? "l\"\(random.next() % 100)" : nil)
        }
        let count = Int.random(in: 0...5, using: &random)
        return Deep(
            id: Int(truncatingIfNeeded: random.next()), inner: inner(),
            maybe: Bool.random(using: &random) ? inner() : nil,
            numbers: (0..<count).map { _ in Int(truncatingIfNeeded: random.next()) },
            names: (0..<count).map { "n\($0)\n" }, inners: (0..<count).map { _ in inner() },
            grid: (0..<count).map { row in (0..<row).map { Double($0) / 3 } },
            maybeList: Bool.random(using: &random) ? (0..<count).map { $0.isMultiple(of: 2) ? $0 : nil } : nil,
            table: count > 2 ? ["a": count, "b": -1] : [:])
    }
}

/// A type whose decoding does more than to store.
struct Doubled: Codable, Hashable, Sendable {
    var value: Int

    enum CodingKeys: CodingKey { case value }

    init(value: Int) { self.value = value }

    init(from decoder: any Decoder) throws {
        value = try decoder.container(keyedBy: CodingKeys.self).decode(Int.self, forKey: .value) &* 2
    }
}

/// Reads text with a format; errors are collected.
func read<Record>(
    _ text: String, _ format: InputFormat<Record>, chunk: Int = .max, range: ReadRange = .all, name: String = "in"
) throws -> (rows: [Record], errors: [RecordError]) {
    try read(Array(text.utf8), format, chunk: chunk, range: range, name: name)
}

func read<Record>(
    _ bytes: [UInt8], _ format: InputFormat<Record>, chunk: Int = .max, range: ReadRange = .all, name: String = "in"
) throws -> (rows: [Record], errors: [RecordError]) {
    let reader = try format.makeReader(MemoryByteSource(bytes, name: name, chunkBytesMax: chunk), range: range)
    let rows = UnsafeMutablePointer<Record>.allocate(capacity: 5)
    defer { rows.deallocate() }
    var all: [Record] = []
    var errors: [RecordError] = []
    while true {
        let count = try reader.read(into: rows, positions: nil, capacity: 5) { errors.append($0) }
        if count == 0 { return (all, errors) }
        for row in 0..<count { all.append((rows + row).move()) }
    }
}

func text<Record>(_ records: [Record], _ format: OutputFormat<Record>) throws -> String {
    String(decoding: try format.makeWriter().bytes(of: records), as: UTF8.self)
}
