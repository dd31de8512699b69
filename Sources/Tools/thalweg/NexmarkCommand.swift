// SPDX-License-Identifier: Apache-2.0
//  `thalweg nexmark`: the workload every engine is measured by.

import ArgumentParser

struct NexmarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nexmark", abstract: "Generate the Nexmark workload and run its queries.",
        subcommands: [NexmarkGenerateCommand.self, NexmarkRunCommand.self])
}
