// SPDX-License-Identifier: Apache-2.0
//  Types from the text that describes them.

import ThalwegBase

extension SchemaType {
    /// Reads a type as ``description`` writes it: `int64`, `string?`, `[double]`, `{auction: int64, note: string?}`,
    /// `enum(string)`, `enum(string: even, odd)`. `Int64`, `Int`, `String`, `EventTime` and the like are understood
    /// too.
    ///
    /// - Throws: kind `input`, with the place.
    public init(text: String) throws(ThalwegError) {
        var reader = TypeTextReader(text)
        self = try reader.type(depth: 0)
        try reader.end()
    }
}

extension RecordSchema.Field {
    /// Reads a name and a type: `auction:int64`.
    ///
    /// - Throws: kind `input`, with the place.
    public init(text: String) throws(ThalwegError) {
        var reader = TypeTextReader(text)
        self = try reader.field(depth: 0)
        try reader.end()
    }
}

private struct TypeTextReader {
    private let text: String
    private let scalars: [Unicode.Scalar]
    private var place = 0
    private static let depthMax = 50

    init(_ text: String) {
        self.text = text
        scalars = Array(text.unicodeScalars)
    }

    private func failure(_ wanted: String) -> ThalwegError {
        ThalwegError(
            .input, "a type is not understood", detail: "\(wanted) is expected at character \(place + 1) of \(text)",
            hint:
                "types are \(ScalarKind.allCases.map(\.rawValue).joined(separator: ", ")), with ? if they may be null, "
                + "[TYPE], and {NAME: TYPE, …}")
    }

    private mutating func take(_ wanted: Unicode.Scalar) -> Bool {
        while place < scalars.count, scalars[place].properties.isWhitespace { place += 1 }
        guard place < scalars.count, scalars[place] == wanted else { return false }
        place += 1
        return true
    }

    private func peeks(_ wanted: Unicode.Scalar) -> Bool {
        scalars[place...].first { !$0.properties.isWhitespace } == wanted
    }

    mutating func end() throws(ThalwegError) {
        _ = take(" ")
        guard place == scalars.count else { throw failure("the end") }
    }

    private mutating func word() throws(ThalwegError) -> String {
        _ = take(" ")
        if take("\"") { return try quoted() }
        let word = scalars[place...].prefix { $0 == "_" || $0 == "$" || $0.properties.isAlphabetic || isDigit($0) }
        place = word.endIndex
        return string(word)
    }

    /// What stands between quotation marks, escaped as `debugDescription` does.
    private mutating func quoted() throws(ThalwegError) -> String {
        var text = String.UnicodeScalarView()
        while place < scalars.count {
            let scalar = scalars[place]
            place += 1
            switch scalar {
            case "\"": return String(text)
            case "\\": text.append(try escaped())
            default: text.append(scalar)
            }
        }
        throw failure("a quotation mark")
    }

    private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
        "0": "\0", "n": "\n", "r": "\r", "t": "\t", "\"": "\"", "'": "'", "\\": "\\",
    ]

    private mutating func escaped() throws(ThalwegError) -> Unicode.Scalar {
        guard place < scalars.count else { throw failure("an escape") }
        let name = scalars[place]
        if let meant = Self.escapes[name] {
            place += 1
            return meant
        }
        let digits = scalars[place...].dropFirst(2).prefix { $0.properties.isASCIIHexDigit }
        guard name == "u", scalars[place...].dropFirst().first == "{", digits.endIndex < scalars.count,
            scalars[digits.endIndex] == "}", let code = UInt32(string(digits), radix: 16),
            let meant = Unicode.Scalar(code)
        else { throw failure("an escape") }
        place = digits.endIndex + 1
        return meant
    }

    private func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }

    private func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }

    mutating func field(depth: Int) throws(ThalwegError) -> RecordSchema.Field {
        let isQuoted = peeks("\"")
        let name = try word()
        guard isQuoted || !name.isEmpty else { throw failure("a name") }
        guard take(":") else { throw failure("':'") }
        return RecordSchema.Field(name: name, type: try type(depth: depth))
    }

    mutating func type(depth: Int) throws(ThalwegError) -> SchemaType {
        guard depth < Self.depthMax else { throw failure("a type that nests less") }
        var type: SchemaType
        if take("[") {
            type = .array(try self.type(depth: depth + 1))
            guard take("]") else { throw failure("']'") }
        } else if take("{") {
            var fields: [RecordSchema.Field] = []
            if !take("}") {
                repeat { fields.append(try field(depth: depth + 1)) } while take(",")
                guard take("}") else { throw failure("'}'") }
            }
            guard Set(fields.map(\.name)).count == fields.count else { throw failure("a name that is not there yet") }
            type = .record(fields)
        } else {
            type = try named()
        }
        var nested = depth
        while take("?") {
            nested += 1
            guard nested < Self.depthMax else { throw failure("a type that nests less") }
            type = .optional(type)
        }
        return type
    }

    private mutating func named() throws(ThalwegError) -> SchemaType {
        let start = place
        let name = try word()
        if name == "enum" || name == "codable" {
            guard take("(") else { throw failure("'('") }
            let isQuoted = peeks("\"")
            let inner = try word()
            var cases: [String] = []
            if name == "enum", take(":") { repeat { cases.append(try word()) } while take(",") }
            guard take(")"), isQuoted || !inner.isEmpty else { throw failure("')'") }
            if name == "codable" { return .codable(inner) }
            guard let kind = ScalarKind(rawValue: inner) else { throw failure("the type of raw values") }
            return .rawValue(kind, cases: cases)
        }
        if let kind = ScalarKind(rawValue: name.lowercased()) { return .scalar(kind) }
        switch name {
        case "Int", "int": return .scalar(.int64)
        case "UInt", "uint": return .scalar(.uint64)
        case "EventTime": return .scalar(.time)
        default:
            place = start
            throw failure("a type")
        }
    }
}
