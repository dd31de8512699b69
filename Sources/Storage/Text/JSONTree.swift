// SPDX-License-Identifier: Apache-2.0
//  JSON as a value: the descriptions in files at rest, for people and other programs to read.

import ThalwegBase
import ThalwegData

/// A JSON document. Objects are printed with their keys in order, so that equal trees give equal bytes.
enum JSONTree: Hashable, Sendable {
    case null
    case bool(Bool)
    /// An integer: the only kind of number in our files.
    case number(Int64)
    case string(String)
    case array([JSONTree])
    case object([String: JSONTree])

    static func strings(_ texts: [String]) -> JSONTree { .array(texts.map { .string($0) }) }

    static func strings(_ texts: [String: String]) -> JSONTree { .object(texts.mapValues { .string($0) }) }
}

// MARK: Reading

extension JSONTree {
    /// Reads a whole document.
    ///
    /// - Throws: `JSONTree.Mismatch`, with the place; numbers that are no integers are refused too.
    static func parse(_ bytes: [UInt8]) throws -> JSONTree {
        do throws(JSONText.Failure) { return try JSONTree(try JSONText.parse(bytes)) } catch {
            throw Mismatch(reason: "\(error.reason) of the description")
        }
    }

    private init(_ text: JSONText) throws(JSONText.Failure) {
        switch text {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .number(let digits):
            guard let value = Int64(digits) else { throw JSONText.Failure(reason: "\(digits) is no integer") }
            self = .number(value)
        case .string(let text): self = .string(text)
        case .array(let elements):
            var trees: [JSONTree] = []
            for element in elements { trees.append(try JSONTree(element)) }
            self = .array(trees)
        case .object(let members):
            var trees: [String: JSONTree] = [:]
            for (name, value) in members { trees[name] = try JSONTree(value) }
            self = .object(trees)
        }
    }
}

// MARK: Printing

extension JSONTree {
    /// The text in UTF-8: in one line, or with a line for each member.
    func bytes(isPretty: Bool = false) -> [UInt8] {
        var out: [UInt8] = []
        print(into: &out, indent: isPretty ? 0 : nil)
        return out
    }

    private func print(into out: inout [UInt8], indent: Int?) {
        switch self {
        case .null: out.append(contentsOf: "null".utf8)
        case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
        case .number(let value): out.append(contentsOf: String(value).utf8)
        case .string(let text): Self.quote(text, into: &out)
        case .array(let elements):
            // Arrays of plain values stay in one line.
            let isFlat = elements.allSatisfy { !$0.isNested }
            Self.list(elements, "[", "]", into: &out, indent: isFlat ? nil : indent) { element, indent, out in
                element.print(into: &out, indent: indent)
            }
        case .object(let members):
            let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            Self.list(sorted, "{", "}", into: &out, indent: indent) { member, indent, out in
                Self.quote(member.key, into: &out)
                out.append(contentsOf: (indent == nil ? ":" : ": ").utf8)
                member.value.print(into: &out, indent: indent)
            }
        }
    }

    private var isNested: Bool {
        switch self {
        case .array, .object: true
        default: false
        }
    }

    private static func list<Element>(
        _ elements: [Element], _ open: Character, _ close: Character, into out: inout [UInt8], indent: Int?,
        _ body: (Element, Int?, inout [UInt8]) -> Void
    ) {
        func newLine(_ depth: Int) {
            out.append(UInt8(ascii: "\n"))
            out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: depth * 2))
        }
        out.append(contentsOf: String(open).utf8)
        for (index, element) in elements.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            if let indent { newLine(indent + 1) }
            body(element, indent.map { $0 + 1 }, &out)
        }
        if let indent, !elements.isEmpty { newLine(indent) }
        out.append(contentsOf: String(close).utf8)
    }

    private static func quote(_ text: String, into out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out.append(contentsOf: [UInt8(ascii: "\\"), byte])
            case 0..<0x20:
                let hex = Array("0123456789abcdef".utf8)
                out.append(contentsOf: "\\u00".utf8)
                out.append(contentsOf: [hex[Int(byte >> 4)], hex[Int(byte & 15)]])
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }
}

// MARK: Looking up

extension JSONTree {
    /// Why a document is not what was expected, in words for a person.
    struct Mismatch: Error {
        let reason: String
    }

    /// The member of an object; `.null` when it has none of this name.
    subscript(_ name: String) -> JSONTree {
        if case .object(let members) = self { members[name] ?? .null } else { .null }
    }

    func string(_ name: String) throws -> String {
        guard case .string(let text) = self[name] else { throw Mismatch(reason: "'\(name)' is no text") }
        return text
    }

    func number(_ name: String) throws -> Int64 {
        guard case .number(let value) = self[name] else { throw Mismatch(reason: "'\(name)' is no integer") }
        return value
    }

    func number(_ name: String, in range: some RangeExpression<Int64>) throws -> Int64 {
        let value = try number(name)
        guard range.contains(value) else { throw Mismatch(reason: "'\(name)' cannot be \(value)") }
        return value
    }

    func int(_ name: String) throws -> Int {
        guard let value = Int(exactly: try number(name)) else { throw Mismatch(reason: "'\(name)' is too large") }
        return value
    }

    func array(_ name: String) throws -> [JSONTree] {
        guard case .array(let elements) = self[name] else { throw Mismatch(reason: "'\(name)' is no list") }
        return elements
    }

    func strings(_ name: String) throws -> [String] {
        try array(name).map {
            guard case .string(let text) = $0 else { throw Mismatch(reason: "'\(name)' holds something but text") }
            return text
        }
    }

    func texts(_ name: String) throws -> [String: String] {
        guard case .object(let members) = self[name] else { throw Mismatch(reason: "'\(name)' is no object") }
        return try members.mapValues {
            guard case .string(let text) = $0 else { throw Mismatch(reason: "'\(name)' holds something but text") }
            return text
        }
    }
}
