// SPDX-License-Identifier: Apache-2.0
//  The program `thalweg`.

import ArgumentParser
import CThalweg
import Thalweg
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
        guard thalweg_output_failed() == 0 else {
            exit(
                withError: ThalwegError(
                    .retry, "what was printed could not be written in full",
                    hint: "check the disk that standard output goes to"))
        }
    }
}
