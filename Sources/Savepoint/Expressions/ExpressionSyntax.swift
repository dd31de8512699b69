// SPDX-License-Identifier: Apache-2.0
//  The shape of an expression, before its types are known.

import ThalwegBase

/// A part of an expression with its place in the text.
struct ExpressionSyntax {
    indirect enum Kind {
        case number(String)
        case text(String)
        case bool(Bool)
        case null
        case name(String)
        case field(ExpressionSyntax, String)
        case element(ExpressionSyntax, ExpressionSyntax)
        /// `isOptional`: written with a question mark, as in `int64?(text)`.
        case call(String, [ExpressionSyntax], isOptional: Bool)
        case negation(ExpressionSyntax)
        case not(ExpressionSyntax)
        case binary(String, ExpressionSyntax, ExpressionSyntax)
        case choice(ExpressionSyntax, then: ExpressionSyntax, otherwise: ExpressionSyntax)
        case record([(name: String, position: Int, value: ExpressionSyntax)])
        case array([ExpressionSyntax])
    }

    let kind: Kind
    let position: Int
    /// How many parts lie in one another, this one included.
    let depth: Int

    init(kind: Kind, position: Int) {
        self.kind = kind
        self.position = position
        depth = 1 + (kind.parts.map(\.depth).max() ?? 0)
    }
}

extension ExpressionSyntax.Kind {
    fileprivate var parts: [ExpressionSyntax] {
        switch self {
        case .number, .text, .bool, .null, .name: []
        case .field(let record, _): [record]
        case .element(let array, let index): [array, index]
        case .call(_, let arguments, _): arguments
        case .negation(let operand), .not(let operand): [operand]
        case .binary(_, let left, let right): [left, right]
        case .choice(let condition, let yes, let no): [condition, yes, no]
        case .record(let fields): fields.map(\.value)
        case .array(let elements): elements
        }
    }
}

/// Reads an expression by recursive descent, from what binds least to what binds most: `? :` and `if`, `or`, `and`,
/// `not`, comparisons, `??`, `+ -`, `* / %`, `-`, then fields and calls.
struct ExpressionParser {
    /// How deep expressions may nest.
    static let depthMax = 100
    /// How many parts may lie in one another: a row of operators without parentheses does not nest, but each lies in
    /// the one behind it.
    static let partsMax = 400

    private let tokens: [ExpressionToken]
    private var place = 0
    private var depth = 0

    /// The whole of a text as one expression.
    static func parse(_ text: String) throws(ExpressionFault) -> ExpressionSyntax {
        var parser = ExpressionParser(tokens: try ExpressionToken.tokens(of: text))
        let syntax = try parser.expression()
        try parser.end()
        return syntax
    }

    /// A path and an expression: `price = string(price)`.
    static func parseAssignment(
        _ text: String
    ) throws(ExpressionFault) -> (path: [(name: String, position: Int)], value: ExpressionSyntax)? {
        var parser = ExpressionParser(tokens: try ExpressionToken.tokens(of: text))
        guard let path = parser.assignedPath() else { return nil }
        let syntax = try parser.expression()
        try parser.end()
        return (path, syntax)
    }

    private init(tokens: [ExpressionToken]) { self.tokens = tokens }

    private var token: ExpressionToken { tokens[place] }

    private mutating func assignedPath() -> [(name: String, position: Int)]? {
        var path: [(name: String, position: Int)] = []
        while case .name(let name) = token.kind {
            path.append((name, token.position))
            place += 1
            if take("=") { return path }
            guard take(".") else { return nil }
        }
        return nil
    }

    private mutating func end() throws(ExpressionFault) {
        guard token.kind == .end else { throw unexpected("the end") }
    }

    private func unexpected(_ wanted: String) -> ExpressionFault {
        ExpressionFault(position: token.position, reason: "\(token.shown) stands where \(wanted) is expected")
    }

    private mutating func take(_ symbol: String) -> Bool {
        guard token.kind == .symbol(symbol) else { return false }
        place += 1
        return true
    }

    private mutating func take(word: String) -> Bool {
        guard token.kind == .name(word) else { return false }
        place += 1
        return true
    }

    private mutating func need(_ symbol: String) throws(ExpressionFault) {
        guard take(symbol) else { throw unexpected("'\(symbol)'") }
    }

    // MARK: From what binds least

    private mutating func expression() throws(ExpressionFault) -> ExpressionSyntax {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthMax else {
            throw ExpressionFault(position: token.position, reason: "it nests deeper than \(Self.depthMax)")
        }
        let start = token.position
        if take(word: "if") {
            let condition = try expression()
            guard take(word: "then") else { throw unexpected("'then'") }
            let yes = try expression()
            guard take(word: "else") else { throw unexpected("'else'") }
            let no = try expression()
            return ExpressionSyntax(kind: .choice(condition, then: yes, otherwise: no), position: start)
        }
        let condition = try chain(0)
        guard take("?") else { return condition }
        let yes = try expression()
        try need(":")
        let no = try expression()
        return ExpressionSyntax(kind: .choice(condition, then: yes, otherwise: no), position: start)
    }

    /// Operators of equal rank; those that are words stand for symbols.
    private static let ranks: [[String: String]] = [
        ["or": "or", "||": "or"], ["and": "and", "&&": "and"],
        ["==": "==", "=": "==", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="],
        ["??": "??"], ["+": "+", "-": "-"], ["*": "*", "/": "/", "%": "%"],
    ]
    private static let comparisonRank = 2
    private static let defaultRank = 3

    private var operatorWord: String? {
        switch token.kind {
        case .symbol(let symbol): symbol
        case .name(let name) where name == "or" || name == "and": name
        default: nil
        }
    }

    private mutating func chain(_ rank: Int) throws(ExpressionFault) -> ExpressionSyntax {
        guard rank < Self.ranks.count else { return try prefixed() }
        if rank == Self.comparisonRank {
            let start = token.position
            if take("!") || take(word: "not") {
                return ExpressionSyntax(kind: .not(try nested(rank)), position: start)
            }
        }
        var left = try chain(rank + 1)
        while let word = operatorWord, let symbol = Self.ranks[rank][word] {
            let position = token.position
            place += 1
            // `??` groups to the right, comparisons do not chain.
            let right = rank == Self.defaultRank ? try nested(rank) : try chain(rank + 1)
            left = try limited(ExpressionSyntax(kind: .binary(symbol, left, right), position: position))
            if rank == Self.comparisonRank { break }
        }
        return left
    }

    private func limited(_ syntax: ExpressionSyntax) throws(ExpressionFault) -> ExpressionSyntax {
        guard syntax.depth <= Self.partsMax else {
            throw ExpressionFault(
                position: syntax.position, reason: "more than \(Self.partsMax) operators follow one another",
                hint: "put some of them in parentheses: (a or b) or (c or d)")
        }
        return syntax
    }

    private mutating func nested(_ rank: Int) throws(ExpressionFault) -> ExpressionSyntax {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthMax else {
            throw ExpressionFault(position: token.position, reason: "it nests deeper than \(Self.depthMax)")
        }
        return try chain(rank)
    }

    private mutating func prefixed() throws(ExpressionFault) -> ExpressionSyntax {
        let start = token.position
        if take("-") {
            depth += 1
            defer { depth -= 1 }
            guard depth <= Self.depthMax else {
                throw ExpressionFault(position: start, reason: "it nests deeper than \(Self.depthMax)")
            }
            return ExpressionSyntax(kind: .negation(try prefixed()), position: start)
        }
        var syntax = try primary()
        while true {
            let position = token.position
            if take(".") {
                guard case .name(let name) = token.kind else { throw unexpected("the name of a field") }
                place += 1
                syntax = try limited(ExpressionSyntax(kind: .field(syntax, name), position: position))
            } else if take("[") {
                let index = try expression()
                try need("]")
                syntax = try limited(ExpressionSyntax(kind: .element(syntax, index), position: position))
            } else {
                return syntax
            }
        }
    }

    private mutating func primary() throws(ExpressionFault) -> ExpressionSyntax {
        let first = token
        place += 1
        func made(_ kind: ExpressionSyntax.Kind) -> ExpressionSyntax {
            ExpressionSyntax(kind: kind, position: first.position)
        }
        switch first.kind {
        case .number(let digits): return made(.number(digits))
        case .text(let text): return made(.text(text))
        case .name("true"): return made(.bool(true))
        case .name("false"): return made(.bool(false))
        case .name("null"), .name("nil"): return made(.null)
        case .optionalName(let name):
            try need("(")
            return made(.call(name, try list(")"), isOptional: true))
        case .name(let name):
            return take("(") ? made(.call(name, try list(")"), isOptional: false)) : made(.name(name))
        case .symbol("("):
            let inner = try expression()
            try need(")")
            return inner
        case .symbol("["): return made(.array(try list("]")))
        case .symbol("{"): return made(.record(try fields()))
        case .symbol, .end:
            place -= 1
            throw unexpected("a value")
        }
    }

    private mutating func list(_ end: String) throws(ExpressionFault) -> [ExpressionSyntax] {
        var elements: [ExpressionSyntax] = []
        if take(end) { return elements }
        while true {
            elements.append(try expression())
            if take(end) { return elements }
            try need(",")
        }
    }

    private mutating func fields() throws(ExpressionFault) -> [(name: String, position: Int, value: ExpressionSyntax)] {
        var fields: [(name: String, position: Int, value: ExpressionSyntax)] = []
        while true {
            let position = token.position
            switch token.kind {
            case .name(let name), .text(let name):
                place += 1
                try need(":")
                fields.append((name, position, try expression()))
            default: throw unexpected("the name of a field")
            }
            if take("}") { return fields }
            try need(",")
        }
    }
}
