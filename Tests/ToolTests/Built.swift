// SPDX-License-Identifier: Apache-2.0
//  The programs that lie beside the tests.

import Foundation

/// A program of the same build.
enum Built: String {
    case tool = "thalweg"
    case job = "tool-job"

    var path: String {
        URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent(rawValue).path
    }

    /// Runs it to its end; gives what it has printed, errors too.
    @discardableResult
    func run(_ arguments: [String]) throws -> (code: Int32, output: String) {
        let (process, output) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        (process.standardOutput, process.standardError) = (output, output)
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}
