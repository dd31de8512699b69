// SPDX-License-Identifier: Apache-2.0
//  A job of one's own under faults: the right one passes, the wrong one is found.

import Testing
import ThalwegSimulation

@testable import under_faults

@Suite struct UnderFaultsTests {
    @Test(arguments: [SalesScenarios.right, SalesScenarios.toFiles])
    func everyOrderCountsOnce(_ scenario: Scenario) async throws {
        let simulation = Simulation(scenario)
        for seed in 1...30 as ClosedRange<UInt64> {
            let result = try await simulation.run(seed: seed)
            #expect(result.isPassed, "\(result)")
        }
    }

    @Test func whatIsOutsideOfStateIsFound() async throws {
        let simulation = Simulation(SalesScenarios.forgetful)
        var seed: UInt64 = 1
        var found = try await simulation.run(seed: seed)
        while found.isPassed && seed < 20 {
            seed += 1
            found = try await simulation.run(seed: seed)
        }
        let small = try await simulation.shrink(found, runsMax: 60)
        #expect(!small.isPassed && small.plan.faults.count == 1)
        let again = try await simulation.run(seed: small.seed, plan: small.plan, tracing: true)
        #expect(again.failures == small.failures && again.trace.count > 10)
    }
}
