// SPDX-License-Identifier: Apache-2.0
//  Expressions over the values of a state: computed without the program that stored them.

import ThalwegBase
import ThalwegData

/// An expression whose types have been checked against a schema (FLIP-43 d6).
///
///     let fields = [RecordSchema.Field(name: "price", type: .scalar(.int64))]
///     let text = try StateExpression("string(price * 100) + ' cents'", over: fields)
///     text.type                                      // string
///     try text.value(of: [.integer(7)])              // "700 cents"
///
/// There are names and fields (`value.price`), elements (`tags[0]`), numbers, texts in single or double quotes, `true`,
/// `false`, `null`, records (`{a: 1, b: key}`) and arrays (`[1, 2]`); `+ - * / %`, `==` (or `=`), `!=` (or `<>`),
/// `< <= > >=`, `and or not`, `a ?? b`, `if a then b else c`, `a ? b : c`, casts such as `string(x)`, and functions
/// (`ExpressionFunctions`). A cast with a question mark, such as `int64?(x)`, gives null where the cast fails.
///
/// Types are never changed in silence: `int32 + int64` is refused, only a number that stands in the text takes the type
/// of what it meets. What may be null is refused where a value is needed.
public struct StateExpression: Sendable {
    public let text: String
    /// The type of its values.
    public let type: SchemaType
    let evaluate: ExpressionNode.Evaluation

    /// - Parameters:
    ///   - names: what the expression may speak of, in the order in which ``value(of:)`` gets the values.
    ///   - wanted: the type that its values must have; nil for any.
    /// - Throws: kind `input`, with the place in the text.
    public init(
        _ text: String, over names: [RecordSchema.Field], as wanted: SchemaType? = nil
    ) throws(ThalwegError) {
        do throws(ExpressionFault) {
            try self.init(text, try ExpressionParser.parse(text), names, hint: wanted, wanted)
        } catch {
            throw Self.refusal(text, error)
        }
    }

    init(
        _ text: String, _ syntax: ExpressionSyntax, _ names: [RecordSchema.Field], hint: SchemaType?,
        _ wanted: SchemaType?
    ) throws(ExpressionFault) {
        let checker = ExpressionChecker(names)
        var node = try checker.node(syntax, hint: hint)
        if let wanted { node = try checker.fitted(node, to: wanted) }
        guard let type = node.type else {
            throw ExpressionFault(
                position: syntax.position, reason: "null alone has no type",
                hint: "write string?(null), int64?(null), …")
        }
        self.text = text
        self.type = type
        evaluate = node.evaluate
    }

    /// - Parameter values: of the names that the expression was made with.
    /// - Throws: kind `input` when it cannot be computed, such as a division by 0, with the place in the text.
    public func value(of values: [DynamicValue]) throws(ThalwegError) -> DynamicValue {
        do throws(ExpressionFault) { return try evaluate(values) } catch {
            throw ThalwegError(
                .input, "an expression cannot be computed",
                detail: "at character \(error.position + 1) of \(text.debugDescription): \(error.reason)",
                hint: error.hint ?? "guard it by a condition, or cast with a question mark: int64?(x) ?? 0")
        }
    }

    static func refusal(_ text: String, _ fault: ExpressionFault) -> ThalwegError {
        ThalwegError(
            .input, "an expression is not understood",
            detail: "at character \(fault.position + 1) of \(text.debugDescription): \(fault.reason)", hint: fault.hint)
    }
}

/// A checked part of an expression.
struct ExpressionNode: Sendable {
    typealias Evaluation = @Sendable ([DynamicValue]) throws(ExpressionFault) -> DynamicValue

    /// Nil for `null`, which fits every optional.
    var type: SchemaType?
    let position: Int
    /// The digits of a number that stands in the text: it takes the type of what it meets.
    var digits: String?
    var evaluate: Evaluation

    init(_ type: SchemaType?, at position: Int, digits: String? = nil, _ evaluate: @escaping Evaluation) {
        self.type = type
        self.position = position
        self.digits = digits
        self.evaluate = evaluate
    }

    static func constant(_ value: DynamicValue, _ type: SchemaType?, at position: Int) -> ExpressionNode {
        ExpressionNode(type, at: position) { _ throws(ExpressionFault) in value }
    }

    /// For errors.
    var typeName: String { type?.description ?? "null" }

    /// The type of its single values; nil for records, arrays and what may be null.
    var scalar: ScalarKind? { type?.scalar }

    var isOptional: Bool {
        guard let type else { return true }
        if case .optional = type { return true }
        return false
    }
}

extension SchemaType {
    /// The kind of a single value, also of an enum's raw one.
    var scalar: ScalarKind? {
        switch self {
        case .scalar(let kind), .rawValue(let kind, _): kind
        default: nil
        }
    }

    /// Without the question mark.
    var unwrapped: SchemaType { if case .optional(let wrapped) = self { wrapped } else { self } }
}
