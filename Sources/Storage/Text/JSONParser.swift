// SPDX-License-Identifier: Apache-2.0
//  Reads the JSON that files at rest carry. Strict; what it does not expect, it refuses.

import ThalwegBase

/// A recursive descent over bytes, with a limit on its depth.
struct JSONParser {
    private let bytes: [UInt8]
    private var position = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Reads a whole document.
    ///
    /// - Throws: `JSONTree.Mismatch`, with the place.
    static func parse(_ bytes: [UInt8]) throws -> JSONTree {
        var parser = JSONParser(bytes)
        let tree = try parser.value(depth: 0)
        parser.skipSpace()
        guard parser.position == bytes.count else { throw parser.mismatch("more follows the end") }
        return tree
    }

    private func mismatch(_ reason: String) -> JSONTree.Mismatch {
        JSONTree.Mismatch(reason: "\(reason) at byte \(position) of the description")
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws -> JSONTree {
        guard depth < JSONTree.depthMax else { throw mismatch("nested too deep") }
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

    private mutating func word(_ text: String, _ tree: JSONTree) throws -> JSONTree {
        guard bytes[position...].starts(with: text.utf8) else { throw mismatch("no value") }
        position += text.utf8.count
        return tree
    }

    private mutating func number() throws -> JSONTree {
        let digits = bytes[position...].prefix {
            $0 == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        }
        guard let value = Int64(String(decoding: digits, as: UTF8.self)) else { throw mismatch("no value") }
        position = digits.endIndex
        return .number(value)
    }

    private mutating func array(depth: Int) throws -> JSONTree {
        position += 1
        var elements: [JSONTree] = []
        if take("]") { return .array(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            if take("]") { return .array(elements) }
            guard take(",") else { throw mismatch("no ',' or ']'") }
        }
    }

    private mutating func object(depth: Int) throws -> JSONTree {
        position += 1
        var members: [String: JSONTree] = [:]
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw mismatch("no name") }
            let name = try string()
            guard take(":") else { throw mismatch("no ':'") }
            guard members.updateValue(try value(depth: depth + 1), forKey: name) == nil else {
                throw mismatch("'\(name)' stands there twice")
            }
            if take("}") { return .object(members) }
            guard take(",") else { throw mismatch("no ',' or '}'") }
        }
    }

    private mutating func string() throws -> String {
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else { throw mismatch("no UTF-8") }
                return string
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw mismatch("a control character in a text")
            default: text.append(byte)
            }
        }
        throw mismatch("a text without end")
    }

    private mutating func escape(into text: inout [UInt8]) throws {
        guard let byte = next else { throw mismatch("a text without end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            let digits = bytes[position...].prefix(4)
            // Characters beyond the first plane stand as they are in what we write: no pairs of surrogates.
            guard digits.count == 4, let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16),
                let scalar = Unicode.Scalar(code)
            else { throw mismatch("no character") }
            position += 4
            text.append(contentsOf: String(Character(scalar)).utf8)
        default: throw mismatch("an unknown escape")
        }
    }
}
