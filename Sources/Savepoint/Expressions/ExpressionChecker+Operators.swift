// SPDX-License-Identifier: Apache-2.0
//  What stands between two parts of an expression.

import ThalwegBase
import ThalwegData

extension ExpressionChecker {
    func negation(
        _ operand: ExpressionSyntax, at position: Int, _ hint: SchemaType?
    ) throws(ExpressionFault) -> ExpressionNode {
        // A number with its sign: the lowest ones have no positive twin.
        if case .number(let digits) = operand.kind {
            var node = try node(
                ExpressionSyntax(kind: .number("-" + digits), position: position),
                hint: hint?.unwrapped.scalar == .uint64 ? nil : hint)
            node.digits = "-" + digits
            return node
        }
        let value = try node(operand, hint: hint)
        guard let kind = value.scalar, kind.integers != nil || kind == .double || kind == .float else {
            throw ExpressionFault(position: position, reason: "\(value.typeName) has no negative")
        }
        return ExpressionNode(.scalar(kind), at: position) { row throws(ExpressionFault) in
            switch try value.evaluate(row) {
            case .double(let number): return .double(-number)
            case .float(let number): return .float(-number)
            case .integer(let number):
                let (negative, isOver) = Int64(0).subtractingReportingOverflow(number)
                guard !isOver, kind.integers?.contains(negative) == true else {
                    throw ExpressionFault(position: position, reason: "-(\(number)) is no \(kind.rawValue)")
                }
                return .integer(negative)
            case let other: return other
            }
        }
    }

    func binary(
        _ symbol: String, _ left: ExpressionSyntax, _ right: ExpressionSyntax, at position: Int, _ hint: SchemaType?
    ) throws(ExpressionFault) -> ExpressionNode {
        switch symbol {
        case "and", "or":
            let (left, right) = (try condition(left), try condition(right))
            let isAnd = symbol == "and"
            return ExpressionNode(.scalar(.bool), at: position) { row throws(ExpressionFault) in
                let first = try left(row)
                return .bool(first == isAnd ? try right(row) : first)
            }
        case "??": return try orElse(try node(left), try node(right, hint: hint), at: position)
        case "==", "!=", "<", "<=", ">", ">=":
            let (left, right) = try sameKind(try node(left), try node(right), at: position)
            return try comparison(symbol, left, right, at: position)
        default:
            let (left, right) = (try node(left, hint: hint), try node(right, hint: hint))
            if let moment = try momentArithmetic(symbol, left, right, at: position) { return moment }
            return try arithmetic(symbol, left, right, at: position)
        }
    }

    private func orElse(
        _ left: ExpressionNode, _ right: ExpressionNode, at position: Int
    ) throws(ExpressionFault) -> ExpressionNode {
        guard case .optional(let wrapped)? = left.type else {
            throw ExpressionFault(position: position, reason: "what stands left of ?? is never null: \(left.typeName)")
        }
        let type: SchemaType = right.type == left.type || right.type == nil ? .optional(wrapped) : wrapped
        let other = try fitted(right, to: type)
        return ExpressionNode(type, at: position) { row throws(ExpressionFault) in
            switch try left.evaluate(row) {
            case .null: return try other.evaluate(row)
            case .some(let value) where type == wrapped: return value
            case let value: return value
            }
        }
    }

    /// Numbers in the text take the type of the other side; the raw value of an enum counts as what it is.
    private func sameKind(
        _ left: ExpressionNode, _ right: ExpressionNode, at position: Int
    ) throws(ExpressionFault) -> (ExpressionNode, ExpressionNode) {
        func plain(_ node: ExpressionNode) -> ExpressionNode {
            guard case .rawValue(let kind, _)? = node.type else { return node }
            return ExpressionNode(.scalar(kind), at: node.position, node.evaluate)
        }
        return try agreed(plain(left), plain(right), at: position)
    }

    // MARK: Comparisons

    private func comparison(
        _ symbol: String, _ left: ExpressionNode, _ right: ExpressionNode, at position: Int
    ) throws(ExpressionFault) -> ExpressionNode {
        if symbol == "==" || symbol == "!=" {
            let wanted = symbol == "=="
            return ExpressionNode(.scalar(.bool), at: position) { row throws(ExpressionFault) in
                .bool(Self.isEqual(try left.evaluate(row), try right.evaluate(row)) == wanted)
            }
        }
        guard left.scalar != nil, left.type != .scalar(.bool) else {
            throw ExpressionFault(
                position: position, reason: "\(left.typeName) has no order",
                hint: left.isOptional ? "say what null means: (x ?? …)" : nil)
        }
        return ExpressionNode(.scalar(.bool), at: position) { row throws(ExpressionFault) in
            guard let order = Self.order(try left.evaluate(row), try right.evaluate(row)) else { return .bool(false) }
            switch symbol {
            case "<": return .bool(order < 0)
            case "<=": return .bool(order <= 0)
            case ">": return .bool(order > 0)
            default: return .bool(order >= 0)
            }
        }
    }

    private static func isEqual(_ left: DynamicValue, _ right: DynamicValue) -> Bool {
        switch (left, right) {
        // Texts are compared by their bytes, as keys are.
        case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
        default: left == right
        }
    }

    /// Below 0 when the left one comes first; nil when there is no order, as with NaN.
    static func order(_ left: DynamicValue, _ right: DynamicValue) -> Int? {
        func compare<Value: Comparable>(_ left: Value, _ right: Value) -> Int? {
            left < right ? -1 : left == right ? 0 : left > right ? 1 : nil
        }
        switch (left, right) {
        case (.integer(let left), .integer(let right)): return compare(left, right)
        case (.unsigned(let left), .unsigned(let right)): return compare(left, right)
        case (.double(let left), .double(let right)): return compare(left, right)
        case (.float(let left), .float(let right)): return compare(left, right)
        case (.time(let left), .time(let right)): return compare(left.milliseconds, right.milliseconds)
        case (.string(let left), .string(let right)):
            if left.utf8.elementsEqual(right.utf8) { return 0 }
            return left.utf8.lexicographicallyPrecedes(right.utf8) ? -1 : 1
        default: return nil
        }
    }

    // MARK: Arithmetic

    /// Moments and milliseconds; nil when neither side is a moment.
    private func momentArithmetic(
        _ symbol: String, _ left: ExpressionNode, _ right: ExpressionNode, at position: Int
    ) throws(ExpressionFault) -> ExpressionNode? {
        guard left.scalar == .time || right.scalar == .time else { return nil }
        let isDifference = symbol == "-" && left.scalar == .time && right.scalar == .time
        let isShift =
            left.scalar == .time && right.scalar == .int64 && (symbol == "+" || symbol == "-")
            || left.scalar == .int64 && right.scalar == .time && symbol == "+"
        guard isDifference || isShift else {
            throw ExpressionFault(
                position: position, reason: "\(left.typeName) \(symbol) \(right.typeName) means nothing",
                hint: "a moment and milliseconds (int64) give a moment, two moments give their distance")
        }
        return ExpressionNode(.scalar(isDifference ? .int64 : .time), at: position) { row throws(ExpressionFault) in
            let (first, second) = (Self.word(try left.evaluate(row)), Self.word(try right.evaluate(row)))
            let (result, isOver) =
                symbol == "+" ? first.addingReportingOverflow(second) : first.subtractingReportingOverflow(second)
            guard !isOver else { throw ExpressionFault(position: position, reason: "the result is too large") }
            return isDifference ? .integer(result) : .time(EventTime(milliseconds: result))
        }
    }

    private static func word(_ value: DynamicValue) -> Int64 {
        switch value {
        case .time(let time): time.milliseconds
        case .integer(let number): number
        default: 0
        }
    }

    private func arithmetic(
        _ symbol: String, _ left: ExpressionNode, _ right: ExpressionNode, at position: Int
    ) throws(ExpressionFault) -> ExpressionNode {
        let (left, right) = try sameKind(left, right, at: position)
        guard let kind = left.scalar, kind != .bool, kind != .string || symbol == "+" else {
            throw ExpressionFault(
                position: position, reason: "there is no \(left.typeName) \(symbol) \(right.typeName)",
                hint: left.isOptional || right.isOptional ? "say what null means: (x ?? 0)" : nil)
        }
        return ExpressionNode(.scalar(kind), at: position) { row throws(ExpressionFault) in
            let (first, second) = (try left.evaluate(row), try right.evaluate(row))
            switch (first, second) {
            case (.integer(let first), .integer(let second)):
                let result = Self.whole(symbol, first, second)
                guard let result, kind.integers?.contains(result) == true else {
                    throw Self.noResult(symbol, "\(first)", "\(second)", kind, position)
                }
                return .integer(result)
            case (.unsigned(let first), .unsigned(let second)):
                guard let result = Self.whole(symbol, first, second) else {
                    throw Self.noResult(symbol, "\(first)", "\(second)", kind, position)
                }
                return .unsigned(result)
            case (.double(let first), .double(let second)): return .double(Self.number(symbol, first, second))
            case (.float(let first), .float(let second)): return .float(Self.number(symbol, first, second))
            case (.string(let first), .string(let second)): return .string(first + second)
            default: throw ExpressionFault(position: position, reason: "\(first.json) is no \(kind.rawValue)")
            }
        }
    }

    private static func noResult(
        _ symbol: String, _ left: String, _ right: String, _ kind: ScalarKind, _ position: Int
    ) -> ExpressionFault {
        let reason =
            right == "0" && symbol != "+" && symbol != "-" && symbol != "*"
            ? "it divides by 0" : "the result is no \(kind.rawValue)"
        return ExpressionFault(position: position, reason: "\(left) \(symbol) \(right): \(reason)")
    }

    /// Nil when there is no such number.
    private static func whole<Number: FixedWidthInteger>(_ symbol: String, _ left: Number, _ right: Number) -> Number? {
        let result: (partialValue: Number, overflow: Bool) =
            switch symbol {
            case "+": left.addingReportingOverflow(right)
            case "-": left.subtractingReportingOverflow(right)
            case "*": left.multipliedReportingOverflow(by: right)
            case "/": left.dividedReportingOverflow(by: right)
            default: left.remainderReportingOverflow(dividingBy: right)
            }
        return result.overflow ? nil : result.partialValue
    }

    private static func number<Number: BinaryFloatingPoint>(
        _ symbol: String, _ left: Number, _ right: Number
    ) -> Number {
        switch symbol {
        case "+": left + right
        case "-": left - right
        case "*": left * right
        case "/": left / right
        default: left.truncatingRemainder(dividingBy: right)
        }
    }
}
