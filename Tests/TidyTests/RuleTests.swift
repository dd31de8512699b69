// SPDX-License-Identifier: Apache-2.0
//  The rules tested on themselves: each must see what it is for, and nothing else.

import Testing

/// A small file and the lines at which one rule must find something.
struct Probe: Sendable, CustomTestStringConvertible {
    let rule: Rule
    let path: String
    let text: String
    let lines: [Int]

    init(_ rule: Rule, _ text: String, at path: String = "Sources/Runtime/Probe.swift", finds lines: [Int]) {
        self.rule = rule
        self.path = path
        self.text = text
        self.lines = lines
    }

    var testDescription: String { "\(rule.name): \(text.prefix(40))".replacing("\n", with: "⏎") }
    var tree: Tree { Tree([SourceFile(path: path, text: text)]) }
}

@Suite("Each rule sees what it is for")
struct RuleTests {
    @Test("probe", arguments: shape + calls + imports)
    func finds(_ probe: Probe) {
        #expect(probe.rule.check(probe.tree).map(\.line).sorted() == probe.lines)
    }

    @Test("every rule has a probe that it finds and one that it passes", arguments: Rule.all)
    func isProbed(_ rule: Rule) {
        let own = (Self.shape + Self.calls + Self.imports).filter { $0.rule.name == rule.name }
        #expect(rule.name == "folder size" || own.contains { !$0.lines.isEmpty })
        #expect(rule.name == "folder size" || own.contains { $0.lines.isEmpty })
    }

    @Test("folders are counted without their subfolders")
    func countsFolders() {
        func tree(_ count: Int) -> Tree {
            Tree((0..<count).map { SourceFile(path: "Sources/Data/F\($0).swift", text: "") })
        }
        var twenty = tree(20)
        twenty.files.append(SourceFile(path: "Sources/Data/Deep/Other.swift", text: ""))
        #expect(Rule.folderSize.check(twenty).isEmpty)
        #expect(Rule.folderSize.check(tree(21)).map(\.path) == ["Sources/Data"])
    }

    @Test("every banned call is found in code, not in comments or strings", arguments: Rule.replacements.map(\.call))
    func findsCall(_ call: String) {
        let text = "let a = \(call)\n// \(call)\nlet b = \"\(call)\"\nlet c = \"\"\"\n    \(call)\n    \"\"\"\n"
        let probe = Probe(Rule.bannedCalls, text, finds: [1])
        #expect(Rule.bannedCalls.check(probe.tree).map(\.line) == [1])
        #expect(Rule.bannedCalls.check(probe.tree).map(\.subject) == [call])
    }

    static let licence = "// SPDX-License-Identifier: Apache-2.0"

    static let shape: [Probe] = [
        Probe(.header, "import Synchronization\n", finds: [1]),
        Probe(.header, "\(licence)\nimport Synchronization\n", finds: [2]),
        Probe(.header, "\(licence)\n//  No.\nlet a = 1\n", finds: [2]),
        Probe(.header, "\(licence)\n//  Keeps the records that match.\nlet a = 1\n", finds: []),
        Probe(.header, "\(licence)\n", finds: []),
        Probe(.header, "let a = 1\n", at: "Tests/RuntimeTests/Probe.swift", finds: []),
        Probe(.lineWidth, "a\n" + String(repeating: "x", count: 121), finds: [2]),
        Probe(.lineWidth, String(repeating: "é", count: 120), finds: []),
        Probe(.fileLength, String(repeating: "a\n", count: 601), finds: [0]),
        Probe(.fileLength, String(repeating: "a\n", count: 600), finds: []),
        Probe(.functionLength, "struct A {\n" + function("func a()", lines: 71) + "}\n", finds: [2]),
        Probe(.functionLength, "struct A {\n" + function("func a()", lines: 70) + "}\n", finds: []),
        Probe(
            .functionLength, function("public static func < <T>(a: T, b: (T) -> Int) async -> Bool", lines: 71),
            finds: [1]),
        Probe(.functionLength, function("init?(a: Int)", lines: 71), finds: [1]),
        Probe(.functionLength, function("var a: [Int]", lines: 71), finds: [1]),
        Probe(.functionLength, function("extension A", lines: 500), finds: []),
        Probe(
            .functionLength, "protocol P {\n    func a()\n    init(a: Int)\n}\n" + function("extension P", lines: 90),
            finds: []),
        Probe(
            .functionLength,
            "func a() {\n    self.init(a: 1)\n    .init(b: \"{\")\n}\n" + function("enum E", lines: 90), finds: []),
        Probe(.names, "struct BufferUtils {}\nclass TaskManager {}\nfunc manager() {}\n", finds: [1, 2]),
        Probe(.names, "let a = 1\n", at: "Sources/Base/Common.swift", finds: [0]),
        Probe(.names, "protocol AbstractTask {}\nactor SinkImpl {}\ntypealias JSONHelper = Int\n", finds: [1, 2, 3]),
        Probe(.names, "struct Implicit {}\nenum Commons {}\nfinal class Utility {}\n// class Manager\n", finds: []),
        Probe(.unfinished, "// TODO: later\n/* FIXME */\nlet a = 1 // XXX\n", finds: [1, 2, 3]),
        Probe(.unfinished, "let TODOS = 1\n", finds: []),
        Probe(.unfinished, "// TODO\n", at: "Sources/C/CThalweg/CThalweg.c", finds: [1]),
        Probe(.markdownTitle, "text\n", at: "docs/a.md", finds: [0]),
        Probe(.markdownTitle, "# One\n# Two\n", at: "docs/a.md", finds: [0]),
        Probe(.markdownTitle, "# One\n## Part\n```\n# comment\n```\n", at: "docs/a.md", finds: []),
    ]

    static let calls: [Probe] = [
        Probe(.bannedCalls, "let a = UpDate()\nlet b = entry!\nlet c = x as? Int\nlet d = try? f()\n", finds: []),
        Probe(.bannedCalls, "let a = \"\\(Date())\"\n", finds: [1]),
        Probe(.bannedCalls, "let a = #\"\\(Date())\"#\nlet b = #\"\\#(Date())\"#\n", finds: [2]),
        Probe(.bannedCalls, "let d = Date()\n", at: "Tests/BaseTests/Probe.swift", finds: []),
        Probe(.bannedCalls, "flags: [\"-Ounchecked\"]\n", at: "Package.swift", finds: [1]),
        Probe(.bannedCalls, "\tswift build -Xswiftc -Ounchecked\n", at: "Makefile", finds: [1]),
        Probe(.promises, "final class A: @unchecked Sendable {}\n", finds: [1]),
        Probe(.promises, "nonisolated(unsafe) var a = 1\n\n", finds: [1]),
        Probe(
            .promises, "// Owned by one worker at a time.\nlet b = 1\nfinal class A: @unchecked Sendable {}\n",
            finds: [3]),
        Probe(.promises, "// Owned by one worker at a time.\nfinal class A: @unchecked Sendable {}\n", finds: []),
        Probe(
            .promises, "/// Owned by one worker.\n@usableFromInline\nfinal class A: @unchecked Sendable {}\n", finds: []
        ),
        Probe(.promises, "nonisolated(unsafe) let a = 1  // Never written.\n", finds: []),
    ]

    static let imports: [Probe] = [
        Probe(.foundation, "import Foundation\n", finds: [1]),
        Probe(
            .foundation, "internal import struct FoundationEssentials.Data\n", at: "Sources/Base/A.swift", finds: [1]),
        Probe(.foundation, "import Foundation\n", at: "Sources/Connect/Connectors/A.swift", finds: []),
        Probe(.importDirection, "import ThalwegOperators\n", finds: [1]),
        Probe(.importDirection, "import ThalwegRuntime\n", at: "Sources/Dataflow/Operators/A.swift", finds: [1]),
        Probe(.importDirection, "import ThalwegData\n", at: "Sources/Base/A.swift", finds: [1]),
        Probe(
            .importDirection, "import Synchronization\n@_exported import Thalweg\n", at: "Sources/State/A.swift",
            finds: [2]),
        Probe(.importDirection, "import ThalwegState\n", at: "Sources/Connect/Formats/A.swift", finds: [1]),
        Probe(.importDirection, "import CThalweg\nimport ThalwegOperator\npackage import ThalwegBase\n", finds: []),
        Probe(.importDirection, "let a = 1\n", at: "Sources/Attic/A.swift", finds: [0]),
        Probe(.foreignImporters, "import CZlib\nimport CSimdjson\n", finds: [1, 2]),
        Probe(.foreignImporters, "import CZlib\n", at: "Tests/ConnectTests/A.swift", finds: [1]),
        Probe(.foreignImporters, "import CZlib\n", at: "Sources/Connect/Formats/A.swift", finds: []),
        Probe(.testingImporters, "import ThalwegTesting\n", at: "Sources/Front/A.swift", finds: [1]),
        Probe(.testingImporters, "import ThalwegTesting\n", at: "Examples/Sources/hot-items/A.swift", finds: [1]),
        Probe(.testingImporters, "@testable import ThalwegTesting\n", at: "Tests/RuntimeTests/A.swift", finds: []),
        Probe(.testingImporters, "import ThalwegTesting\n", at: "Examples/Tests/HotItemsTests/A.swift", finds: []),
    ]

    /// A declaration whose text, body and braces have this many lines.
    private static func function(_ declaration: String, lines: Int) -> String {
        "\(declaration) {\n" + String(repeating: "    a { 1 }\n", count: lines - 2) + "}\n"
    }
}

@Suite("Exceptions only shrink")
struct AllowanceTests {
    private let tree = Tree([SourceFile(path: "Sources/Data/A.swift", text: String(repeating: "a\n", count: 700))])

    private func allowance(_ ceiling: Int, path: String = "Sources/Data/A.swift") -> Allowance {
        Allowance(rule: "file length", path: path, ceiling: ceiling, reason: "for this test only")
    }

    @Test func excusesWhatItNames() {
        #expect(Rule.fileLength.findings(in: tree, allowing: [allowance(700)]).isEmpty)
    }

    @Test func doesNotExcuseGrowth() {
        #expect(Rule.fileLength.findings(in: tree, allowing: [allowance(699)]).count == 1)
    }

    @Test func mustBeLoweredWhenTheFileShrinks() {
        let findings = Rule.fileLength.findings(in: tree, allowing: [allowance(800)])
        #expect(findings.map(\.message) == ["the exception to 'file length' can be lowered to 700"])
    }

    @Test func mustBeRemovedWhenNotNeeded() {
        let findings = Rule.fileLength.findings(
            in: tree, allowing: [allowance(700), allowance(700, path: "Gone.swift")])
        #expect(findings.map(\.path) == ["Gone.swift"])
    }

    @Test func excusesOneCallOnly() {
        let text = "let a = ContinuousClock()\nlet b = Date()\n"
        let tree = Tree([SourceFile(path: "Sources/Runtime/Clock.swift", text: text)])
        let allowed = Allowance(
            rule: "banned calls", path: "Sources/Runtime/Clock.swift", subject: "ContinuousClock",
            reason: "the one real clock")
        #expect(Rule.bannedCalls.findings(in: tree, allowing: [allowed]).map(\.line) == [2])
    }
}
