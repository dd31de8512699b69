// SPDX-License-Identifier: Apache-2.0
//  The program `thalweg`.

import ArgumentParser

@main
struct ThalwegCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "thalweg", abstract: "Stateful stream processing.", subcommands: [NexmarkCommand.self])
}
