// SPDX-License-Identifier: Apache-2.0
//  The decoder that learns: it answers every question with a made-up value.

import ThalwegBase

/// Plays the decoder for a type under study.
struct ProbeDecoder: Decoder {
    enum Role {
        /// The type itself is being learned: what it asks for is written down.
        case study(Recorder)
        /// A part of it, of a type already known.
        case inner(FieldType)
        /// A type that is not understood: anything it may like.
        case guess
    }

    let probe: Probe
    let role: Role
    let depth: Int

    /// Guessed values nested deeper than this are given up: the type may have no end.
    static let guessDepthMax = 12

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }
    /// True when guessing so deep that optionals and lists should rather be empty.
    var isDeep: Bool { depth > 2 }

    func container<Key: CodingKey>(keyedBy _: Key.Type) throws -> KeyedDecodingContainer<Key> {
        switch role {
        case .study(let recorder): try recorder.begin(.keyed)
        case .inner(.record), .guess: break
        case .inner: throw Refusal("it asks for named values")
        }
        return KeyedDecodingContainer(ProbeKeyed<Key>(decoder: self))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        switch role {
        case .inner(.array(let array)):
            return ProbeUnkeyed(decoder: self, element: array.element, count: probe.elementCount())
        case .guess: return ProbeUnkeyed(decoder: self, element: nil, count: isDeep ? 0 : 2)
        default: throw Refusal("it decodes itself from a list")
        }
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        if case .study(let recorder) = role { try recorder.begin(.single) }
        return ProbeSingle(decoder: self)
    }

    func deeper() throws -> ProbeDecoder {
        guard depth < Self.guessDepthMax else { throw Refusal("it is nested without end") }
        return ProbeDecoder(probe: probe, role: .guess, depth: depth + 1)
    }

    /// A value for a type that is not understood.
    func guess<Value: Decodable>(_: Value.Type) throws -> Value {
        if case .rawValue(let table)? = probe.learner.describe(Value.self) {
            let mark = probe.tape.count
            defer { probe.tape.removeSubrange(mark...) }
            return try probe.value(Value.self, as: .rawValue(table))
        }
        return try Value(from: deeper())
    }

    /// A value that stands alone inside its decoder.
    func single<Value: Decodable>(_: Value.Type) throws -> Value {
        switch role {
        case .study(let recorder):
            let mark = probe.tape.count
            let type = try recorder.type(of: Value.self)
            let value = try probe.value(Value.self, as: type)
            try recorder.note("", type, value, probe.tape[mark...])
            return value
        case .inner(.optional(let optional)): return try probe.value(Value.self, as: optional.wrapped)
        case .inner(let type):
            if case .scalar = type, ScalarKind.of(Value.self) != nil {
                throw Refusal("it decodes other types at times")
            }
            return try probe.value(Value.self, as: type)
        case .guess: return try guess(Value.self)
        }
    }
}

/// Writes down what a type asks for.
final class Recorder {
    enum Form { case keyed, single }

    let learner: Learner
    private(set) var form: Form?
    private(set) var fields: [RecordedField] = []
    private(set) var refusal: String?

    init(_ learner: Learner) { self.learner = learner }

    func begin(_ form: Form) throws {
        guard self.form == nil || self.form == form else { throw refuse("it decodes itself in two ways") }
        self.form = form
    }

    /// Remembers the first reason: the type's own code may swallow the error.
    func refuse(_ reason: String) -> Refusal {
        refusal = refusal ?? reason
        return Refusal(reason)
    }

    func type<Value: Decodable>(of _: Value.Type) throws -> FieldType {
        guard let type = learner.describe(Value.self) else {
            throw refuse("no value of its part \(Value.self) could be made up")
        }
        return type
    }

    func note<Value>(_ name: String, _ type: FieldType, _ value: Value, _ tape: ArraySlice<Leaf>) throws {
        if fields.contains(where: { $0.name == name }) { throw refuse("it decodes \"\(name)\" twice") }
        fields.append(RecordedField(name, type, value, tape))
    }
}

/// A field that a type asked for, and the bytes it was given.
struct RecordedField {
    let name: String
    let type: FieldType
    let swiftType: any Any.Type
    let bytes: [UInt8]
    let tape: [Leaf]

    init<Value>(_ name: String, _ type: FieldType, _ value: Value, _ tape: ArraySlice<Leaf>) {
        self.name = name
        self.type = type
        swiftType = Value.self
        bytes = withUnsafeBytes(of: value) { Array($0) }
        self.tape = Array(tape)
    }
}
