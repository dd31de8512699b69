// SPDX-License-Identifier: Apache-2.0
//  Simulation from the command line: many seeds, or one again.

import ArgumentParser
import Thalweg

/// Names the scenarios that a ``SimulationCommand`` runs.
public protocol ScenarioProvider: SendableMetatype {
    static var scenarios: [Scenario] { get }
}

/// The built-in scenarios.
public enum BuiltInScenarios: ScenarioProvider {
    public static var scenarios: [Scenario] {
        [WindowedScenario.make(), WindowedScenario.spilling(), WindowedScenario.shelving()]
    }
}

/// `simulate --seed N --count M`: runs scenarios under faults; a failing seed is shrunk and printed with the line that
/// repeats it.
///
///     @main struct Tests: AsyncParsableCommand {
///         static let configuration = CommandConfiguration(subcommands: [SimulationCommand<MyScenarios>.self])
///     }
public struct SimulationCommand<Provider: ScenarioProvider>: AsyncParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "simulate", abstract: "Run jobs under simulated faults, one run for each seed.")
    }

    @Option(help: "The first seed.") var seed: UInt64 = 1
    @Option(parsing: .unconditional, help: "The number of seeds.") var count = 1
    @Option(help: "The scenario; the first one unless given.") var scenario: String?
    @Option(parsing: .unconditional, help: "The number of records instead of the scenario's own.") var records: Int?
    @Option(help: "The faults instead of those drawn from the seed, such as crash@record:40,fullDisk-8@disk:9.")
    var faults: String?
    @Flag(help: "Print what happens, line by line.") var trace = false
    @Flag(help: "Do not look for a smaller plan when a seed fails.") var noShrink = false

    public init() {}

    public func validate() throws {
        guard count >= 1 else { throw ValidationError("--count must be at least 1, not \(count)") }
        guard UInt64(count) <= UInt64.max - seed else { throw ValidationError("--seed and --count are too large") }
        if let records, records < 1 { throw ValidationError("--records must be at least 1, not \(records)") }
        _ = try plan(for: try chosen(), seed: seed)
    }

    private func chosen() throws -> Scenario {
        if let found = Provider.scenarios.first(where: { scenario == nil || $0.name == scenario }) { return found }
        throw ValidationError("no such scenario; known: " + Provider.scenarios.map(\.name).joined(separator: ", "))
    }

    public mutating func run() async throws {
        let chosen = try chosen()
        let simulation = Simulation(chosen)
        let start = MonotonicTime.now
        var (failed, lives, turns) = (0, 0, 0)
        for seed in seed..<seed + UInt64(count) {
            let result = try await simulation.run(
                seed: seed, plan: try plan(for: chosen, seed: seed), tracing: trace)
            if trace { for line in result.trace { print(line) } }
            (lives, turns) = (lives + result.lives, turns + result.turns)
            guard !result.isPassed else { continue }
            failed += 1
            print(result)
            if !noShrink {
                print("shrunk:")
                print(try await simulation.shrink(result))
            }
        }
        let seconds = max(start.secondsSince, 0.000_001)
        // With a trace all that is printed is a function of the seed: two runs can be compared.
        print(
            "\(count) seeds, \(failed) failed, \(lives) lives, \(turns) turns"
                + (trace ? "" : ", \(Int(Double(count) / seconds * 60)) seeds per minute"))
        if failed > 0 { throw ExitCode.failure }
    }

    private func plan(for scenario: Scenario, seed: UInt64) throws -> FaultPlan? {
        guard let faults else {
            return records.map { FaultPlan.drawn(seed, records: $0) }
        }
        let list = try faults.split(separator: ",").map { text -> Fault in
            guard let fault = Fault(String(text)) else {
                throw ValidationError("not a fault: \(text); write kind-amount@moment:number")
            }
            return fault
        }
        return FaultPlan(list, records: records ?? scenario.records)
    }
}
