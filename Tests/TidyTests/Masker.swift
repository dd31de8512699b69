// SPDX-License-Identifier: Apache-2.0
//  Blanks comments and string contents, so that rules see only code.

/// Reads Swift text byte by byte. Code inside string interpolations is kept; regex literals without `#` are not known.
struct Masker {
    private let input: [UInt8]
    /// The text so far: code as it was, everything else as spaces; line ends are kept.
    private(set) var output: [UInt8] = []
    private(set) var commented: Set<Int> = []
    private var position = 0
    private var line = 0

    init(_ text: String) {
        input = Array(text.utf8)
        output.reserveCapacity(input.count)
    }

    var masked: String { String(decoding: output, as: UTF8.self) }

    mutating func run() { code(inInterpolation: false) }

    private func peek(_ offset: Int = 0) -> UInt8 {
        position + offset < input.count ? input[position + offset] : 0
    }

    private func sees(_ text: StaticString, at offset: Int = 0) -> Bool {
        let end = position + offset + text.utf8CodeUnitCount
        guard end <= input.count else { return false }
        return UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
            .elementsEqual(input[(position + offset)..<end])
    }

    private mutating func keep() {
        if peek() == UInt8(ascii: "\n") { line += 1 }
        output.append(peek())
        position += 1
    }

    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where position < input.count {
            let byte = input[position]
            if byte == UInt8(ascii: "\n") { line += 1 }
            output.append(byte == UInt8(ascii: "\n") ? byte : UInt8(ascii: " "))
            position += 1
        }
    }

    private mutating func code(inInterpolation: Bool) {
        var depth = 0
        while position < input.count {
            if sees("//") {
                lineComment()
            } else if sees("/*") {
                blockComment()
            } else if let hashes = stringStart() {
                string(hashes: hashes)
            } else if sees("#/") {
                blank(2)
                while position < input.count, !sees("/#") { blank() }
                blank(2)
            } else {
                let byte = peek()
                if byte == UInt8(ascii: "(") { depth += 1 }
                if byte == UInt8(ascii: ")") {
                    if inInterpolation, depth == 0 { return }
                    depth -= 1
                }
                keep()
            }
        }
    }

    private mutating func lineComment() {
        commented.insert(line)
        while position < input.count, peek() != UInt8(ascii: "\n") { blank() }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            commented.insert(line)
            if sees("/*") {
                depth += 1
                blank(2)
            } else if sees("*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && position < input.count
    }

    /// The number of `#` before the quote of a string that begins here; nil if none begins.
    private func stringStart() -> Int? {
        var hashes = 0
        while peek(hashes) == UInt8(ascii: "#") { hashes += 1 }
        return peek(hashes) == UInt8(ascii: "\"") ? hashes : nil
    }

    private func seesHashes(_ count: Int, at offset: Int) -> Bool {
        (0..<count).allSatisfy { peek(offset + $0) == UInt8(ascii: "#") }
    }

    private mutating func string(hashes: Int) {
        let quotes = sees("\"\"\"", at: hashes) ? 3 : 1
        for _ in 0..<(hashes + quotes) { keep() }
        while position < input.count {
            if quotes == 1 ? peek() == UInt8(ascii: "\"") : sees("\"\"\""), seesHashes(hashes, at: quotes) {
                for _ in 0..<(hashes + quotes) { keep() }
                return
            }
            if quotes == 1, peek() == UInt8(ascii: "\n") { return }
            guard peek() == UInt8(ascii: "\\"), seesHashes(hashes, at: 1) else {
                blank()
                continue
            }
            blank(1 + hashes)
            if peek() == UInt8(ascii: "(") {
                keep()
                code(inInterpolation: true)
                if position < input.count { keep() }
            } else {
                blank()
            }
        }
    }
}

/// A word, or one character of punctuation, of masked code.
struct Token: Sendable, Equatable {
    let text: String
    /// Index of its line.
    let line: Int

    static func all(in code: [UInt8]) -> [Token] {
        var tokens: [Token] = []
        var line = 0
        var position = 0
        while position < code.count {
            let start = position
            position += 1
            if isWord(code[start]) {
                while position < code.count, isWord(code[position]) { position += 1 }
            } else if code[start] <= UInt8(ascii: " ") {
                if code[start] == UInt8(ascii: "\n") { line += 1 }
                continue
            }
            tokens.append(Token(text: String(decoding: code[start..<position], as: UTF8.self), line: line))
        }
        return tokens
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...: true
        default: false
        }
    }
}
