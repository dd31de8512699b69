// SPDX-License-Identifier: Apache-2.0
//  What must not compile: each file in Tests/NegativeCompile says in its first line how the compiler refuses it.

import Foundation
import Testing

@Suite struct NegativeCompileTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let files =
        ((try? FileManager.default.contentsOfDirectory(
            at: root.appendingPathComponent("Tests/NegativeCompile"), includingPropertiesForKeys: nil)) ?? [])
        .map(\.lastPathComponent).filter { $0.hasSuffix(".swift") }.sorted()

    /// Where the modules of this very build lie: beside the test bundle.
    private var build: URL? {
        CommandLine.arguments.lazy.filter { $0.hasSuffix(".xctest") }
            .map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
            .first { FileManager.default.fileExists(atPath: $0.appendingPathComponent("Modules").path) }
    }

    private func check(_ file: String, in build: URL) throws -> String {
        let root = Self.root
        let compiler = Process()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        compiler.arguments = [
            "swiftc", "-typecheck", "-swift-version", "6", "-I", build.appendingPathComponent("Modules").path, "-I",
            root.appendingPathComponent("Sources/C/CZlib").path, "-I",
            root.appendingPathComponent("Sources/C/CZstd").path,
        ]
        for module in ["CThalweg", "CSimdjson", "CXXHash"] {
            let map = build.appendingPathComponent("\(module).build/module.modulemap").path
            compiler.arguments? += ["-Xcc", "-fmodule-map-file=\(map)"]
        }
        compiler.arguments?.append(root.appendingPathComponent("Tests/NegativeCompile/\(file)").path)
        let pipe = Pipe()
        (compiler.standardError, compiler.standardOutput) = (pipe, pipe)
        try compiler.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        compiler.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }

    @Test func thereAreFiles() { #expect(Self.files.count >= 6 && Self.files.contains("accepted.swift")) }

    @Test(arguments: files)
    func isRefusedAsItSays(_ file: String) throws {
        guard let build else { return }  // built in another way: nothing to compile against
        let source = try String(
            contentsOf: Self.root.appendingPathComponent("Tests/NegativeCompile/\(file)"), encoding: .utf8)
        let first = source.prefix { $0 != "\n" }
        let output = try check(file, in: build)
        if file == "accepted.swift" {
            #expect(!output.contains("error:"), "\(output)")
        } else {
            let reason = first.dropFirst("// Refused: ".count)
            #expect(first.hasPrefix("// Refused: ") && !reason.isEmpty)
            #expect(output.contains("error:") && output.contains(reason), "\(output)")
        }
    }
}
