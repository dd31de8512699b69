// SPDX-License-Identifier: Apache-2.0
//  Tries the job under faults: `under-faults simulate --seed 1 --count 1000`.

import Thalweg
import ThalwegSimulation

enum SalesScenarios: ScenarioProvider {
    static let right = Scenario("sales", records: 300) { env, world in
        let orders = env.read(SimulatedLog(world) { Order(number: $0) }, name: "orders")
        try SalesJob.totals(orders, by: { RunningTotal() })
            .write(to: SimulatedTopic("totals", in: world), name: "lines")
    }

    static let forgetful = Scenario("forgetful", records: 300) { env, world in
        let orders = env.read(SimulatedLog(world) { Order(number: $0) }, name: "orders")
        try SalesJob.totals(orders, by: { ForgetfulTotal() })
            .write(to: SimulatedTopic("totals", in: world), name: "lines")
    }

    static let toFiles = Scenario("files", records: 300) { env, world in
        let orders = env.read(SimulatedLog(world) { Order(number: $0) }, name: "orders")
        try SalesJob.totals(orders, by: { RunningTotal() })
            .write(
                to: FileSink(SimulatedWorld.outputDirectory + "/", format: .lines, fileSystem: world.disk),
                name: "lines")
    }

    static var scenarios: [Scenario] { [right, forgetful, toFiles] }
}

@main struct UnderFaults: AsyncParsableCommand {
    static let configuration = CommandConfiguration(subcommands: [SimulationCommand<SalesScenarios>.self])
}
