// SPDX-License-Identifier: Apache-2.0
//  Random values of the awkward types.

import ThalwegBase

/// A type of which a test can make up values.
protocol Sampled: Codable, Hashable, Sendable {
    static func sample(_ random: inout SeededRandom) -> Self
}

extension SeededRandom {
    mutating func of<Value: Sampled>(_: Value.Type = Value.self) -> Value { .sample(&self) }
    mutating func list<Value: Sampled>(_: Value.Type = Value.self) -> [Value] {
        (0..<Int.random(in: 0...4, using: &self)).map { _ in of() }
    }
    mutating func maybe<Value: Sampled>(_: Value.Type = Value.self) -> Value? { Bool.random(using: &self) ? of() : nil }
    mutating func integer<Value: FixedWidthInteger>() -> Value {
        switch next() % 6 {
        case 0: .min
        case 1: .max
        case 2: 0
        case 3: Value(truncatingIfNeeded: Int.random(in: -3...3, using: &self))
        default: Value(truncatingIfNeeded: next())
        }
    }
}

extension Bool: Sampled { static func sample(_ random: inout SeededRandom) -> Bool { .random(using: &random) } }
extension Int8: Sampled { static func sample(_ random: inout SeededRandom) -> Int8 { random.integer() } }
extension Int16: Sampled { static func sample(_ random: inout SeededRandom) -> Int16 { random.integer() } }
extension Int32: Sampled { static func sample(_ random: inout SeededRandom) -> Int32 { random.integer() } }
extension Int64: Sampled { static func sample(_ random: inout SeededRandom) -> Int64 { random.integer() } }
extension Int: Sampled { static func sample(_ random: inout SeededRandom) -> Int { random.integer() } }
extension UInt8: Sampled { static func sample(_ random: inout SeededRandom) -> UInt8 { random.integer() } }
extension UInt16: Sampled { static func sample(_ random: inout SeededRandom) -> UInt16 { random.integer() } }
extension UInt32: Sampled { static func sample(_ random: inout SeededRandom) -> UInt32 { random.integer() } }
extension UInt64: Sampled { static func sample(_ random: inout SeededRandom) -> UInt64 { random.integer() } }
extension UInt: Sampled { static func sample(_ random: inout SeededRandom) -> UInt { random.integer() } }
extension Double: Sampled {
    static func sample(_ random: inout SeededRandom) -> Double {
        [0, 1, -1, .infinity, -.infinity, .pi, -1e300, .leastNonzeroMagnitude, .random(in: -1e6...1e6, using: &random)]
            .randomElement(using: &random)!  // not empty
    }
}
extension Float: Sampled {
    static func sample(_ random: inout SeededRandom) -> Float { Float(Double.sample(&random)) }
}
extension String: Sampled {
    static func sample(_ random: inout SeededRandom) -> String {
        switch random.next() % 7 {
        case 0: ""
        case 1: "a"
        case 2: "a\0b\0"
        case 3: "ab"
        case 4: "naïve 🌊 \(random.next() % 9)"
        case 5: String(repeating: "long ", count: Int(random.next() % 60))
        default: "s\(random.next() % 100)"
        }
    }
}
extension EventTime: Sampled {
    static func sample(_ random: inout SeededRandom) -> EventTime { EventTime(milliseconds: random.integer()) }
}
extension Optional: Sampled where Wrapped: Sampled {
    static func sample(_ random: inout SeededRandom) -> Wrapped? { random.maybe() }
}
extension Array: Sampled where Element: Sampled {
    static func sample(_ random: inout SeededRandom) -> [Element] { random.list() }
}
extension Side: Sampled {
    static func sample(_ random: inout SeededRandom) -> Side { allCases.randomElement(using: &random)! }  // not empty
}
extension Level: Sampled {
    static func sample(_ random: inout SeededRandom) -> Level { [.low, .middle, .high][Int(random.next() % 3)] }
}
extension Only: Sampled { static func sample(_: inout SeededRandom) -> Only { .one } }
extension Lenient: Sampled {
    static func sample(_ random: inout SeededRandom) -> Lenient { Bool.random(using: &random) ? .known : .unknown }
}
extension Shape: Sampled {
    static func sample(_ random: inout SeededRandom) -> Shape {
        [.circle(radius: random.of()), .box(width: random.of(), height: random.of()), .nothing][Int(random.next() % 3)]
    }
}
extension Expression: Sampled {
    static func sample(_ random: inout SeededRandom) -> Expression {
        random.next() % 3 == 0 ? .sum(random.of(), random.of()) : .number(random.of())
    }
}
extension Words: Sampled {
    static func sample(_ random: inout SeededRandom) -> Words {
        Words(a: random.of(), b: random.of(), c: random.of(), d: random.of())
    }
}
extension Padded: Sampled {
    static func sample(_ random: inout SeededRandom) -> Padded {
        Padded(
            a: random.of(), b: random.of(), flag: random.of(), c: random.of(), other: random.of(), d: random.of(),
            e: random.of(), f: random.of())
    }
}
extension Scalars: Sampled {
    static func sample(_ random: inout SeededRandom) -> Scalars {
        Scalars(
            bool: random.of(), i8: random.of(), i16: random.of(), i32: random.of(), i64: random.of(), int: random.of(),
            u8: random.of(), u16: random.of(), u32: random.of(), u64: random.of(), uint: random.of(),
            float: random.of(), double: random.of(), string: random.of(), time: random.of())
    }
}
extension Optionals: Sampled {
    static func sample(_ random: inout SeededRandom) -> Optionals {
        Optionals(
            bool: random.of(), i8: random.of(), i16: random.of(), i32: random.of(), i64: random.of(), u64: random.of(),
            float: random.of(), double: random.of(), string: random.of(), time: random.of(), side: random.of(),
            level: random.of(), only: random.of(), point: random.of(), label: random.of(), list: random.of(),
            strings: random.of(), padded: random.of(), empty: random.of())
    }
}
extension Nested2: Sampled {
    static func sample(_ random: inout SeededRandom) -> Nested2 {
        Nested2(a: random.of(), b: random.of(), c: random.of(), d: random.of())
    }
}
extension Point: Sampled {
    static func sample(_ random: inout SeededRandom) -> Point { Point(x: random.of(), y: random.of()) }
}
extension Label: Sampled {
    static func sample(_ random: inout SeededRandom) -> Label { Label(text: random.of(), weight: random.of()) }
}
extension Empty: Sampled { static func sample(_: inout SeededRandom) -> Empty { Empty() } }
extension Arrays: Sampled {
    static func sample(_ random: inout SeededRandom) -> Arrays {
        Arrays(
            bytes: random.of(), ints: random.of(), bools: random.of(), strings: random.of(), points: random.of(),
            labels: random.of(), sides: random.of(), optionals: random.of(), nested: random.of(), empties: random.of(),
            padded: random.of(), times: random.of())
    }
}
extension Box: Sampled where Content: Sampled {
    static func sample(_ random: inout SeededRandom) -> Box {
        Box(before: random.of(), content: random.of(), after: random.of())
    }
}
extension Enums: Sampled {
    static func sample(_ random: inout SeededRandom) -> Enums {
        Enums(side: random.of(), level: random.of(), only: random.of(), count: random.of())
    }
}
extension Reordered: Sampled {
    static func sample(_ random: inout SeededRandom) -> Reordered {
        Reordered(a: random.of(), b: random.of(), c: random.of(), d: random.of(), e: random.of())
    }
}
extension UserID: Sampled {
    static func sample(_ random: inout SeededRandom) -> UserID { UserID(rawValue: random.of()) }
}
extension Wrapper: Sampled {
    static func sample(_ random: inout SeededRandom) -> Wrapper {
        Wrapper(
            id: random.of(),
            inner: Inner(deep: Deeper(flag: random.of(), names: random.of(), id: random.of()), n: random.of()))
    }
}
extension WithDictionary: Sampled {
    static func sample(_ random: inout SeededRandom) -> WithDictionary {
        WithDictionary(
            id: random.of(), tags: Dictionary(random.list(String.self).map { ($0, 1) }, uniquingKeysWith: +),
            seen: Set(random.list()), name: random.of())
    }
}
extension WithShape: Sampled {
    static func sample(_ random: inout SeededRandom) -> WithShape {
        WithShape(id: random.of(), shape: random.of(), tree: random.of(), lenient: random.of(), name: random.of())
    }
}
extension Tree: Sampled {
    static func sample(_ random: inout SeededRandom) -> Tree {
        Tree(value: random.of(), children: random.next() % 3 == 0 ? random.list() : [])
    }
}
extension WithClass: Sampled {
    static func sample(_ random: inout SeededRandom) -> WithClass {
        WithClass(id: random.of(), reference: Reference(value: random.of()), name: random.of())
    }
}
extension Clamped: Sampled {
    static func sample(_ random: inout SeededRandom) -> Clamped { Clamped(percent: Int(random.next() % 101)) }
}
extension Defaulted: Sampled {
    static func sample(_ random: inout SeededRandom) -> Defaulted { Defaulted(name: random.of(), note: random.of()) }
}
extension Listed: Sampled {
    static func sample(_ random: inout SeededRandom) -> Listed { Listed(x: random.of(), y: random.of()) }
}
extension Swapped: Sampled {
    static func sample(_ random: inout SeededRandom) -> Swapped { Swapped(x: random.of(), y: random.of()) }
}
