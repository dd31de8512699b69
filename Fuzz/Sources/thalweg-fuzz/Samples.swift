// SPDX-License-Identifier: Apache-2.0
//  Records of the shapes that codecs and formats tell apart.

import ThalwegBase

enum Color: String, Codable, Sendable, CaseIterable { case red, green = "g,r\"een", blue }
enum Level: Int, Codable, Sendable, CaseIterable { case low = -1, high = 1_000_000 }

struct Inner: Codable, Hashable, Sendable {
    var x: Int32
    var label: String?
}

/// Every kind of single value, and no other.
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
    var inner: Inner
}

/// Records, arrays and optionals in one another.
struct Deep: Codable, Hashable, Sendable {
    var id: Int
    var inner: Inner
    var maybe: Inner?
    var numbers: [Int]
    var names: [String]
    var inners: [Inner]
    var grid: [[Double]]
    var maybeList: [Int?]?
}

/// A type whose decoding does more than to store: plain `Codable` reads it.
struct Doubled: Codable, Hashable, Sendable {
    var value: Int
    var others: [String: [Int?]]

    enum CodingKeys: CodingKey { case value, others }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        value = try container.decode(Int.self, forKey: .value) &* 2
        others = try container.decodeIfPresent([String: [Int?]].self, forKey: .others) ?? [:]
    }
}

struct Nothing: Codable, Hashable, Sendable {}

/// Arrays of what takes no bytes.
struct Hollow: Codable, Hashable, Sendable {
    var nothings: [Nothing]
    var more: [[Nothing]]
}
