// SPDX-License-Identifier: Apache-2.0
//  Planted bugs have to be found, and what is not mutated has to pass.

import Testing
import Thalweg
import ThalwegSimulation

@Suite struct MutantTests {
    /// Every bug is found within so many seeds: some show only when a checkpoint fails and the next one publishes for both.
    private static let seedsMax: UInt64 = 400

    private func expectFound(_ scenario: Scenario) async throws {
        var scenario = scenario
        // What restarts for ever is found as well.
        scenario.turnsMax = 10_000
        let simulation = Simulation(scenario)
        for seed in 1...Self.seedsMax where !(try await simulation.run(seed: seed).isPassed) { return }
        Issue.record("\(scenario.name) is not found within \(Self.seedsMax) seeds")
    }

    @Test(arguments: SinkBug.allCases) func inSinks(_ bug: SinkBug) async throws {
        let outside = Outside()
        var scenario = Scenario("sink \(bug)") { env, world in
            let source = SimulatedLog(world) { Reading(number: $0) }
            let sink = MutantSink(
                topic: SimulatedTopic("totals", in: world), bug: bug, outside: outside)
            try WindowedScenario.totals(env.read(source, name: "readings")).write(to: sink, name: "totals")
        }
        scenario.output = { $0.output + outside.lines($0) }
        try await expectFound(scenario)
    }

    @Test(arguments: DiskBug.allCases) func inDisks(_ bug: DiskBug) async throws {
        var scenario = WindowedScenario.make()
        scenario.disk = { MutantDisk(base: $0.disk, bug: bug) }
        try await expectFound(scenario)
    }

    @Test(arguments: SourceBug.allCases) func inSources(_ bug: SourceBug) async throws {
        try await expectFound(
            Scenario("source \(bug)") { env, world in
                let source = MutantSource(log: SimulatedLog(world, partitions: 16) { Reading(number: $0) }, bug: bug)
                try WindowedScenario.totals(env.read(source, name: "readings"))
                    .write(to: SimulatedTopic("totals", in: world), name: "totals")
            })
    }

    @Test(arguments: OperatorBug.allCases) func inOperators(_ bug: OperatorBug) async throws {
        try await expectFound(
            Scenario("operator \(bug)") { env, world in
                let source = SimulatedLog(world) { Reading(number: $0) }
                let windows = try WindowedScenario.windows(env.read(source, name: "readings"))
                var lines = try WindowedScenario.grouped(windows).process(MutantTotals(bug: bug), name: "groups")
                if bug == .bufferOutsideState {
                    lines = lines.step("holding", name: "holding") { context in
                        OperatorInstance(HoldingOperator(holding: 5, in: context), in: context)
                    }
                }
                lines.write(to: SimulatedTopic("totals", in: world), name: "totals")
            })
    }

    @Test func aFailureShrinks() async throws {
        let simulation = Simulation(
            Scenario("shrinks") { env, world in
                let source = MutantSource(log: SimulatedLog(world) { Reading(number: $0) }, bug: .positionTooFar)
                try WindowedScenario.totals(env.read(source, name: "readings"))
                    .write(to: SimulatedTopic("totals", in: world), name: "totals")
            })
        var seed: UInt64 = 1
        var found = try await simulation.run(seed: seed)
        while found.isPassed && seed < Self.seedsMax {
            seed += 1
            found = try await simulation.run(seed: seed)
        }
        let small = try await simulation.shrink(found, runsMax: 60)
        #expect(!small.isPassed && small.plan.faults.count == 1 && small.plan.records <= found.plan.records)
        #expect(small.replay.hasSuffix(" --trace --no-shrink") && found.replay.hasSuffix(" --trace"))
        // The line that is printed says all that is needed.
        let again = try await simulation.run(
            seed: small.seed,
            plan: FaultPlan(
                small.plan.description.split(separator: ",").compactMap { Fault(String($0)) },
                records: small.plan.records))
        #expect(again.failures == small.failures)
    }
}
