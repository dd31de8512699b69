// SPDX-License-Identifier: Apache-2.0
//  The program `thalweg-bench`.

import ArgumentParser

@main
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "thalweg-bench", abstract: "Measures single operators.",
        subcommands: [MicroCommand.self, CheckCommand.self])
}
