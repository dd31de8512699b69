// SPDX-License-Identifier: Apache-2.0
//  The program `thalweg`.

import ArgumentParser
import ThalwegAllocator
import ThalwegSimulation

@main
struct ThalwegCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "thalweg", abstract: "Stateful stream processing.",
        subcommands: [
            JobRunCommand.self, JobPlanCommand.self, NexmarkCommand.self, StateCommand.self, ConfigCommand.self,
            SimulationCommand<BuiltInScenarios>.self,
        ])

    static func main() async {
        Allocator.use()
        await main(nil)
    }
}
