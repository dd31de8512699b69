// SPDX-License-Identifier: Apache-2.0
//  The texts that the house rules look at.

import Foundation

/// One text file; for Swift also its code with comments and string contents blanked, and that code as tokens.
struct SourceFile: Sendable {
    /// Relative to the package root, with `/` between folders.
    let path: String
    let lines: [String]
    /// The lines again, comments and the contents of strings replaced by spaces (Swift only, otherwise empty).
    let code: [String]
    /// Indices of the lines that carry a comment, or a part of one.
    let commented: Set<Int>
    let tokens: [Token]

    init(path: String, text: String) {
        self.path = path
        lines = Self.split(text)
        guard path.hasSuffix(".swift") else {
            (code, commented, tokens) = ([], [], [])
            return
        }
        var masker = Masker(text)
        masker.run()
        code = Self.split(masker.masked)
        commented = masker.commented
        tokens = Token.all(in: masker.output)
    }

    private static func split(_ text: String) -> [String] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        return lines
    }

    var name: String { String(path.split(separator: "/").last ?? "") }
    var folder: String { path.split(separator: "/").dropLast().joined(separator: "/") }
    var isSwift: Bool { path.hasSuffix(".swift") }

    func isBelow(_ folder: String) -> Bool { path.hasPrefix(folder + "/") }
}

/// All files the rules apply to.
struct Tree: Sendable {
    var files: [SourceFile]

    init(_ files: [SourceFile]) { self.files = files }

    /// Swift files of the engine itself.
    var sources: [SourceFile] { files.filter { $0.isBelow("Sources") && $0.isSwift } }
    /// Files of the engine in any language that people write.
    var texts: [SourceFile] { files.filter { $0.isBelow("Sources") && !$0.path.hasSuffix(".md") } }
    var markdown: [SourceFile] { files.filter { $0.path.hasSuffix(".md") } }

    /// The package that this test belongs to.
    static let current = Tree(under: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../.."))

    private static let endings: Set<String> = ["swift", "md", "c", "cpp", "h", "modulemap", "sh", "py"]
    private static let names: Set<String> = ["Makefile", "run"]

    /// Reads every text file below a folder; build products, hidden folders (but `.ci`) and run output are left out.
    init(under root: URL) {
        let base = root.standardizedFileURL.path(percentEncoded: false)
        let walk = FileManager.default.enumerator(at: root.standardizedFileURL, includingPropertiesForKeys: nil)
        files = []
        while let url = walk?.nextObject() as? URL {
            let name = url.lastPathComponent
            if (name.hasPrefix(".") && name != ".ci") || name == "out" || name == "__pycache__" {
                if url.hasDirectoryPath { walk?.skipDescendants() }
                continue
            }
            guard Self.endings.contains(url.pathExtension) || Self.names.contains(name),
                let text = try? String(contentsOf: url, encoding: .utf8)
            else { continue }
            let path = String(url.path(percentEncoded: false).dropFirst(base.count).drop { $0 == "/" })
            files.append(SourceFile(path: path, text: text))
        }
        files.sort { $0.path < $1.path }
    }
}
