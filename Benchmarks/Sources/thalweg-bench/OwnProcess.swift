// SPDX-License-Identifier: Apache-2.0
//  Runs of this program in processes of their own, so that none finds memory that another has left.

import ArgumentParser
import Foundation

/// A run of this program with other arguments.
enum OwnProcess {
    /// What the run prints, as JSON.
    ///
    /// - Throws: when it fails, or prints something else.
    static func figures<Figures: Decodable>(of arguments: [String]) throws -> Figures {
        let (process, output) = (Process(), Pipe())
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw ValidationError("\(arguments): it failed") }
        return try JSONDecoder().decode(Figures.self, from: text)
    }
}
