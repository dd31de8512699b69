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

        static func run(_ arguments: [String]) throws -> (code: Int32, output: String) {
            try Built.tool.run(arguments)
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

    /// What is read out comes back as it was, and a transformed state has another type.
    @Test func outOfFilesAndTransformed() throws {
        let stage = try Stage()
        let read = try Stage.run(["state", "read", stage.snapshots] + Self.offers)
        let lines = stage.folder + "/offers.jsonl"
        try read.output.write(toFile: lines, atomically: true, encoding: .utf8)
        let made = try Stage.run(
            [
                "state", "bootstrap", stage.copy, "--like", stage.snapshots, "--from", lines, "--max-parallelism",
                "128",
            ] + Self.offers)
        #expect(made.code == 0, "\(made.output)")
        #expect(try Stage.run(["state", "read", stage.copy] + Self.offers).output == read.output)
        let texts = stage.folder + "/texts"
        let changed = try Stage.run(
            [
                "state", "transform", stage.copy, texts, "--set", "price = string(price ?? 0)", "--drop", "opens",
                "--delete-where", "category == 11",
            ] + Self.offers)
        #expect(changed.code == 0, "\(changed.output)")
        #expect(changed.output.contains("to {category: int64, expires: time, price: string}"), "\(changed.output)")
        let left = try Stage.run(["state", "read", texts, "--where", "category == 11"] + Self.offers)
        #expect(left.code == 0 && left.output.isEmpty)
        let wrong = try Stage.run(
            ["state", "transform", stage.copy, texts + "-2", "--set", "price = prize"] + Self.offers)
        #expect(wrong.code == 1 && wrong.output.contains("at character 9 of"), "\(wrong.output)")
        #expect(!FileManager.default.fileExists(atPath: texts + "-2"))
    }

    @Test func columnsBecomeState() throws {
        let stage = try Stage()
        let file = stage.folder + "/accounts.csv"
        try "who,branch,cents\nann,1,700\nbob,2,\nann,2,5\n".write(toFile: file, atomically: true, encoding: .utf8)
        let state = ["--operator", "accounts", "--state", "balance"]
        func bootstrap(_ out: String, _ arguments: String...) throws -> (code: Int32, output: String) {
            try Stage.run(
                ["state", "bootstrap", out, "--from", file, "--max-parallelism", "8", "--value", "cents:int64?"]
                    + state + arguments)
        }
        let made = try bootstrap(
            stage.copy, "--kind", "value", "--key", "who:string", "--key", "branch:int32")
        #expect(made.code == 0, "\(made.output)")
        let read = try Stage.run(["state", "read", stage.copy, "--key", #"{"who":"bob","branch":2}"#] + state)
        #expect(read.output == #"{"key":{"who":"bob","branch":2},"value":null}"# + "\n")
        #expect(try stage.state("verify", stage.copy).code == 0)
        let twice = try bootstrap(stage.folder + "/twice", "--kind", "value", "--key", "who:string")
        #expect(twice.code == 1 && twice.output.contains(#"{"key":"ann"}"#), "\(twice.output)")
        let list = try bootstrap(stage.folder + "/list", "--kind", "list", "--key", "who:string")
        #expect(list.code == 0, "\(list.output)")
        #expect(try bootstrap(stage.folder + "/map", "--kind", "map", "--key", "who:string").code == 64)
        let odd = try bootstrap(stage.folder + "/odd", "--kind", "value", "--key", "who:int64")
        #expect(odd.code == 1 && odd.output.contains("line 2"), "\(odd.output)")
    }

    @Test func onlyTheOwnerRemoves() throws {
        let stage = try Stage()
        let path =
            stage.snapshots + "/"
            + (try #require(
                try FileManager.default.contentsOfDirectory(atPath: stage.snapshots).first { $0.hasPrefix("chk-") }))
        #expect(try stage.state("own", path, "--by", "job").code == 0)
        let listed = try stage.state("ls", stage.snapshots, "--json")
        #expect(listed.output.contains(#""owner":"job""#), "\(listed.output)")
        // What latest stands for stays.
        let pruned = try stage.state("prune", stage.snapshots, "--keep", "0", "--json")
        #expect(pruned.code == 0 && pruned.output.hasPrefix(#"{"removed":[]"#), "\(pruned.output)")
        #expect(try stage.state("verify", path).code == 0)
        #expect(try stage.state("prune", stage.snapshots).code == 64)
    }
}
