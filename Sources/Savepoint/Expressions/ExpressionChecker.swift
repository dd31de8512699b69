// SPDX-License-Identifier: Apache-2.0
//  Finds the types of an expression, and how its values are computed.

import ThalwegBase
import ThalwegData

/// Turns syntax into nodes that know their types.
struct ExpressionChecker {
    let names: [RecordSchema.Field]

    init(_ names: [RecordSchema.Field]) { self.names = names }

    /// - Parameter hint: the type that a number in the text takes if it can.
    func node(_ syntax: ExpressionSyntax, hint: SchemaType? = nil) throws(ExpressionFault) -> ExpressionNode {
        let position = syntax.position
        switch syntax.kind {
        case .number(let digits): return try number(digits, at: position, hint)
        case .text(let text): return .constant(.string(text), .scalar(.string), at: position)
        case .bool(let value): return .constant(.bool(value), .scalar(.bool), at: position)
        case .null: return .constant(.null, nil, at: position)
        case .name(let name): return try named(name, at: position)
        case .field(let record, let name): return try field(name, of: try node(record), at: position)
        case .element(let array, let index):
            return try element(of: try node(array), try node(index, hint: .scalar(.int64)), at: position)
        case .call(let name, let arguments, let isOptional):
            return try call(name, arguments, isOptional: isOptional, at: position, hint)
        case .negation(let operand): return try negation(operand, at: position, hint)
        case .not(let operand):
            let value = try condition(operand)
            return ExpressionNode(.scalar(.bool), at: position) { row throws(ExpressionFault) in
                .bool(try !value(row))
            }
        case .binary(let symbol, let left, let right):
            return try binary(symbol, left, right, at: position, hint)
        case .choice(let test, let yes, let no):
            let test = try condition(test)
            let (yes, no) = try agreed(try node(yes, hint: hint), try node(no, hint: hint), at: position)
            return ExpressionNode(yes.type ?? no.type, at: position) { row throws(ExpressionFault) in
                try test(row) ? try yes.evaluate(row) : try no.evaluate(row)
            }
        case .record(let fields): return try record(fields, at: position, hint)
        case .array(let elements): return try array(elements, at: position, hint)
        }
    }

    /// A part that must be true or false.
    func condition(
        _ syntax: ExpressionSyntax
    ) throws(ExpressionFault) -> @Sendable ([DynamicValue]) throws(ExpressionFault) -> Bool {
        let node = try node(syntax)
        guard node.type == .scalar(.bool) else {
            throw ExpressionFault(
                position: node.position, reason: "a condition is a bool, this is \(node.typeName)",
                hint: node.isOptional ? "say what null means: (x ?? false)" : nil)
        }
        return { row throws(ExpressionFault) in try node.evaluate(row) == .bool(true) }
    }

    // MARK: Values that stand in the text

    private func number(
        _ digits: String, at position: Int, _ hint: SchemaType?
    ) throws(ExpressionFault) -> ExpressionNode {
        let isWhole = !digits.contains { $0 == "." || $0 == "e" || $0 == "E" }
        if let kind = hint?.unwrapped.scalar, let value = Self.literal(digits, kind), !kind.isTextual {
            var node = ExpressionNode.constant(value, .scalar(kind), at: position)
            node.digits = digits
            return node
        }
        let kind: ScalarKind = isWhole ? .int64 : .double
        guard let value = Self.literal(digits, kind) else {
            throw ExpressionFault(
                position: position, reason: "\(digits) is too large for \(kind.rawValue)",
                hint: "write it as a text and cast that: uint64('\(digits)')")
        }
        var node = ExpressionNode.constant(value, .scalar(kind), at: position)
        node.digits = digits
        return node
    }

    /// The number as a value of a kind; nil when it is none.
    private static func literal(_ digits: String, _ kind: ScalarKind) -> DynamicValue? {
        switch kind {
        case .bool, .string, .time: nil
        case .uint64: UInt64(digits).map { .unsigned($0) }
        case .float: Float(digits).flatMap { $0.isFinite ? .float($0) : nil }
        case .double: Double(digits).flatMap { $0.isFinite ? .double($0) : nil }
        default:
            Int64(digits).flatMap { number in
                kind.integers.flatMap { $0.contains(number) ? .integer(number) : nil }
            }
        }
    }

    private func record(
        _ fields: [(name: String, position: Int, value: ExpressionSyntax)], at position: Int, _ hint: SchemaType?
    ) throws(ExpressionFault) -> ExpressionNode {
        var wanted: [String: SchemaType] = [:]
        if case .record(let known)? = hint?.unwrapped {
            wanted = Dictionary(known.map { ($0.name, $0.type) }) { first, _ in first }
        }
        var types: [RecordSchema.Field] = []
        var parts: [ExpressionNode] = []
        for field in fields {
            guard !types.contains(where: { $0.name == field.name }) else {
                throw ExpressionFault(position: field.position, reason: "field '\(field.name)' stands there twice")
            }
            var part = try node(field.value, hint: wanted[field.name])
            if let type = wanted[field.name], let fitted = try? fitted(part, to: type) { part = fitted }
            guard let type = part.type else {
                throw ExpressionFault(
                    position: part.position, reason: "null alone has no type",
                    hint: "write string?(null), int64?(null), …")
            }
            types.append(RecordSchema.Field(name: field.name, type: type))
            parts.append(part)
        }
        let names = fields.map(\.name)
        return ExpressionNode(.record(types), at: position) { [parts] row throws(ExpressionFault) in
            var values: [DynamicValue.Field] = []
            for (name, part) in zip(names, parts) { values.append(.init(name, try part.evaluate(row))) }
            return .record(values)
        }
    }

    private func array(
        _ elements: [ExpressionSyntax], at position: Int, _ hint: SchemaType?
    ) throws(ExpressionFault) -> ExpressionNode {
        var wanted: SchemaType?
        if case .array(let element)? = hint?.unwrapped { wanted = element }
        var parts: [ExpressionNode] = []
        for syntax in elements {
            var part = try node(syntax, hint: wanted)
            if let type = wanted ?? parts.first?.type { part = try fitted(part, to: type) }
            parts.append(part)
        }
        guard let type = wanted ?? parts.first?.type else {
            throw ExpressionFault(position: position, reason: "an array without elements has no type")
        }
        return ExpressionNode(.array(type), at: position) { [parts] row throws(ExpressionFault) in
            var values: [DynamicValue] = []
            for part in parts { values.append(try part.evaluate(row)) }
            return .array(values)
        }
    }

    // MARK: Names and fields

    private func named(_ name: String, at position: Int) throws(ExpressionFault) -> ExpressionNode {
        if let index = names.firstIndex(where: { $0.name == name }) {
            return ExpressionNode(names[index].type, at: position) { row throws(ExpressionFault) in row[index] }
        }
        // A field of the value needs no path.
        if let index = names.firstIndex(where: { $0.name == "value" }), case .record(let fields) = names[index].type,
            let place = fields.firstIndex(where: { $0.name == name })
        {
            return ExpressionNode(fields[place].type, at: position) { row throws(ExpressionFault) in
                try Self.field(place, of: row[index], at: position)
            }
        }
        let all = names.map(\.name)
        throw ExpressionFault(
            position: position, reason: "there is no '\(name)'",
            hint: "there is \(all.joined(separator: ", ")), and fields of them such as value.price")
    }

    func field(
        _ name: String, of record: ExpressionNode, at position: Int
    ) throws(ExpressionFault) -> ExpressionNode {
        guard case .record(let fields)? = record.type else {
            throw ExpressionFault(
                position: position, reason: "\(record.typeName) has no fields",
                hint: record.isOptional ? "say what null means: (x ?? {…}).\(name)" : nil)
        }
        guard let place = fields.firstIndex(where: { $0.name == name }) else {
            throw ExpressionFault(
                position: position, reason: "there is no field '\(name)'",
                hint: "the fields are \(fields.map(\.name).joined(separator: ", "))")
        }
        return ExpressionNode(fields[place].type, at: position) { row throws(ExpressionFault) in
            try Self.field(place, of: try record.evaluate(row), at: position)
        }
    }

    private static func field(
        _ place: Int, of value: DynamicValue, at position: Int
    ) throws(ExpressionFault) -> DynamicValue {
        guard case .record(let fields) = value, fields.indices.contains(place) else {
            throw ExpressionFault(position: position, reason: "\(value.json) is no record of the schema")
        }
        return fields[place].value
    }

    private func element(
        of array: ExpressionNode, _ index: ExpressionNode, at position: Int
    ) throws(ExpressionFault) -> ExpressionNode {
        guard case .array(let type)? = array.type else {
            throw ExpressionFault(position: position, reason: "\(array.typeName) has no elements")
        }
        guard let kind = index.scalar, kind.integers != nil else {
            throw ExpressionFault(position: index.position, reason: "a place is a whole number, not \(index.typeName)")
        }
        return ExpressionNode(type, at: position) { row throws(ExpressionFault) in
            guard case .array(let values) = try array.evaluate(row), case .integer(let place) = try index.evaluate(row),
                let place = Int(exactly: place), values.indices.contains(place)
            else { throw ExpressionFault(position: position, reason: "there is no such element") }
            return values[place]
        }
    }

    // MARK: Types that meet

    /// The node as one of a type: a number in the text takes it, null fits what is optional, a value too.
    func fitted(_ node: ExpressionNode, to type: SchemaType) throws(ExpressionFault) -> ExpressionNode {
        if node.type == type { return node }
        if let digits = node.digits, let kind = type.unwrapped.scalar, let value = Self.literal(digits, kind) {
            let fitted = ExpressionNode.constant(value, .scalar(kind), at: node.position)
            return type == .scalar(kind) ? fitted : try self.fitted(fitted, to: type)
        }
        if case .optional(let wrapped) = type {
            if node.type == nil { return .constant(.null, type, at: node.position) }
            if node.type == wrapped {
                // An optional inside tells its nil from the outer one.
                guard case .optional = wrapped else {
                    return ExpressionNode(type, at: node.position, node.evaluate)
                }
                return ExpressionNode(type, at: node.position) { row throws(ExpressionFault) in
                    .some(try node.evaluate(row))
                }
            }
        }
        // The raw value of an enum: whether there is such a case only the job knows.
        if case .rawValue(let kind, _) = type.unwrapped, node.type == .scalar(kind), Self.isRaw(kind) {
            return ExpressionNode(type, at: node.position, node.evaluate)
        }
        throw ExpressionFault(
            position: node.position, reason: "\(type) is needed, this is \(node.typeName)",
            hint: Self.castHint(from: node, to: type))
    }

    /// Raw values of other kinds are held as whole numbers.
    private static func isRaw(_ kind: ScalarKind) -> Bool {
        kind == .string || kind == .uint64 || kind.integers != nil
    }

    private static func castHint(from node: ExpressionNode, to type: SchemaType) -> String? {
        if node.isOptional { return "say what null means: (x ?? …)" }
        return type.scalar.map { "cast it: \($0.rawValue)(…)" }
    }

    /// Both as values of one type.
    func agreed(
        _ left: ExpressionNode, _ right: ExpressionNode, at position: Int
    ) throws(ExpressionFault) -> (ExpressionNode, ExpressionNode) {
        if left.type == right.type { return (left, right) }
        if let type = right.type, let fitted = try? fitted(left, to: type) { return (fitted, right) }
        if let type = left.type, let fitted = try? fitted(right, to: type) { return (left, fitted) }
        // Null on one side makes the other optional.
        for (one, other) in [(left, right), (right, left)] where one.type == nil {
            if let type = other.type {
                let optional = SchemaType.optional(type)
                return (try fitted(left, to: optional), try fitted(right, to: optional))
            }
        }
        throw ExpressionFault(
            position: position, reason: "\(left.typeName) meets \(right.typeName)",
            hint: "cast one of them, such as int64(…) or string(…)")
    }
}

extension ScalarKind {
    /// Whether values are written as texts, or as words.
    var isTextual: Bool { self == .string || self == .time || self == .bool }
}
