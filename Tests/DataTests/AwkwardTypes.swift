// SPDX-License-Identifier: Apache-2.0
//  Record types that make learning hard.

import ThalwegBase

enum Side: String, Codable, Hashable, CaseIterable, Sendable { case buy, sell, none = "?" }
enum Level: Int, Codable, Hashable, Sendable { case low = -5, middle = 0, high = 7_000_000_000 }
enum Only: String, Codable, Hashable, Sendable { case one }
enum Lenient: String, Codable, Hashable, Sendable {
    case known, unknown
    init(from decoder: any Decoder) throws {
        self = Self(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
    }
}
enum Shape: Codable, Hashable, Sendable {
    case circle(radius: Double)
    case box(width: Int, height: Int)
    case nothing
}
indirect enum Expression: Codable, Hashable, Sendable {
    case number(Int)
    case sum(Expression, Expression)
}

struct Words: Codable, Hashable, Sendable { var a: Int64, b: Int64, c: Int64, d: EventTime }
struct Padded: Codable, Hashable, Sendable {
    var a: Int8, b: Int64, flag: Bool, c: Int32, other: Bool, d: Int16, e: Double, f: UInt8
}
struct Scalars: Codable, Hashable, Sendable {
    var bool: Bool, i8: Int8, i16: Int16, i32: Int32, i64: Int64, int: Int
    var u8: UInt8, u16: UInt16, u32: UInt32, u64: UInt64, uint: UInt
    var float: Float, double: Double, string: String, time: EventTime
}
struct Optionals: Codable, Hashable, Sendable {
    var bool: Bool?, i8: Int8?, i16: Int16?, i32: Int32?, i64: Int64?, u64: UInt64?
    var float: Float?, double: Double?, string: String?, time: EventTime?
    var side: Side?, level: Level?, only: Only?, point: Point?, label: Label?, list: [Int]?, strings: [String]?
    var padded: Padded?, empty: Empty?
}
struct Nested2: Codable, Hashable, Sendable { var a: Int??; var b: String??; var c: Bool??; var d: Point?? }
struct Point: Codable, Hashable, Sendable { var x: Double, y: Double }
struct Label: Codable, Hashable, Sendable { var text: String, weight: Int8 }
struct Empty: Codable, Hashable, Sendable {}
struct Arrays: Codable, Hashable, Sendable {
    var bytes: [UInt8], ints: [Int], bools: [Bool], strings: [String], points: [Point], labels: [Label]
    var sides: [Side], optionals: [Int?], nested: [[String]], empties: [Empty], padded: [Padded], times: [EventTime]
}
struct Box<Content: Codable & Hashable & Sendable>: Codable, Hashable, Sendable {
    var before: Bool, content: Content, after: Int16
}
struct Enums: Codable, Hashable, Sendable { var side: Side, level: Level, only: Only, count: Int }
struct Reordered: Codable, Hashable, Sendable {
    var a: Int64, b: String, c: Bool, d: Int64, e: Bool
    enum CodingKeys: String, CodingKey { case e, d = "dee", b, c, a = "é a" }
}
struct Renamed: Codable, Hashable, Sendable {
    var firstName: String, age: Int
    enum CodingKeys: String, CodingKey { case firstName = "first_name", age }
}
struct UserID: RawRepresentable, Codable, Hashable, Sendable { var rawValue: Int64 }
struct Wrapper: Codable, Hashable, Sendable {
    var id: UserID, inner: Inner
    struct Inner: Codable, Hashable, Sendable { var deep: Deeper; var n: Int32 }
    struct Deeper: Codable, Hashable, Sendable { var flag: Bool; var names: [String]; var id: UserID? }
}
struct WithDictionary: Codable, Hashable, Sendable { var id: Int64, tags: [String: Int], seen: Set<Int>, name: String }
struct WithShape: Codable, Hashable, Sendable {
    var id: Int32, shape: Shape, tree: Expression, lenient: Lenient, name: String
}
struct Tree: Codable, Hashable, Sendable { var value: Int, children: [Tree] }
final class Reference: Codable, Hashable, @unchecked Sendable {
    var value = 0
    static func == (left: Reference, right: Reference) -> Bool { left.value == right.value }
    func hash(into hasher: inout Hasher) { hasher.combine(value) }
    init(value: Int) { self.value = value }
}
struct WithClass: Codable, Hashable, Sendable { var id: Int, reference: Reference, name: String }

// MARK: Types that decode themselves in their own way

struct Clamped: Codable, Hashable, Sendable {
    var percent: Int
    enum CodingKeys: CodingKey { case percent }
    init(percent: Int) { self.percent = percent }
    init(from decoder: any Decoder) throws {
        percent = min(100, max(0, try decoder.container(keyedBy: CodingKeys.self).decode(Int.self, forKey: .percent)))
    }
}
struct Defaulted: Codable, Hashable, Sendable {
    var name: String, note: String
    enum CodingKeys: CodingKey { case name, note }
    init(name: String, note: String) { (self.name, self.note) = (name, note) }
    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(String.self, forKey: .name)
        note = try values.decodeIfPresent(String.self, forKey: .note) ?? "none"
    }
}
struct Hidden: Codable, Hashable, Sendable {
    var a: Int8, hidden: Int8 = 3, b: Int64
    enum CodingKeys: CodingKey { case a, b }
}
struct Positive: Codable, Hashable, Sendable {
    var value: Int
    enum CodingKeys: CodingKey { case value }
    init(value: Int) { self.value = value }
    init(from decoder: any Decoder) throws {
        value = try decoder.container(keyedBy: CodingKeys.self).decode(Int.self, forKey: .value)
        guard value > 0 else { throw ThalwegError(.input, "not positive") }
    }
}
struct Listed: Codable, Hashable, Sendable {
    var x: Int, y: Int
    init(x: Int, y: Int) { (self.x, self.y) = (x, y) }
    init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        (x, y) = (try values.decode(Int.self), try values.decode(Int.self))
    }
    func encode(to encoder: any Encoder) throws {
        var values = encoder.unkeyedContainer()
        try values.encode(x)
        try values.encode(y)
    }
}
struct Swapped: Codable, Hashable, Sendable {
    var x: Int, y: Int
    enum CodingKeys: CodingKey { case x, y }
    init(x: Int, y: Int) { (self.x, self.y) = (x, y) }
    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        (y, x) = (try values.decode(Int.self, forKey: .x), try values.decode(Int.self, forKey: .y))
    }
    func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(y, forKey: .x)
        try values.encode(x, forKey: .y)
    }
}
