// SPDX-License-Identifier: Apache-2.0
//  What a user reads who names a wrong path.

import Foundation
import Testing
import Thalweg

@Suite struct FilePathTests {
    private func failure(input: String? = nil, output: String? = nil) async -> ThalwegError? {
        let env = StreamEnvironment()
        let lines = input.map { env.read(.files($0, format: .lines)) } ?? env.read(.elements(["a"]))
        if let output { lines.write(to: .files(output, format: .lines)) } else { lines.write(to: .blackHole()) }
        return await #expect(throws: ThalwegError.self) { try await env.execute() }
    }

    private func withFolder(_ body: (URL) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "thalweg-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder)
    }

    @Test func inputs() async throws {
        try await withFolder { folder in
            let missing = folder.appending(path: "missing.txt").path
            let text = await failure(input: missing)?.description
            #expect(text == "no such file or directory: \(missing)\n  hint: check the path")
            let pattern = folder.appending(path: "x").path + "*"
            #expect(await failure(input: pattern)?.primary == "no file matches a pattern")
            #expect(await failure(input: "")?.primary == "a path is empty")
        }
    }

    @Test func outputs() async throws {
        try await withFolder { folder in
            let error = await failure(output: folder.path)
            #expect(error?.primary == "an output is a directory")
            #expect(error?.hint?.contains("end the path in /") == true)
            #expect(await failure(output: "")?.primary == "an output has no path")
            let file = folder.appending(path: "file")
            try Data().write(to: file)
            #expect(await failure(output: file.path + "/below/out.txt")?.detail?.hasPrefix(file.path) == true)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["file"])
        }
    }

    /// The writer of one output has been made when another turns out to be wrong.
    @Test func leavesNothingOfOtherOutputs() async throws {
        try await withFolder { folder in
            let env = StreamEnvironment()
            let words = env.read(.elements(["one"]))
            words.write(to: .files(folder.path, format: .lines))
            words.write(to: .files(folder.appending(path: "good").path, format: .lines))
            await #expect(throws: ThalwegError.self) { try await env.execute() }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(left == [])
        }
    }

    /// Two sinks on one path would write over each other's unfinished file: the job is refused before anything runs.
    @Test func twoSinksOnOnePathAreRefused() throws {
        let env = StreamEnvironment()
        let numbers = env.read(GeneratedSource(0..<3) { $0 })
        numbers.write(to: FileSink("same.csv", format: try .json()))
        numbers.map { $0 + 1 }.write(to: FileSink("same.csv", format: try .json()))
        let error = #expect(throws: ThalwegError.self) { try env.makeExecution() }
        #expect(error?.kind == .job && error.map { "\($0)".contains("same.csv") } == true)
    }

    @Test func makesMissingDirectories() async throws {
        try await withFolder { folder in
            let path = folder.appending(path: "a/b/c.txt").path
            let env = StreamEnvironment()
            env.read(.elements(["one"])).write(to: .files(path, format: .lines))
            try await env.execute()
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "one\n")
        }
    }

    /// A file that cannot be published leaves nothing half written behind, nor do those after it.
    @Test func discardsWhatCannotBePublished() async throws {
        try await withFolder { folder in
            let (first, second) = (folder.appending(path: "first").path, folder.appending(path: "second").path)
            let env = StreamEnvironment()
            let words = env.read(.elements(["one"])).map { word in
                // The place is taken after the writers have been made.
                try FileManager.default.createDirectory(atPath: first, withIntermediateDirectories: false)
                return word
            }
            words.write(to: .files(first, format: .lines))
            words.write(to: .files(second, format: .lines))
            await #expect(throws: ThalwegError.self) { try await env.execute() }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(!left.contains { $0.hasSuffix(".inprogress") }, "\(left)")
        }
    }
}
