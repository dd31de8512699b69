// SPDX-License-Identifier: Apache-2.0
//  `docs/read_segment.py`, which knows nothing but the description of the format, reads what we read (FLIP-41).

import Foundation
import Testing
import ThalwegBase
import ThalwegStorage

@Suite struct IndependentReaderTests {
    private static let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "../../docs/read_segment.py").standardizedFileURL.path

    /// The entries that the script prints, a line each.
    private func printed(_ path: String) throws -> (text: String, status: Int32) {
        let (process, output) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", Self.script, path]
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (text, process.terminationStatus)
    }

    private func hex(_ bytes: [UInt8]) -> String { bytes.map { String(format: "%02x", $0) }.joined() }

    @Test(arguments: 0..<4) func aCheckpointIsTheSame(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let root = FileManager.default.temporaryDirectory.appending(path: "reader-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: root) }
        var options = seed % 2 == 0 ? SegmentOptions() : SegmentOptions.run
        options.blockBytes = 200
        let store = CheckpointStore(root: root, fileSystem: LocalFileSystem(), options: options)
        try store.prepare()
        var files: [SegmentFile] = []
        for layer in 0..<3 {
            let map = random.layer(80, isMap: true)
            let parts = [
                part(
                    descriptor("op", "plain"), layer == 0 ? random.entries(60, keyBytesMax: 9, valueBytesMax: 90) : []),
                part(descriptor("op", "rules", .broadcast), [([1], [UInt8(layer)]), ([2, UInt8(layer)], [])]),
                StatePart(descriptor("op", "m", .map)) { writer in for entry in map { try writer.add(entry) } },
            ]
            var file = try #require(
                try store.writeSegment(
                    checkpoint: 1, name: "op-\(layer)", operators: ["op"], subtask: 0, parts: parts,
                    isCancelled: { false }))
            file.sequence = Int64(layer + 1)
            if layer == 1 { file.keyGroups = 1..<4 }
            files.append(file)
        }
        try store.complete(metadata(1, files))
        let state = try #require(try store.load().restoredState(of: "op"))
        var expected: [String] = []
        for name in ["m", "plain", "rules"] {
            for entry in try state.all(name) {
                expected.append(
                    "{\"operator\": \"op\", \"state\": \"\(name)\", \"key\": \"\(hex(entry.key))\", "
                        + "\"value\": \"\(hex(entry.value))\"}")
            }
        }
        #expect(expected.count > 60)
        let (text, status) = try printed(root + "/chk-1")
        #expect(status == 0 && text.split(separator: "\n").map(String.init) == expected)
        // It does not believe everything either.
        let path = root + "/" + files[0].path
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[bytes.count / 2] ^= 4
        try bytes.write(to: URL(fileURLWithPath: path))
        let refusal = try printed(root + "/chk-1")
        #expect(refusal.status == 1 && refusal.text.contains("op-0.segment: "), "\(refusal.text)")
    }
}
