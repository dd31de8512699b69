// SPDX-License-Identifier: Apache-2.0
//  What an expression may call.

import ThalwegBase
import ThalwegData

/// The functions of expressions.
///
/// | call | gives |
/// |---|---|
/// | `int64(x)`, `uint8(x)`, `double(x)`, … | a number, from a number, a text or a moment; a fraction is cut off |
/// | `string(x)` | the value as text; records and arrays as JSON |
/// | `bool(x)` | from `true` or `false` as text |
/// | `time(x)` | from ISO 8601 text, or from milliseconds since 1970 |
/// | `int64?(x)`, … | the same, null where the cast fails or `x` is null; `string?(null)` is a null with a type |
/// | `coalesce(a, b, …)` | the first that is not null |
/// | `abs(x)`, `min(x, y, …)`, `max(x, y, …)` | of numbers; `min` and `max` also of texts and moments |
/// | `floor(x)`, `ceil(x)`, `round(x)` | of `double` |
/// | `length(text)`, `count(array)` | `int64`; characters are Unicode scalars |
/// | `lower(text)`, `upper(text)`, `trim(text)` | text |
/// | `substring(text, start, length)` | text; `start` counts from 0, what is not there is left out |
/// | `contains(text, part)`, `startsWith(text, part)`, `endsWith(text, part)` | bool |
/// | `replace(text, part, other)` | text |
enum ExpressionFunctions {
    static let names = [
        "coalesce", "abs", "min", "max", "floor", "ceil", "round", "length", "count", "lower", "upper", "trim",
        "substring", "contains", "startsWith", "endsWith", "replace",
    ]

    /// The text functions with the types of their arguments and their result.
    static let texts: [String: (arguments: [ScalarKind], result: ScalarKind)] = [
        "length": ([.string], .int64), "lower": ([.string], .string), "upper": ([.string], .string),
        "trim": ([.string], .string), "substring": ([.string, .int64, .int64], .string),
        "contains": ([.string, .string], .bool), "startsWith": ([.string, .string], .bool),
        "endsWith": ([.string, .string], .bool), "replace": ([.string, .string, .string], .string),
    ]

    static func text(_ name: String, _ values: [DynamicValue]) -> DynamicValue {
        func string(_ index: Int) -> String { if case .string(let text) = values[index] { text } else { "" } }
        func number(_ index: Int) -> Int { if case .integer(let number) = values[index] { Int(number) } else { 0 } }
        let text = string(0)
        switch name {
        case "length": return .integer(Int64(text.unicodeScalars.count))
        case "lower": return .string(text.lowercased())
        case "upper": return .string(text.uppercased())
        case "trim":
            let scalars = text.unicodeScalars.drop { $0.properties.isWhitespace }
            let end = scalars.lastIndex { !$0.properties.isWhitespace }
            return .string(end.map { String(scalars[...$0]) } ?? "")
        case "substring":
            let rest = text.unicodeScalars.dropFirst(max(0, number(1)))
            return .string(String(rest.prefix(max(0, number(2)))))
        case "contains": return .bool(text.contains(string(1)))
        case "startsWith": return .bool(text.hasPrefix(string(1)))
        case "endsWith": return .bool(text.hasSuffix(string(1)))
        default: return .string(string(1).isEmpty ? text : text.replacing(string(1), with: string(2)))
        }
    }

    // MARK: Casts

    /// The value as one of a kind; nil when it is none.
    static func cast(_ value: DynamicValue, to kind: ScalarKind) -> DynamicValue? {
        switch kind {
        case .string: return .string(value.cellText)
        case .bool:
            if case .bool = value { return value }
            return value == .string("true") ? .bool(true) : value == .string("false") ? .bool(false) : nil
        case .time:
            switch value {
            case .time: return value
            case .integer(let milliseconds): return .time(EventTime(milliseconds: milliseconds))
            case .string(let text): return EventTime(iso8601: text).map { .time($0) }
            default: return nil
            }
        case .double: return double(value).map { .double($0) }
        case .float:
            if case .float = value { return value }
            return double(value).flatMap { Float($0).isFinite || !$0.isFinite ? .float(Float($0)) : nil }
        case .uint64:
            switch value {
            case .unsigned: return value
            case .integer(let number): return UInt64(exactly: number).map { .unsigned($0) }
            case .string(let text): return UInt64(text).map { .unsigned($0) }
            default: return double(value).flatMap { UInt64(exactly: $0.rounded(.towardZero)) }.map { .unsigned($0) }
            }
        default:
            guard let range = kind.integers, let number = integer(value), range.contains(number) else { return nil }
            return .integer(number)
        }
    }

    private static func integer(_ value: DynamicValue) -> Int64? {
        switch value {
        case .integer(let number): number
        case .unsigned(let number): Int64(exactly: number)
        case .double(let number): Int64(exactly: number.rounded(.towardZero))
        case .float(let number): Int64(exactly: number.rounded(.towardZero))
        case .string(let text): Int64(text)
        case .time(let time): time.milliseconds
        default: nil
        }
    }

    private static func double(_ value: DynamicValue) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .unsigned(let number): Double(number)
        case .double(let number): number
        case .float(let number): Double(number)
        case .string(let text): Double(text)
        default: nil
        }
    }
}

extension ExpressionChecker {
    func call(
        _ name: String, _ arguments: [ExpressionSyntax], isOptional: Bool, at position: Int, _ hint: SchemaType?
    ) throws(ExpressionFault) -> ExpressionNode {
        if let kind = ScalarKind(rawValue: name) {
            guard arguments.count == 1 else { throw count(name, 1, arguments.count, position) }
            return try cast(try node(arguments[0]), to: kind, isOptional: isOptional, at: position)
        }
        guard !isOptional, ExpressionFunctions.names.contains(name) else {
            throw ExpressionFault(
                position: position, reason: "there is no function '\(name)\(isOptional ? "?" : "")'",
                hint: "there are casts (\(ScalarKind.allCases.map(\.rawValue).joined(separator: ", "))) and "
                    + ExpressionFunctions.names.joined(separator: ", "))
        }
        if let signature = ExpressionFunctions.texts[name] {
            return try text(name, arguments, signature, at: position)
        }
        var nodes: [ExpressionNode] = []
        for argument in arguments { nodes.append(try node(argument, hint: hint)) }
        switch name {
        case "coalesce": return try coalesce(nodes, at: position)
        case "count":
            guard nodes.count == 1 else { throw count(name, 1, nodes.count, position) }
            return try elementCount(nodes[0], at: position)
        case "min", "max": return try extreme(name, nodes, at: position)
        default:
            guard nodes.count == 1 else { throw count(name, 1, nodes.count, position) }
            return try rounded(name, nodes[0], at: position)
        }
    }

    private func count(_ name: String, _ wanted: Int, _ found: Int, _ position: Int) -> ExpressionFault {
        ExpressionFault(position: position, reason: "\(name) takes \(wanted) values, not \(found)")
    }

    private func cast(
        _ value: ExpressionNode, to kind: ScalarKind, isOptional: Bool, at position: Int
    ) throws(ExpressionFault) -> ExpressionNode {
        let type: SchemaType = isOptional ? .optional(.scalar(kind)) : .scalar(kind)
        guard isOptional || !value.isOptional else {
            throw ExpressionFault(
                position: position, reason: "\(value.typeName) may be null",
                hint: "say what null means: \(kind.rawValue)(x ?? …), or keep it: \(kind.rawValue)?(x)")
        }
        let isCastable = value.type == nil || value.type?.unwrapped.scalar != nil || kind == .string
        guard isCastable else {
            throw ExpressionFault(position: position, reason: "\(value.typeName) cannot be a \(kind.rawValue)")
        }
        return ExpressionNode(type, at: position) { row throws(ExpressionFault) in
            let given = try value.evaluate(row)
            if given == .null { return .null }
            if let result = ExpressionFunctions.cast(given, to: kind) { return result }
            if isOptional { return .null }
            throw ExpressionFault(position: position, reason: "\(given.json) is no \(kind.rawValue)")
        }
    }

    private func text(
        _ name: String, _ arguments: [ExpressionSyntax], _ signature: (arguments: [ScalarKind], result: ScalarKind),
        at position: Int
    ) throws(ExpressionFault) -> ExpressionNode {
        guard arguments.count == signature.arguments.count else {
            throw count(name, signature.arguments.count, arguments.count, position)
        }
        var nodes: [ExpressionNode] = []
        for (argument, kind) in zip(arguments, signature.arguments) {
            let given = try node(argument, hint: .scalar(kind))
            guard given.scalar == kind else {
                throw ExpressionFault(
                    position: given.position, reason: "\(kind.rawValue) is needed, this is \(given.typeName)",
                    hint: given.isOptional ? "say what null means: (x ?? …)" : "cast it: \(kind.rawValue)(…)")
            }
            nodes.append(given)
        }
        return ExpressionNode(.scalar(signature.result), at: position) { [nodes] row throws(ExpressionFault) in
            var values: [DynamicValue] = []
            for node in nodes { values.append(try node.evaluate(row)) }
            return ExpressionFunctions.text(name, values)
        }
    }

    private func coalesce(_ nodes: [ExpressionNode], at position: Int) throws(ExpressionFault) -> ExpressionNode {
        guard let last = nodes.last, let wrapped = nodes.compactMap({ $0.type?.unwrapped }).first else {
            throw ExpressionFault(position: position, reason: "coalesce takes at least one value with a type")
        }
        let end = try fitted(last, to: last.isOptional ? .optional(wrapped) : wrapped)
        var others: [ExpressionNode] = []
        for node in nodes.dropLast() { others.append(try fitted(node, to: .optional(wrapped))) }
        return ExpressionNode(end.type, at: position) { [others] row throws(ExpressionFault) in
            for node in others {
                let value = try node.evaluate(row)
                if value != .null { return value }
            }
            return try end.evaluate(row)
        }
    }

    private func elementCount(_ array: ExpressionNode, at position: Int) throws(ExpressionFault) -> ExpressionNode {
        guard case .array? = array.type else {
            throw ExpressionFault(position: position, reason: "\(array.typeName) has no elements")
        }
        return ExpressionNode(.scalar(.int64), at: position) { row throws(ExpressionFault) in
            guard case .array(let values) = try array.evaluate(row) else { return .integer(0) }
            return .integer(Int64(values.count))
        }
    }

    private func extreme(
        _ name: String, _ nodes: [ExpressionNode], at position: Int
    ) throws(ExpressionFault) -> ExpressionNode {
        guard let first = nodes.first(where: { $0.digits == nil }) ?? nodes.first, let type = first.type,
            let kind = type.scalar, kind != .bool
        else { throw ExpressionFault(position: position, reason: "\(name) takes numbers, texts or moments") }
        var fitting: [ExpressionNode] = []
        for node in nodes { fitting.append(try fitted(node, to: type)) }
        let wanted = name == "min" ? -1 : 1
        return ExpressionNode(type, at: position) { [fitting] row throws(ExpressionFault) in
            var best = try fitting[0].evaluate(row)
            for node in fitting.dropFirst() {
                let value = try node.evaluate(row)
                if Self.order(value, best) == wanted { best = value }
            }
            return best
        }
    }

    private func rounded(
        _ name: String, _ value: ExpressionNode, at position: Int
    ) throws(ExpressionFault) -> ExpressionNode {
        let isNumber = value.scalar.map { $0.integers != nil || $0 == .double || $0 == .float } ?? false
        guard name == "abs" ? isNumber : value.scalar == .double, let kind = value.scalar else {
            throw ExpressionFault(
                position: position,
                reason: "\(name) takes \(name == "abs" ? "a number" : "a double"), not \(value.typeName)")
        }
        return ExpressionNode(.scalar(kind), at: position) { row throws(ExpressionFault) in
            switch try value.evaluate(row) {
            case .double(let number):
                switch name {
                case "abs": return .double(abs(number))
                case "floor": return .double(number.rounded(.down))
                case "ceil": return .double(number.rounded(.up))
                default: return .double(number.rounded())
                }
            case .float(let number): return .float(abs(number))
            case .integer(let number):
                guard number != .min, kind.integers?.contains(abs(number)) == true else {
                    throw ExpressionFault(position: position, reason: "abs(\(number)) is no \(kind.rawValue)")
                }
                return .integer(abs(number))
            case let other: return other
            }
        }
    }
}
