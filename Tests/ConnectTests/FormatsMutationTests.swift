// SPDX-License-Identifier: Apache-2.0
//  Proofs on damaged input: the same answer however the bytes arrive, and none that a second opinion denies.

import FoundationEssentials
import Testing
import ThalwegBase

@testable import ThalwegFormats

@Suite struct FormatsMutationTests {
    /// Damages text: inserts, removes, replaces, cuts.
    private func damaged(_ text: String, times: Int, pieces: [String], _ random: inout SeededRandom) -> [UInt8] {
        var bytes = Array(text.utf8)
        for _ in 0..<times {
            let at = Int.random(in: 0...bytes.count, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0...3: bytes.insert(contentsOf: pieces.randomElement(using: &random)?.utf8 ?? "".utf8, at: at)
            case 4...5: bytes.removeSubrange(at..<min(at + Int.random(in: 1...3, using: &random), bytes.count))
            case 6: if at < bytes.count { bytes[at] = UInt8(truncatingIfNeeded: random.next()) }
            default: bytes.removeSubrange(at..<min(at + 20, bytes.count))
            }
        }
        return bytes
    }

    private struct Answer<Record: Equatable>: Equatable {
        var rows: [Record]
        /// Where and why the others failed.
        var errors: [String]
    }

    private func answer<Record: Equatable>(
        _ bytes: [UInt8], _ format: InputFormat<Record>, chunk: Int = .max
    ) throws -> Answer<Record> {
        let found = try read(bytes, format, chunk: chunk)
        return Answer(rows: found.rows, errors: found.errors.map { "\($0.line) \($0.byteOffset) \($0.reason)" })
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func jsonIsReadAlikeInAllChunksAndFoundationAgrees(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let format = try InputFormat<Deep>.json()
        let decoder = JSONDecoder()
        let pieces = [
            "\"", "{", "}", "[", "]", ",", ":", "\\", "\\u12", "\n", "\r", "1", "-", "e5", ".", "null", "\u{0}", " ",
            "é",
        ]
        for _ in 0..<40 {
            let rows = (0..<3).map { _ in Deep.random(&random) }
            let bytes = damaged(
                try text(rows, .json), times: Int.random(in: 0...3, using: &random), pieces: pieces, &random)
            let whole = try answer(bytes, format)
            let ragged = try answer(bytes, format, chunk: Int.random(in: 1...50, using: &random))
            #expect(whole == ragged, "seed \(seed)")
            for line in bytes.split(separator: UInt8(ascii: "\n")) {
                let ours = try read(Array(line), format).rows.first
                let theirs = try? decoder.decode(Deep.self, from: Data(line))
                // What both take they take alike. (Skipped values are not looked into, so more may pass here.)
                if let ours, let theirs { #expect(ours == theirs, "seed \(seed)") }
                // Nothing that is JSON is refused. (Foundation lets a comma before a closing bracket pass.)
                let text = String(decoding: line, as: UTF8.self)
                if ours == nil, theirs != nil, !text.contains(",]"), !text.contains(",}") {
                    Issue.record("seed \(seed): refused \(text)")
                }
            }
        }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func csvIsReadAlikeInAllChunks(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let pieces = ["\"", "\"\"", ",", "\n", "\r\n", "\r", "x", "\u{0}", "é", "\n\n"]
        for multiline in [true, false] {
            let format = try InputFormat<Inner>.csv(header: false, multiline: multiline)
            for _ in 0..<60 {
                let rows = (0..<4).map {
                    Inner(x: Int32($0), label: ["a\"b", "c,d", nil].randomElement(using: &random) ?? nil)
                }
                let bytes = damaged(
                    try text(rows, .csv(header: false)), times: Int.random(in: 0...4, using: &random), pieces: pieces,
                    &random)
                let whole = try answer(bytes, format)
                #expect(try answer(bytes, format, chunk: 1) == whole, "seed \(seed)")
                #expect(try answer(bytes, format, chunk: 7) == whole, "seed \(seed)")
            }
        }
    }
}
