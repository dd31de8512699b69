// SPDX-License-Identifier: Apache-2.0
//  The built-in job under faults: a fixed number of seeds, and the simulator's own determinism.

import Foundation
import Testing
import Thalweg
import ThalwegSimulation

@Suite struct SeedTests {
    /// More by the environment: THALWEG_SEEDS=100000.
    static let count = UInt64(ProcessInfo.processInfo.environment["THALWEG_SEEDS"] ?? "") ?? 100

    @Test func outputIsExactUnderFaults() async throws {
        let simulation = Simulation(WindowedScenario.make())
        var struck: Set<Fault.Kind> = []
        for seed in 1...Self.count {
            let result = try await simulation.run(seed: seed)
            #expect(result.isPassed, "\(result)")
            struck.formUnion(result.struck.map(\.kind))
        }
        #expect(struck == Set(Fault.Kind.allCases))
    }

    @Test func sameSeedSameTrace() async throws {
        let seeds = Array(1...12 as ClosedRange<UInt64>)
        let alone = Simulation(WindowedScenario.make())
        var first: [[String]] = []
        for seed in seeds { first.append(try await alone.run(seed: seed, tracing: true).trace) }
        #expect(first.allSatisfy { $0.count > 100 } && Set(first).count == first.count)
        let crowd = Simulation(WindowedScenario.make())
        let again = try await withThrowingTaskGroup(of: (Int, [String]).self) { group in
            for (index, seed) in (seeds + seeds).enumerated() {
                group.addTask { (index, try await crowd.run(seed: seed, tracing: true).trace) }
            }
            return try await group.reduce(into: [Int: [String]]()) { $0[$1.0] = $1.1 }
        }
        for index in seeds.indices {
            #expect(again[index] == first[index])
            #expect(again[index + seeds.count] == first[index])
        }
    }
}
