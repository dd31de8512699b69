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

    /// Keyed state that rests in files, with two rows in memory or so.
    @Test func outputIsExactWhenEverythingSpills() async throws {
        let simulation = Simulation(WindowedScenario.spilling())
        for seed in 1...Self.count {
            let result = try await simulation.run(seed: seed)
            #expect(result.isPassed, "\(result)")
        }
    }

    /// The same with rows that rest in a store of bytes.
    @Test func outputIsExactWhenEverythingRestsInAStore() async throws {
        let simulation = Simulation(WindowedScenario.shelving())
        for seed in 1...Self.count {
            let result = try await simulation.run(seed: seed)
            #expect(result.isPassed, "\(result)")
        }
        let first = try await simulation.run(seed: 3, tracing: true).trace
        #expect(try await simulation.run(seed: 3, tracing: true).trace == first && first.count > 100)
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

    /// Also in another process, with other addresses and other seeds of hash tables.
    @Test func sameSeedSameTraceInAnotherProcess() async throws {
        let child = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            for line in try await Simulation(WindowedScenario.make()).run(seed: 7, tracing: true).trace { print(line) }
        }
        let told = String(decoding: child?.standardOutputContent ?? [], as: UTF8.self)
        let trace = try await Simulation(WindowedScenario.make()).run(seed: 7, tracing: true).trace
        #expect(trace.count > 100 && told.contains(trace.joined(separator: "\n") + "\n"))
    }

    /// Runs that once failed, each for a reason of its own.
    @Test(arguments: [
        // The output of tasks that had ended was committed with a checkpoint that did not have it.
        (4, 240, "crash@record:10"),
        // A directory that was made for the output was not made durable.
        (9, 240, "tornWrite-102@record:118"),
        // A barrier that overtook a full channel left it full for ever.
        (245, 240, "crash@record:151,tornWrite-661@disk:157,crash@record:170,crash@disk:36"),
        // The last snapshot of a task lay in the directory of another checkpoint, which was not made durable.
        (260, 240, "powerLoss@record:188,pause-80@disk:85,failure@disk:86,tornWrite-379@disk:220"),
        // A task failed while the metadata was being written: output of the checkpoint was aborted.
        (131, 73, "failure@disk:105"), (772, 53, "failure@turn:211"),
        // An obsolete barrier overtook: a snapshot was taken after that of a newer checkpoint.
        (419, 235, "powerLoss@record:215,tornWrite-546@record:256"),
        // A barrier overtook what was in flight in the snapshot that the task had started from.
        (385, 207, "corruption-680@record:240,fullDisk-2@turn:428"),
        (2739, 158, "powerLoss@record:217,fullDisk-6@turn:434,slowDisk-27@disk:41"),
        // The last snapshots of an attempt that was over were left beside the files of a complete checkpoint.
        (11035, 228, "fullDisk-6@turn:375"), (2150, 240, "tornWrite-408@record:218,fullDisk-1@turn:128"),
        // A directory was there but not durable, as the process that made it had failed.
        (46352, 77, "powerLoss@record:77,fullDisk-3@disk:2"),
        // The process died while it tidied up after its end.
        (3195, 240, "powerLoss@record:81,corruption-461@disk:109"),
        // The last snapshot of a task lay over one that was given up, and failed with it, at every restart.
        (1029, 240, "powerLoss@record:126,rescale-4@turn:59"),
        (4612, 240, "crash@record:62,powerLoss@record:255,rescale-4@record:10,tornWrite-345@record:72"),
    ])
    func whatOnceFailed(_ seed: UInt64, _ records: Int, _ faults: String) async throws {
        let plan = FaultPlan(
            faults.split(separator: ",").compactMap { Fault(String($0)) }, records: records)
        #expect(plan.description == faults)
        let result = try await Simulation(WindowedScenario.make()).run(seed: seed, plan: plan)
        #expect(result.isPassed, "\(result)")
    }
}
