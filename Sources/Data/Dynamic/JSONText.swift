// SPDX-License-Identifier: Apache-2.0
//  JSON of any shape: read as it stands, numbers as their text.

/// A JSON document of any shape. The bytes need not be trusted.
package indirect enum JSONText {
    /// Why a text is no JSON.
    package struct Failure: Error {
        /// With the place.
        package let reason: String

        package init(reason: String) { self.reason = reason }
    }

    case null
    case bool(Bool)
    /// As it was written, so that no digit is lost.
    case number(String)
    case string(String)
    case array([JSONText])
    case object([(name: String, value: JSONText)])

    /// How deep documents may nest.
    package static let depthMax = 128

    package static func parse(_ bytes: [UInt8]) throws(Failure) -> JSONText {
        var reader = JSONTextReader(bytes: bytes)
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.position == reader.bytes.count else { throw reader.failure("more follows the value") }
        return value
    }

    /// What stands there, in words for an error.
    var kindName: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let digits): digits
        case .string(let text): text.debugDescription
        case .array: "a list"
        case .object: "an object"
        }
    }
}

private struct JSONTextReader {
    let bytes: [UInt8]
    var position = 0

    var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    func failure(_ reason: String) -> JSONText.Failure {
        JSONText.Failure(reason: "\(reason) at byte \(position)")
    }

    mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func value(depth: Int) throws(JSONText.Failure) -> JSONText {
        guard depth < JSONText.depthMax else { throw failure("nested too deep") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ text: String, _ value: JSONText) throws(JSONText.Failure) -> JSONText {
        guard bytes[position...].starts(with: text.utf8) else { throw failure("no value") }
        position += text.utf8.count
        return value
    }

    private mutating func number() throws(JSONText.Failure) -> JSONText {
        let digits = bytes[position...].prefix { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
                UInt8(ascii: "e"), UInt8(ascii: "E"):
                true
            default: false
            }
        }
        let text = String(decoding: digits, as: UTF8.self)
        guard !text.hasPrefix("+"), Double(text) != nil else { throw failure("no value") }
        position = digits.endIndex
        return .number(text)
    }

    private mutating func array(depth: Int) throws(JSONText.Failure) -> JSONText {
        position += 1
        var elements: [JSONText] = []
        if take("]") { return .array(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            if take("]") { return .array(elements) }
            guard take(",") else { throw failure("no ',' or ']'") }
        }
    }

    private mutating func object(depth: Int) throws(JSONText.Failure) -> JSONText {
        position += 1
        var members: [(name: String, value: JSONText)] = []
        var names: Set<String> = []
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw failure("no name in double quotes") }
            let name = try string()
            guard take(":") else { throw failure("no ':'") }
            guard names.insert(name).inserted else { throw failure("'\(name)' stands there twice") }
            members.append((name, try value(depth: depth + 1)))
            if take("}") { return .object(members) }
            guard take(",") else { throw failure("no ',' or '}'") }
        }
    }

    private mutating func string() throws(JSONText.Failure) -> String {
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else { throw failure("no UTF-8") }
                return string
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw failure("a control character in a text")
            default: text.append(byte)
            }
        }
        throw failure("a text without end")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONText.Failure) {
        guard let byte = next else { throw failure("a text without end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "u"):
            var code = try hex()
            if code & 0xFC00 == 0xD800, bytes[position...].starts(with: "\\u".utf8) {
                position += 2
                let low = try hex()
                guard low & 0xFC00 == 0xDC00 else { throw failure("half a pair of surrogates") }
                code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("no character") }
            text.append(contentsOf: String(Character(scalar)).utf8)
        default: throw failure("an unknown escape")
        }
    }

    private mutating func hex() throws(JSONText.Failure) -> UInt32 {
        let digits = bytes[position...].prefix(4)
        guard digits.count == 4, let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw failure("no character")
        }
        position += 4
        return code
    }
}
