// SPDX-License-Identifier: Apache-2.0
//  Runs a scenario under a seed: lives and deaths of a process, then the verdict.

import Synchronization
import Thalweg
import ThalwegControl
import ThalwegTesting

/// What came of one run.
public struct SimulationResult: Sendable {
    public let scenario: String
    public let seed: UInt64
    public let plan: FaultPlan
    /// Why the run failed; empty when all is well.
    public let failures: [String]
    /// What happened, line by line: the same for the same seed and plan. Empty unless it was asked for.
    public let trace: [String]
    /// The faults that struck; the others came after the end.
    public let struck: [Fault]
    /// How often the process was started.
    public let lives: Int
    /// The turns of the scheduler.
    public let turns: Int
    /// Changes of the disk.
    public let diskOperations: Int
    /// Whether the plan is the smallest that was found around one that fails.
    public internal(set) var isShrunk = false

    public var isPassed: Bool { failures.isEmpty }

    /// The options that repeat the run.
    public var replay: String {
        "simulate --scenario \"\(scenario)\" --seed \(seed) --records \(plan.records) --faults \"\(plan)\" --trace"
            + (isShrunk ? " --no-shrink" : "")
    }
}

extension SimulationResult: CustomStringConvertible {
    public var description: String {
        let head = "\(scenario), seed \(seed): \(isPassed ? "passed" : "FAILED") after \(lives) lives, \(turns) turns"
        if isPassed { return head }
        return ([head] + failures.map { "  \($0)" } + ["  replay: \(replay)"]).joined(separator: "\n")
    }
}

/// Runs a scenario, as often as wanted. What its output has to be is found by a run without faults, once per size.
public final class Simulation: Sendable {
    public let scenario: Scenario
    private let references = Guarded<[Int: [String]]>([:])
    /// The lines of output that a failure names.
    private static let namedLinesMax = 5

    public init(_ scenario: Scenario) { self.scenario = scenario }

    /// Runs the scenario under a seed, with faults drawn from it unless a plan says which.
    ///
    /// - Throws: what the scenario's own code throws without any fault.
    public func run(
        seed: UInt64, plan: FaultPlan? = nil, tracing isTracing: Bool = false
    ) async throws -> SimulationResult {
        let plan = plan ?? FaultPlan.drawn(seed, records: scenario.records)
        let expected = try await reference(records: plan.records)
        var random = SeededRandom(seed: seed)
        var settings = Self.settings(&random)
        scenario.adjust(&settings)
        let world = SimulatedWorld(seed: seed, plan: plan, parallelism: settings.parallelism, isTracing: isTracing)
        settings.checkpoints?.fileSystem = scenario.disk(world)
        var failures: [String] = []
        var lives = 0
        while lives < scenario.livesMax {
            lives += 1
            let end = try await live(world, settings, number: lives, &random)
            if case .reborn = end { continue }
            if case .failed(let reason) = end { failures.append(reason) }
            break
        }
        if lives == scenario.livesMax { failures.append("no end after \(lives) lives") }
        failures += world.state.withLock { $0.violations }
        if failures.isEmpty {
            failures += Self.compare(scenario.output(world), with: expected)
            failures += scenario.checkers.flatMap { $0(world) }
        }
        for failure in failures { world.trace("FAILURE: \(failure)") }
        return world.state.withLock { state in
            SimulationResult(
                scenario: scenario.name, seed: seed, plan: plan, failures: failures, trace: state.trace,
                struck: state.fired, lives: lives, turns: state.turns, diskOperations: world.disk.operations)
        }
    }

    // MARK: A life

    private enum Outcome {
        case finished
        case reborn
        case failed(String)
    }

    private func live(
        _ world: SimulatedWorld, _ settings: ExecutionSettings, number: Int, _ random: inout SeededRandom
    ) async throws -> Outcome {
        var settings = settings
        settings.parallelism = world.state.withLock { state in
            state.firedInLife = 0
            return state.parallelism
        }
        world.trace("LIFE \(number), parallelism \(settings.parallelism)")
        do {
            try await start(world, settings, seed: random.next())
            world.trace("the job has ended")
            // Whoever dies while it tidies up is started again, and must find nothing left to do.
            guard let death = world.state.withLock({ $0.death }) else { return .finished }
            return try await revive(world, settings, after: death, seed: random.next())
        } catch {
            if case .hung(let reason)? = error as? LifeEnd { return .failed(reason) }
            // No fault is an excuse for a defect, such as a split that is in no state, or in two.
            if let bug = error as? ThalwegError, bug.kind == .bug { return .failed("a defect: \(bug)") }
            let (death, struck) = world.state.withLock { ($0.death, $0.firedInLife) }
            guard let death else {
                world.trace("the job failed: \(error)")
                let isFull = world.state.withLock { $0.fullUntil } >= world.disk.operations
                return struck > 0 || isFull ? .reborn : .failed("the job failed without a fault: \(error)")
            }
            return try await revive(world, settings, after: death, seed: random.next())
        }
    }

    private func start(_ world: SimulatedWorld, _ settings: ExecutionSettings, seed: UInt64) async throws {
        let environment = StreamEnvironment(settings: settings)
        try scenario.build(environment, world)
        let execution = try environment.makeExecution()
        let director = Director(world, execution, turnsMax: scenario.turnsMax)
        try await execution.run(on: StepScheduler(seed: seed, clock: world.clock, observer: director))
    }

    /// The machine comes back after a crash.
    private func revive(
        _ world: SimulatedWorld, _ settings: ExecutionSettings, after death: Fault, seed: UInt64
    ) async throws -> Outcome {
        switch death.kind {
        case .powerLoss: world.disk.restart(.least)
        case .tornWrite: world.disk.restart(.torn(seed: UInt64(death.amount)))
        default: world.disk.restart(.most)
        }
        world.state.withLock { $0.death = nil }
        scenario.betweenLives(world)
        guard death.kind == .corruption, let damage = Damage(world, seed: UInt64(death.amount)) else { return .reborn }
        world.trace("corrupted: \(damage.path) at \(damage.offset)")
        guard world.disk.flip(damage.path, at: damage.offset, mask: damage.mask) else { return .reborn }
        do {
            try await start(world, settings, seed: seed)
            // Rows and panes at rest are read when they are asked for: those that nobody asked for may be damaged, and
            // what the job has put out is compared.
            if damage.isAtRest { return .finished }
            return .failed("a job started from a corrupted checkpoint: \(damage.path) at \(damage.offset)")
        } catch {
            world.trace("refused: \(error)")
            let (deadAgain, isFull) = world.state.withLock { ($0.death, $0.fullUntil >= world.disk.operations) }
            guard deadAgain == nil, !isFull else {
                // Another fault came first.
                _ = world.disk.flip(damage.path, at: damage.offset, mask: damage.mask)
                return deadAgain == nil ? .reborn : try await revive(world, settings, again: deadAgain, seed: seed)
            }
            guard (error as? ThalwegError)?.kind == .corrupt else {
                return .failed("a corrupted checkpoint is not refused as such: \(damage.path): \(error)")
            }
        }
        guard world.disk.flip(damage.path, at: damage.offset, mask: damage.mask) else {
            return .failed("a corrupted checkpoint is gone after it was refused: \(damage.path)")
        }
        return .reborn
    }

    private func revive(
        _ world: SimulatedWorld, _ settings: ExecutionSettings, again death: Fault?, seed: UInt64
    ) async throws -> Outcome {
        guard var death else { return .reborn }
        if death.kind == .corruption { death.kind = .crash }
        return try await revive(world, settings, after: death, seed: seed)
    }

    // MARK: What is expected

    private func reference(records: Int) async throws -> [String] {
        if let known = references.withLock({ $0[records] }) { return known }
        var settings = ExecutionSettings()
        settings.jobName = scenario.name
        let world = SimulatedWorld(seed: 0, plan: FaultPlan(records: records), parallelism: 1, isTracing: false)
        world.state.withLock { $0.takesCheckpoints = false }
        try await start(world, settings, seed: 0)
        let lines = scenario.output(world).sorted()
        references.withLock { $0[records] = lines }
        return lines
    }

    private static func compare(_ output: [String], with expected: [String]) -> [String] {
        let output = output.sorted()
        guard output != expected else { return [] }
        var missing: [String] = []
        var added: [String] = []
        var (left, right) = (output[...], expected[...])
        while let first = left.first ?? right.first {
            if left.first == right.first {
                left.removeFirst()
                right.removeFirst()
            } else if let other = right.first, left.isEmpty || other < left.first ?? first {
                missing.append(other)
                right.removeFirst()
            } else {
                added.append(left.removeFirst())
            }
        }
        func named(_ lines: [String]) -> String {
            lines.prefix(namedLinesMax).joined(separator: " | ") + (lines.count > namedLinesMax ? " | …" : "")
        }
        return [
            missing.isEmpty ? nil : "\(missing.count) lines are missing: \(named(missing))",
            added.isEmpty ? nil : "\(added.count) lines are too many: \(named(added))",
        ].compactMap(\.self)
    }

    /// Settings drawn from a seed: small batches, frequent checkpoints.
    private static func settings(_ random: inout SeededRandom) -> ExecutionSettings {
        func pick<Value>(_ values: [Value]) -> Value { values[Int(random.next() % UInt64(values.count))] }
        var settings = ExecutionSettings()
        settings.jobName = "simulated"
        settings.parallelism = pick([1, 2, 2, 3])
        settings.maxParallelism = 8
        settings.batchCapacity = pick([1, 2, 4, 7, 16])
        settings.objectReuse = pick([.default, .copyPerOperator])
        // Time jumps while a task is held up: whoever is waited for comes back all the same.
        settings.cancellationTimeout = .seconds(Int64.max)
        settings.checkpoints = CheckpointOptions(
            directory: SimulatedWorld.checkpointDirectory,
            settings: CheckpointSettings(
                interval: pick([5, 20, 50, 100]), minimumPause: pick([0, 0, 10]), timeout: pick([200, 1_000, 10_000]),
                concurrentMax: pick([1, 1, 2, 3]), toleratedFailures: 1_000, alignmentTimeout: pick([nil, 0, 5, 30]),
                retained: pick([1, 2, 3])),
            from: "latest")
        return settings
    }
}

/// One bit of the newest checkpoint.
struct Damage {
    let path: String
    let offset: Int
    let mask: UInt8

    /// Whether it is in a file that is not read as a whole at a start.
    var isAtRest: Bool { path.hasPrefix(SimulatedWorld.checkpointDirectory + "/shared/") }

    /// Nil when there is no complete checkpoint.
    init?(_ world: SimulatedWorld, seed: UInt64) {
        let newest = world.completeCheckpoint
        guard newest > 0 else { return nil }
        let files = world.disk.contents
        let store = CheckpointStore(root: SimulatedWorld.checkpointDirectory, fileSystem: files)
        // Not what an earlier attempt left beside them: nobody reads that.
        let metadata = (try? store.list())?.first { $0.checkpoint == newest }?.metadata
        let paths =
            [store.path(of: newest) + "/" + CheckpointStore.metadataName]
            + (metadata?.files ?? []).map { store.root + "/" + $0.path }.sorted()
        var random = SeededRandom(seed: seed)
        guard !paths.isEmpty else { return nil }
        path = paths[Int(random.next() % UInt64(paths.count))]
        guard let count = files[path]?.count, count > 0 else { return nil }
        offset = Int(random.next() % UInt64(count))
        mask = 1 << UInt8(random.next() % 8)
    }
}
