// SPDX-License-Identifier: Apache-2.0
//  `thalweg state`: what it prints of a real snapshot, and with which exit code it ends.

import Foundation
import Testing

@Suite struct StateTests {
    /// A folder with the snapshots of a query.
    private final class Stage {
        let folder = NSTemporaryDirectory() + "thalweg-\(UUID().uuidString)"
        var snapshots: String { folder + "/checkpoints" }
        var copy: String { folder + "/copy" }

        init() throws {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let (code, output) = try Stage.run([
                "nexmark", "run", "--query", "q4", "--events", "3000", "--checkpoint-dir", snapshots,
            ])
            #expect(code == 0, "\(output)")
        }

        deinit { try? FileManager.default.removeItem(atPath: folder) }

        /// Runs the tool that lies beside the tests.
        static func run(_ arguments: [String]) throws -> (code: Int32, output: String) {
            let tool = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
                .deletingLastPathComponent().appendingPathComponent("thalweg")
            let (process, output) = (Process(), Pipe())
            process.executableURL = tool
            process.arguments = arguments
            (process.standardOutput, process.standardError) = (output, output)
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return (process.terminationStatus, text)
        }

        func state(_ arguments: String...) throws -> (code: Int32, output: String) {
            try Self.run(["state"] + arguments)
        }
    }

    private static let offers = ["--operator", "WinningPrice", "--state", "offer"]

    @Test func snapshotsAreShown() throws {
        let stage = try Stage()
        let (code, list) = try stage.state("ls", stage.snapshots)
        #expect(code == 0 && list.contains("final") && list.contains("complete, latest"), "\(list)")
        let shown = try stage.state("show", stage.snapshots)
        #expect(shown.code == 0 && shown.output.contains(#"value "offer": "#), "\(shown.output)")
        let schema = try stage.state("schema", stage.snapshots)
        #expect(schema.output.contains("value: {category: int64, opens: time, expires: time, price: int64?}"))
        #expect(try stage.state("verify", stage.snapshots).code == 0)
        for command in ["ls", "show", "verify"] {
            let json = try stage.state(command, stage.snapshots, "--json")
            #expect(json.code == 0)
            for line in json.output.split(separator: "\n") {
                #expect(try JSONSerialization.jsonObject(with: Data(line.utf8)) is [String: Any])
            }
        }
    }

    @Test func aChangedCopyDiffers() throws {
        let stage = try Stage()
        let read = try Stage.run(["state", "read", stage.snapshots, "--limit", "1"] + Self.offers)
        #expect(read.code == 0)
        let entry = try #require(
            try JSONSerialization.jsonObject(with: Data(read.output.utf8)) as? [String: Any])
        let key = try #require(entry["key"] as? Int)
        let value = #"{"category":1,"opens":0,"expires":"2015-07-15T00:00:05","price":null}"#
        let arguments = ["--key", "\(key)"] + Self.offers
        let set = try Stage.run(["state", "set", stage.snapshots, stage.copy, "--value", value] + arguments)
        #expect(set.code == 0, "\(set.output)")
        let difference = try stage.state("diff", stage.snapshots, stage.copy)
        #expect(difference.code == 1)
        #expect(difference.output == "WinningPrice / offer: 0 added, 0 removed, 1 changed\n")
        #expect(try stage.state("diff", stage.copy, stage.copy).code == 0)
        let csv = try Stage.run(["state", "read", stage.copy, "--format", "csv"] + arguments)
        #expect(
            csv.output == """
                key,value.category,value.opens,value.expires,value.price
                \(key),1,1970-01-01T00:00:00.000,2015-07-15T00:00:05.000,

                """)
    }

    @Test func whatIsWrongIsSaid() throws {
        let stage = try Stage()
        #expect(try stage.state("show", stage.folder + "/nothing").code == 1)
        #expect(try stage.state("frobnicate").code == 64)
        #expect(try stage.state("read", stage.snapshots).code == 64)
        #expect(try stage.state("rename", stage.snapshots, stage.copy).code == 64)
        let odd = try Stage.run(
            ["state", "set", stage.snapshots, stage.copy, "--key", "1", "--value", #"{"category":"x"}"#] + Self.offers)
        #expect(odd.code == 1 && odd.output.contains(#"field category: "x" is no int64"#), "\(odd.output)")
        let keyless = try Stage.run(["state", "set", stage.snapshots, stage.copy, "--value", "1"] + Self.offers)
        #expect(keyless.code == 64)
        #expect(!FileManager.default.fileExists(atPath: stage.copy))
        let names = try FileManager.default.subpathsOfDirectory(atPath: stage.snapshots)
        let file = stage.snapshots + "/" + (try #require(names.first { $0.hasSuffix(".segment") }))
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        bytes[bytes.count / 3] ^= 1
        try bytes.write(to: URL(fileURLWithPath: file))
        let verified = try stage.state("verify", stage.snapshots)
        #expect(verified.code == 1 && verified.output.contains("is damaged: file"), "\(verified.output)")
    }
}
