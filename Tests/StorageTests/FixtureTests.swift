// SPDX-License-Identifier: Apache-2.0
//  Files written by earlier releases stay readable, as long as their version is one that is read.

import Foundation
import Testing
import ThalwegBase
import ThalwegStorage

/// `Fixtures/v2-*.segment` were written by the release that brought version 2; `v2.txt` says what is in them, a line
/// for each entry: state, kind, row and rest of the key, value. They are never written anew: another version of the
/// format gets files of its own.
@Suite struct FixtureTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

    /// What the fixtures hold.
    static var states: [[KindEntry]] {
        var mapped: [KindEntry] = []
        for row in 0..<40 {
            let prefix = keyed(row / 8, row * row)
            if row % 5 == 0 { mapped.append(KindEntry(kind: .rowTombstone, key: prefix, rowBytes: prefix.count)) }
            for userKey in 0..<(row % 4) {
                let isGone = (row + userKey) % 7 == 3
                mapped.append(
                    KindEntry(
                        kind: isGone ? .tombstone : .put, key: prefix + [UInt8(userKey * 3)],
                        value: isGone ? [] : [UInt8](repeating: UInt8(row), count: userKey * 20),
                        rowBytes: prefix.count))
            }
        }
        let values = (0..<60).map { index in
            let key = keyed(index / 16, index * 1000)
            return KindEntry(key: key, value: [UInt8(index), 0xFF], rowBytes: key.count)
        }
        return [values, [], mapped]
    }

    private static func text(_ states: [[KindEntry]]) -> String {
        func hex(_ bytes: some Sequence<UInt8>) -> String { bytes.map { String(format: "%02x", $0) }.joined() }
        return states.enumerated().flatMap { state, entries in
            entries.map {
                "\(state) \($0.kind) \(hex($0.key.prefix($0.rowBytes)))|\(hex($0.key.dropFirst($0.rowBytes))) "
                    + "\(hex($0.value))\n"
            }
        }.joined()
    }

    private static func options(_ name: String) -> SegmentOptions {
        var options = name == "v2-plain" ? SegmentOptions.run : SegmentOptions()
        options.blockBytes = 300
        return options
    }

    @Test(arguments: ["v2-plain", "v2-zstd"]) func version2StaysReadable(name: String) throws {
        let path = Self.folder.appending(path: "\(name).segment").path
        let source = try FileByteSource(path: path)
        let reader = try SegmentReader(source, byteCount: Int64(try source.byteCount() ?? 0))
        try reader.verify()
        let found = try reader.footer.states.indices.map {
            try reader.cursor(state: $0, isLayer: true).allKinds()
        }
        let expected = try String(contentsOf: Self.folder.appending(path: "v2.txt"), encoding: .utf8)
        #expect(Self.text(found) == expected)
        #expect(reader.footer.states.map(\.name) == ["s0", "s1", "s2"])
    }

    /// What is written today is what was written then; compressed blocks depend on the library, plain ones do not.
    @Test func version2IsWrittenAsItWas() throws {
        #expect(
            Self.text(Self.states) == (try String(contentsOf: Self.folder.appending(path: "v2.txt"), encoding: .utf8)))
        let bytes = try segment(kinds: Self.states, options: Self.options("v2-plain"))
        let stored = try Data(contentsOf: Self.folder.appending(path: "v2-plain.segment"))
        #expect(bytes == [UInt8](stored))
    }
}
