// SPDX-License-Identifier: Apache-2.0
//  Finds out what a type is made of, by watching it decode itself.

import ThalwegBase

/// Learns types, each once per learner.
final class Learner {
    /// Decodings with every optional present, from which places in memory are found.
    static let studyRuns = 20
    /// Decodings after that, with nils, which the layout must explain.
    static let proofRuns = 24

    private var known: [ObjectIdentifier: FieldType] = [:]
    private var inProgress: Set<ObjectIdentifier> = []
    /// Types for which not even a value could be made up.
    private var hopeless: Set<ObjectIdentifier> = []
    private var attempts: [ObjectIdentifier: Int] = [:]

    /// How `type` lies in memory; `.codable` if that is not understood, nil if it cannot even be tried.
    func describe<Value: Decodable>(_ type: Value.Type) -> FieldType? {
        let id = ObjectIdentifier(type)
        if let type = known[id] { return type }
        if hopeless.contains(id) { return nil }
        guard inProgress.insert(id).inserted else { return codable(type, reason: "it contains itself") }
        defer { inProgress.remove(id) }
        guard let result = study(type) else {
            hopeless.insert(id)
            return nil
        }
        known[id] = result
        return result
    }

    private func study<Value: Decodable>(_ type: Value.Type) -> FieldType? {
        if let kind = ScalarKind.of(type) { return .scalar(kind) }
        if let optional = type as? any LearnableOptional.Type { return optional.learn(with: self) }
        if let array = type as? any LearnableArray.Type { return array.learn(with: self) }
        let reason: String
        if let raw = type as? any RawRepresentable.Type, let table = Self.table(of: raw) {
            if isDecodedByRawValue(type, table) { return .rawValue(table) }
            reason = "an enum that does not decode itself by its raw value"
        } else if type is AnyClass {
            reason = "a class"
        } else {
            do {
                return try Study(type, self).result()
            } catch let refusal as Refusal {
                reason = refusal.description
            } catch {
                reason = "its init(from:) refused a made-up value: \(error)"
            }
        }
        guard canGuess(type) else { return nil }
        return codable(type, reason: reason)
    }

    private func codable<Value: Decodable>(_ type: Value.Type, reason: String) -> FieldType? {
        func open<Coded: Codable>(_: Coded.Type) -> FieldType { .codable(CodableWitness(Coded.self, reason: reason)) }
        guard let coded = type as? any (Decodable & Encodable).Type else { return nil }
        return open(coded)
    }

    private static func table<Value: RawRepresentable>(of _: Value.Type) -> RawValueTable? {
        RawValueTable(Value.self)
    }

    /// True if the enum decodes each raw value to its case, and no other value to anything.
    private func isDecodedByRawValue<Value: Decodable>(_: Value.Type, _ table: RawValueTable) -> Bool {
        func decode(_ content: PlainNode.Content) -> Value? {
            try? Value(from: PlainDecoder(node: PlainNode(content), codingPath: []))
        }
        for tag in 0..<table.count {
            let content: PlainNode.Content =
                if table.kind == .string {
                    .string(String(decoding: table.strings[tag], as: UTF8.self))
                } else if table.kind == .uint64 {
                    .unsigned(UInt64(bitPattern: table.integers[tag]))
                } else {
                    .int(table.integers[tag])
                }
            guard let value = decode(content), EnumCases.tag(of: value) == tag else { return false }
        }
        if table.kind == .string {
            let unknown = "\u{1} no such case"
            return Array(unknown.utf8).withUnsafeBytes { table.tag(of: $0) } != nil || decode(.string(unknown)) == nil
        }
        return [Int64(0), 1, 101, 113].allSatisfy { table.tag(of: $0) != nil || decode(.int($0)) == nil }
    }

    // MARK: Types that are not understood

    private func canGuess<Value: Decodable>(_ type: Value.Type) -> Bool {
        for attempt in 0..<Probe.attemptCount {
            let probe = Probe(self, seed: 1, presence: .all)
            probe.attempt = attempt
            if (try? ProbeDecoder(probe: probe, role: .guess, depth: 0).guessRoot(type)) != nil {
                attempts[ObjectIdentifier(type)] = attempt
                return true
            }
        }
        return false
    }

    /// Makes up a value of a type that is not understood.
    func guess<Value: Decodable>(_ type: Value.Type, probe: Probe) throws -> Value {
        let (attempt, mark) = (probe.attempt, probe.tape.count)
        defer {
            probe.attempt = attempt
            probe.tape.removeSubrange(mark...)
        }
        if let attempt = attempts[ObjectIdentifier(type)] {
            probe.attempt = attempt
            return try ProbeDecoder(probe: probe, role: .guess, depth: 0).guessRoot(type)
        }
        for attempt in 0..<Probe.attemptCount {
            probe.attempt = attempt
            if let value = try? ProbeDecoder(probe: probe, role: .guess, depth: 0).guessRoot(type) { return value }
        }
        throw Refusal("no value of its part \(type) could be made up")
    }
}

extension ProbeDecoder {
    fileprivate func guessRoot<Value: Decodable>(_: Value.Type) throws -> Value { try Value(from: self) }
}

/// Reaches the type inside an optional.
private protocol LearnableOptional {
    static func learn(with learner: Learner) -> FieldType?
}

extension Optional: LearnableOptional where Wrapped: Decodable {
    fileprivate static func learn(with learner: Learner) -> FieldType? {
        learner.describe(Wrapped.self).map { .optional(OptionalLayout(Wrapped.self, wrapped: $0)) }
    }
}

/// Reaches the type inside an array.
private protocol LearnableArray {
    static func learn(with learner: Learner) -> FieldType?
}

extension Array: LearnableArray where Element: Decodable {
    fileprivate static func learn(with learner: Learner) -> FieldType? {
        learner.describe(Element.self).map { .array(ArrayLayout(Element.self, element: $0)) }
    }
}
