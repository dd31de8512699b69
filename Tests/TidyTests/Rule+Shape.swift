// SPDX-License-Identifier: Apache-2.0
//  Rules about the shape of files, functions and names.

extension Rule {
    static let header = Rule(name: "header") { tree in
        tree.sources.compactMap { file in
            guard file.lines.first == "// SPDX-License-Identifier: Apache-2.0" else {
                return Finding(path: file.path, line: 1, message: "begin with // SPDX-License-Identifier: Apache-2.0")
            }
            // A target that has nothing yet is one file with the licence line only.
            let isEmpty = file.lines.dropFirst().allSatisfy { $0.allSatisfy(\.isWhitespace) }
            let purpose = file.lines.dropFirst().first ?? ""
            guard !isEmpty, !purpose.hasPrefix("//  ") || purpose.dropFirst(4).count < 10 else { return nil }
            return Finding(path: file.path, line: 2, message: "say in one line what the file is for: //  Purpose.")
        }
    }

    static let lineWidth = Rule(name: "line width") { tree in
        tree.texts.flatMap { file in
            file.lines.enumerated().compactMap { index, line in
                let width = line.unicodeScalars.count
                guard width > 120 else { return nil }
                return Finding(
                    path: file.path, line: index + 1, measure: width, message: "\(width) columns, at most 120")
            }
        }
    }

    static let fileLength = Rule(name: "file length") { tree in
        tree.texts.filter { $0.lines.count > 600 }.map {
            let count = $0.lines.count
            return Finding(
                path: $0.path, line: 0, measure: count, message: "\(count) lines, at most 600: split by theme")
        }
    }

    static let functionLength = Rule(name: "function length") { tree in
        tree.sources.flatMap { file in
            FunctionSpan.all(in: file.tokens).filter { $0.lineCount > 70 }.map {
                Finding(
                    path: file.path, line: $0.line + 1, subject: $0.name, measure: $0.lineCount,
                    message: "\($0.name) has \($0.lineCount) lines, at most 70")
            }
        }
    }

    static let folderSize = Rule(name: "folder size") { tree in
        Dictionary(grouping: tree.texts, by: \.folder).filter { $0.value.count > 20 }.map {
            let count = $0.value.count
            return Finding(
                path: $0.key, line: 0, measure: count, message: "\(count) files, at most 20: find the sub-ideas")
        }
    }

    static let names = Rule(name: "names") { tree in
        let vague: Set<String> = [
            "Util", "Utils", "Utilities", "Helper", "Helpers", "Manager", "Impl", "Abstract", "Common",
        ]
        return tree.sources.flatMap { file -> [Finding] in
            var named = [(name: String(file.name.dropLast(".swift".count)), line: 0)]
            for (token, next) in zip(file.tokens, file.tokens.dropFirst()) where typeKeywords.contains(token.text) {
                named.append((next.text, next.line + 1))
            }
            return named.compactMap { name, line -> Finding? in
                guard let word = words(of: name).first(where: vague.contains) else { return nil }
                return Finding(
                    path: file.path, line: line, subject: name,
                    message: "'\(word)' in '\(name)' says nothing: name the idea")
            }
        }
    }

    private static let typeKeywords: Set<String> = ["struct", "class", "enum", "actor", "protocol", "typealias"]

    /// The words of a name in camel case: `JSONWriter+Escapes` gives JSON, Writer, Escapes.
    static func words(of name: String) -> [String] {
        let letters = Array(name)
        var words: [String] = [""]
        for (index, letter) in letters.enumerated() {
            guard letter.isLetter else {
                words.append("")
                continue
            }
            let followsSmall = index > 0 && letters[index - 1].isLowercase
            let precedesSmall = index + 1 < letters.count && letters[index + 1].isLowercase
            if letter.isUppercase, followsSmall || precedesSmall { words.append("") }
            words[words.count - 1].append(letter)
        }
        return words.filter { !$0.isEmpty }
    }

    static let unfinished = Rule(name: "unfinished") { tree in
        tree.texts.flatMap { file in
            file.lines.enumerated().flatMap { index, line in
                ["TODO", "FIXME", "XXX"].filter { contains($0, in: line) }.map {
                    Finding(
                        path: file.path, line: index + 1,
                        message: "\($0): do it, or write it down where work is planned")
                }
            }
        }
    }

    static let markdownTitle = Rule(name: "markdown title") { tree in
        tree.markdown.compactMap { file in
            var inFence = false
            var titles = 0
            for line in file.lines {
                if line.hasPrefix("```") { inFence.toggle() }
                if !inFence, line.hasPrefix("# ") { titles += 1 }
            }
            guard titles != 1 else { return nil }
            return Finding(path: file.path, line: 0, message: "\(titles) lines begin with '# ', exactly one must")
        }
    }
}

/// A function, initialiser, subscript or computed property with its body.
struct FunctionSpan {
    let name: String
    /// Index of the line with the keyword.
    let line: Int
    let lineCount: Int

    static func all(in tokens: [Token]) -> [FunctionSpan] {
        tokens.indices.compactMap { index in
            guard let (name, brace) = opening(of: tokens, at: index) else { return nil }
            let end = closing(of: tokens, from: brace, "{", "}")
            let last = tokens[min(end, tokens.count - 1)].line
            return FunctionSpan(name: name, line: tokens[index].line, lineCount: last - tokens[index].line + 1)
        }
    }

    /// The name of the declaration that begins here and the index of its body's brace; nil if it has no body.
    private static func opening(of tokens: [Token], at index: Int) -> (String, Int)? {
        if index > 0, [".", "`"].contains(tokens[index - 1].text) { return nil }
        var next = index + 1
        guard next < tokens.count else { return nil }
        switch tokens[index].text {
        case "func":
            let name = name(of: tokens, at: &next)
            guard let end = parameters(of: tokens, from: next), let brace = body(of: tokens, from: end) else {
                return nil
            }
            return (name, brace)
        case "init" where ["(", "?", "!", "<"].contains(tokens[next].text), "subscript":
            guard let end = parameters(of: tokens, from: next), let brace = body(of: tokens, from: end) else {
                return nil
            }
            return (tokens[index].text, brace)
        case "deinit":
            return body(of: tokens, from: next).map { ("deinit", $0) }
        case "var":
            let rest = tokens[next...].prefix { $0.line == tokens[index].line && !["=", "in", "{"].contains($0.text) }
            guard rest.endIndex < tokens.count, tokens[rest.endIndex].text == "{",
                tokens[rest.endIndex].line == tokens[index].line
            else { return nil }
            return (tokens[next].text, rest.endIndex)
        default:
            return nil
        }
    }

    private static func name(of tokens: [Token], at next: inout Int) -> String {
        let isWord = tokens[next].text.first.map { $0.isLetter || $0 == "_" || $0 == "`" } ?? false
        guard !isWord else {
            if tokens[next].text == "`" { next += 1 }
            return tokens[next].text
        }
        var name = ""
        while next < tokens.count, tokens[next].text != "(" {
            name += tokens[next].text
            next += 1
        }
        return name
    }

    private static func parameters(of tokens: [Token], from start: Int) -> Int? {
        guard let open = tokens[start...].firstIndex(where: { $0.text == "(" }) else { return nil }
        return closing(of: tokens, from: open, "(", ")") + 1
    }

    private static let nextDeclaration: Set<String> = [
        "}", ";", "#", "func", "var", "let", "init", "subscript", "case", "struct", "enum", "protocol", "extension",
        "typealias", "associatedtype", "static", "mutating", "nonmutating", "public", "package", "internal", "private",
    ]

    private static func body(of tokens: [Token], from start: Int) -> Int? {
        guard start < tokens.count else { return nil }
        for index in start..<tokens.count {
            let token = tokens[index]
            if token.text == "{" { return index }
            if nextDeclaration.contains(token.text) { return nil }
            if token.text == "@", token.line != tokens[index - 1].line { return nil }
        }
        return nil
    }

    private static func closing(of tokens: [Token], from open: Int, _ left: String, _ right: String) -> Int {
        var depth = 0
        for index in open..<tokens.count {
            if tokens[index].text == left { depth += 1 }
            if tokens[index].text == right { depth -= 1 }
            if depth == 0 { return index }
        }
        return tokens.count - 1
    }
}
