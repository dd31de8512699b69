// SPDX-License-Identifier: Apache-2.0
//  The words of an expression.

import ThalwegBase

/// What is wrong with an expression, and where in its text.
struct ExpressionFault: Error {
    /// Characters before it.
    let position: Int
    let reason: String
    var hint: String?
}

/// One word of an expression.
struct ExpressionToken: Hashable {
    enum Kind: Hashable {
        case name(String)
        /// A name that a question mark and a parenthesis follow: a cast that may give null.
        case optionalName(String)
        /// Digits, perhaps with a fraction or an exponent.
        case number(String)
        case text(String)
        case symbol(String)
        case end
    }

    let kind: Kind
    let position: Int

    /// For errors.
    var shown: String {
        switch kind {
        case .name(let name), .optionalName(let name): "'\(name)'"
        case .number(let digits): digits
        case .text(let text): text.debugDescription
        case .symbol(let symbol): "'\(symbol)'"
        case .end: "the end"
        }
    }
}

extension ExpressionToken {
    /// The longest expression, in characters.
    static let charactersMax = 64 << 10

    private static let symbols = [
        "??", "==", "!=", "<>", "<=", ">=", "&&", "||", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "{", "}",
        "[", "]", ",", ":", "?", ".", "!",
    ].map { Array($0.unicodeScalars) }

    /// - Throws: when a character belongs to no word.
    static func tokens(of text: String) throws(ExpressionFault) -> [ExpressionToken] {
        let scalars = Array(text.unicodeScalars)
        guard scalars.count <= charactersMax else {
            throw ExpressionFault(position: charactersMax, reason: "it has more than \(charactersMax) characters")
        }
        var tokens: [ExpressionToken] = []
        var place = 0
        while place < scalars.count {
            if scalars[place].properties.isWhitespace {
                place += 1
                continue
            }
            let (kind, end) = try token(scalars, at: place)
            tokens.append(ExpressionToken(kind: kind, position: place))
            place = end
        }
        tokens.append(ExpressionToken(kind: .end, position: scalars.count))
        return tokens
    }

    private static func token(
        _ scalars: [Unicode.Scalar], at start: Int
    ) throws(ExpressionFault) -> (kind: Kind, end: Int) {
        let first = scalars[start]
        if first == "'" || first == "\"" || first == "`" {
            let (text, end) = try quoted(scalars, at: start)
            return (first == "`" ? .name(text) : .text(text), end)
        }
        if isDigit(first) { return try number(scalars, at: start) }
        if isNameStart(first) {
            var end = start
            while end < scalars.count, isNameStart(scalars[end]) || isDigit(scalars[end]) { end += 1 }
            let name = string(scalars[start..<end])
            if end + 1 < scalars.count, scalars[end] == "?", scalars[end + 1] == "(" {
                return (.optionalName(name), end + 1)
            }
            return (.name(name), end)
        }
        if let symbol = symbols.first(where: { scalars[start...].starts(with: $0) }) {
            return (.symbol(string(symbol[...])), start + symbol.count)
        }
        throw ExpressionFault(
            position: start, reason: "\(String(first).debugDescription) belongs to no word",
            hint: "names with such characters stand in backquotes: `my field`")
    }

    /// A quotation mark inside is doubled, or stands behind a backslash.
    private static func quoted(
        _ scalars: [Unicode.Scalar], at start: Int
    ) throws(ExpressionFault) -> (text: String, end: Int) {
        let mark = scalars[start]
        var text = String.UnicodeScalarView()
        var place = start + 1
        while place < scalars.count {
            let scalar = scalars[place]
            if scalar == mark {
                guard place + 1 < scalars.count, scalars[place + 1] == mark else { return (String(text), place + 1) }
                place += 1
            } else if scalar == "\\", mark != "`" {
                guard place + 1 < scalars.count, let meant = escapes[scalars[place + 1]] else {
                    throw ExpressionFault(
                        position: place, reason: "an unknown escape", hint: "a backslash itself is written \\\\")
                }
                text.append(meant)
                place += 2
                continue
            }
            text.append(scalar)
            place += 1
        }
        throw ExpressionFault(position: start, reason: "the text that begins here does not end")
    }

    private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
        "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "\"": "\"", "'": "'",
    ]

    private static func number(
        _ scalars: [Unicode.Scalar], at start: Int
    ) throws(ExpressionFault) -> (kind: Kind, end: Int) {
        var end = start
        func digits() { while end < scalars.count, isDigit(scalars[end]) || scalars[end] == "_" { end += 1 } }
        digits()
        if end + 1 < scalars.count, scalars[end] == ".", isDigit(scalars[end + 1]) {
            end += 1
            digits()
        }
        if end < scalars.count, scalars[end] == "e" || scalars[end] == "E" {
            end += 1
            if end < scalars.count, scalars[end] == "+" || scalars[end] == "-" { end += 1 }
            digits()
        }
        let text = string(scalars[start..<end].filter { $0 != "_" }[...])
        guard Double(text) != nil, end == scalars.count || !isNameStart(scalars[end]) else {
            throw ExpressionFault(position: start, reason: "this is no number")
        }
        return (.number(text), end)
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }

    private static func isNameStart(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar == "$" || scalar.properties.isAlphabetic
    }

    private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }
}
