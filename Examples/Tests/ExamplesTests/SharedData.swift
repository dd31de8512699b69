// SPDX-License-Identifier: Apache-2.0
//  Where the tests find their data, and how they run a job.

import Foundation
import Testing
import Thalweg

/// Real data with expected results. It is not part of this package; tests that want it run when its folder lies beside the
/// checkout, in `shared`.
enum Shared {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../../../shared").standardizedFileURL

    static func path(_ name: String) -> String { folder.appending(path: name).path }
    static func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

    /// The lines of a file, unpacked when it is gzipped.
    static func lines(_ name: String) async throws -> [String] { try await ExamplesTests.lines(path(name)) }
}

/// A file that is committed beside the tests.
func fixture(_ name: String) throws -> String {
    try #require(Bundle.module.url(forResource: "Fixtures/\(name)", withExtension: nil)).path
}

/// The lines of a file in order, unpacked when it is gzipped.
func lines(_ path: String) async throws -> [String] {
    let lines = Collected<String>()
    let env = StreamEnvironment()
    env.read(.files(path, format: .lines)).write(to: .collect(lines))
    try await env.execute()
    return lines.elements
}

/// A folder of its own for one test, removed afterwards.
func withFolder<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "thalweg-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder)
}

/// Parses a job's options and runs it.
@discardableResult
func run<Job: StreamJob>(_: Job.Type, _ arguments: [String], parallelism: Int = 1) async throws -> JobReport {
    var settings = ExecutionSettings()
    settings.parallelism = parallelism
    let env = StreamEnvironment(settings: settings)
    try Job.parse(arguments).build(env)
    return try await JobRunner(name: Job.jobName, environment: env, output: .quiet).run()
}
