// SPDX-License-Identifier: Apache-2.0
//  One run of the probing decoder: the values it hands out, and a note of each.

import ThalwegBase

/// A value that was handed out or read back, taken apart.
enum Leaf: Equatable {
    case word(UInt64)
    case text([UInt8])
    case none
    case some
    case count(Int)
    case opaque([UInt8])
}

/// Why a type cannot be learned.
struct Refusal: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Makes up values for one decoding of a type.
final class Probe {
    /// Which optionals have a value.
    enum Presence { case all, some, none }

    let learner: Learner
    let presence: Presence
    private(set) var random: SeededRandom
    /// All values handed out, in the order of decoding.
    var tape: [Leaf] = []
    /// When guessing: which of the made-up texts and cases to try.
    var attempt = 0
    private var guesses = 0

    init(_ learner: Learner, seed: UInt64, presence: Presence) {
        self.learner = learner
        self.presence = presence
        random = SeededRandom(seed: seed &* 0x9E37_79B9 &+ 1)
    }

    /// A value of `type` as a whole.
    func value<Value: Decodable>(_: Value.Type, as type: FieldType) throws -> Value {
        switch type {
        case .rawValue(let table):
            let tag = Int(random.next() % UInt64(table.count))
            if table.kind == .string {
                tape.append(.text(table.strings[tag]))
                let raw = String(decoding: table.strings[tag], as: UTF8.self)
                return try Value(from: PlainDecoder(node: PlainNode(.string(raw)), codingPath: []))
            }
            tape.append(.word(UInt64(bitPattern: table.integers[tag])))
            let raw: PlainNode.Content =
                table.kind == .uint64
                ? .unsigned(UInt64(bitPattern: table.integers[tag])) : .int(table.integers[tag])
            return try Value(from: PlainDecoder(node: PlainNode(raw), codingPath: []))
        case .codable(let witness):
            let value = try learner.guess(Value.self, probe: self)
            var writer = ByteWriter()
            try withUnsafePointer(to: value) { try witness.encode(UnsafeRawPointer($0), into: &writer) }
            tape.append(.opaque(writer.bytes()))
            return value
        default:
            return try Value(from: ProbeDecoder(probe: self, role: .inner(type), depth: 0))
        }
    }

    /// Decides whether an optional has a value, and notes it.
    func decidePresence() -> Bool {
        let isPresent =
            switch presence {
            case .all: true
            case .none: false
            case .some: random.next() & 1 == 0
            }
        tape.append(isPresent ? .some : .none)
        return isPresent
    }

    func elementCount() -> Int {
        let count = presence == .none ? 0 : Int(random.next() % 4)
        tape.append(.count(count))
        return count
    }

    func bool() -> Bool {
        let value = random.next() & 1 == 1
        tape.append(.word(value ? 1 : 0))
        return value
    }

    func integer<Value: FixedWidthInteger>(_: Value.Type) -> Value {
        let value: Value =
            switch random.next() % 16 {
            case 0: .min
            case 1: .max
            case 2: 0
            case 3: Value(truncatingIfNeeded: -1)
            default: Value(truncatingIfNeeded: random.next())
            }
        tape.append(.word(UInt64(truncatingIfNeeded: value)))
        return value
    }

    func double() -> Double {
        let value = (Double(random.next() >> 12) - 0x1p51) * 0.37
        tape.append(.word(value.bitPattern))
        return value
    }

    func float() -> Float {
        let value = (Float(random.next() >> 44) - 0x1p19) * 0.37
        tape.append(.word(UInt64(value.bitPattern)))
        return value
    }

    func string() -> String {
        let number = random.next()
        let value =
            switch random.next() % 6 {
            case 0: "" + "\(number % 1000)"
            case 1: " Mixed Case \(number)  "
            case 2: "ünïcödé 🌊 \(number)"
            case 3: "long enough to live on the heap, whatever the number is: \(number)"
            case 4: "\(number)\n\t\"\\"
            default: presence == .all ? "short\(number % 97)" : ""
            }
        tape.append(.text(Array(value.utf8)))
        return value
    }

    // MARK: Guessing: plausible values for types that decode themselves in their own way

    static let guessedTexts = [
        "1", "a", "2020-01-02T03:04:05Z", "00000000-0000-4000-8000-000000000001", "https://example.com/", "", "UTC",
    ]
    static let attemptCount = 14

    func guessedText() -> String { Self.guessedTexts[attempt % Self.guessedTexts.count] }

    func guessedNumber() -> Int {
        guesses += 1
        return guesses
    }
}
