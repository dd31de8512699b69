// SPDX-License-Identifier: Apache-2.0
//  The code that the documentation shows is code that compiles: each block stands in the examples or their tests.

import Foundation
import Testing
import ThalwegTesting

@testable import Snippets

@Suite struct DocumentationTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../..").standardizedFileURL

    private static func files(below folder: String, ending: String) -> [URL] {
        let found = FileManager.default.enumerator(at: root.appending(path: folder), includingPropertiesForKeys: nil)
        return (found?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == ending }
    }

    /// The text without indentation: blocks are indented otherwise than the sources.
    private static func flat(_ text: some StringProtocol) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: "\n")
            .trimmingCharacters(in: .newlines)
    }

    /// The blocks of a text that are marked as Swift.
    private static func blocks(of text: String) -> [String] {
        text.components(separatedBy: "```swift\n").dropFirst().compactMap { $0.components(separatedBy: "```").first }
    }

    static let documents =
        [root.appending(path: "README.md")] + files(below: "Sources/Front/Thalweg.docc", ending: "md")

    @Test(arguments: documents)
    func showsCodeThatCompiles(document: URL) throws {
        let sources = try ["Examples/Sources", "Examples/Tests"].flatMap { Self.files(below: $0, ending: "swift") }
            .map { Self.flat(try String(contentsOf: $0, encoding: .utf8)) }
        for block in Self.blocks(of: try String(contentsOf: document, encoding: .utf8)) {
            let code = Self.flat(block)
            #expect(sources.contains { $0.contains(code) }, "not in the examples:\n\(block)")
        }
    }

    @Test func showsASinkThatIsExactlyOnce() throws {
        try SinkConformance.check(seeds: 0..<100) { seed in
            let ledger = Ledger()
            return SinkTrial(
                makeSink: { LedgerSink(ledger: ledger) }, record: { Int64($0) }, readCommitted: { ledger.numbers })
        }
    }

    @Test func findsTheDocuments() throws {
        #expect(Self.documents.count >= 10)
        let readme = try String(contentsOf: #require(Self.documents.first), encoding: .utf8)
        #expect(Self.blocks(of: readme).count == 1)
    }
}
