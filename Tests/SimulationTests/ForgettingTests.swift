// SPDX-License-Identifier: Apache-2.0
//  Many seeds need no more memory than one.

import Synchronization
import Testing
import Thalweg
import ThalwegSimulation

@Suite struct ForgettingTests {
    private final class Token: Sendable {
        func passed(_ reading: Reading) -> Reading { reading }
    }

    private struct Weak: Sendable {
        // Unchecked by the compiler, but only looked at when nothing runs any more.
        nonisolated(unsafe) weak var world: SimulatedWorld?
        nonisolated(unsafe) weak var token: Token?
    }

    /// Neither the world of a seed nor the job in any of its lives is left behind.
    @Test func aSeedThatIsOverIsForgotten() async throws {
        let all = Mutex<[Weak]>([])
        let scenario = Scenario("forgotten") { env, world in
            let token = Token()
            all.withLock { $0.append(Weak(world: world, token: token)) }
            let readings = env.read(SimulatedLog(world) { Reading(number: $0) }, name: "readings")
            try WindowedScenario.totals(readings.map { token.passed($0) })
                .write(to: SimulatedTopic("totals", in: world), name: "totals")
        }
        let simulation = Simulation(scenario)
        for seed in 1...40 as ClosedRange<UInt64> { _ = try await simulation.run(seed: seed) }
        let left = all.withLock { all in
            (all.count, all.count { $0.world != nil }, all.count { $0.token != nil })
        }
        #expect(left.0 > 60)
        #expect(left.1 == 0, "worlds")
        #expect(left.2 == 0, "jobs")
    }
}
