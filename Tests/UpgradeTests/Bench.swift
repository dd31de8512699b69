// SPDX-License-Identifier: Apache-2.0
//  A job before and after an edit: the old one is stopped half-way, the new one goes on from its snapshot.

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

/// What a job is built from: numbers in, rows out. Number n comes at n tenths of a second.
struct Bench {
    let numbers: DataStream<Int64>
    let rows: Collected<String>

    /// The numbers with their event time.
    var timed: DataStream<Int64> {
        numbers.timestamps(
            by: { EventTime(milliseconds: $0 * 100) }, watermark: .boundedOutOfOrderness(.milliseconds(500)))
    }

    /// Ends the job.
    func write(_ stream: DataStream<String>) { stream.write(to: .collect(rows, visible: .atOnce), name: "rows") }
}

/// One edit of a job, with what must come of it.
struct Edit: Sendable {
    /// What the restored job must emit.
    enum Output: Sendable {
        /// These rows, in any order.
        case rows([String])
        /// With what the old job emitted before: what the new job emits when it reads everything.
        case rest
    }

    var name: String
    var old: @Sendable (Bench) throws -> Void
    var new: @Sendable (Bench) throws -> Void
    /// What becomes of each state that is not the engine's, and of those of the engine's that are worth a word, as
    /// `step/state: outcome`, in order.
    var verdicts: [String]
    var output: Output
    /// A part of what the plan says must be done.
    var fix: String?
    var oldMaxParallelism = 128
    var newMaxParallelism = 128
    var newParallelism: Int?

    init(
        _ name: String, _ verdicts: [String], _ output: Output, fix: String? = nil,
        old: @escaping @Sendable (Bench) throws -> Void, new: @escaping @Sendable (Bench) throws -> Void
    ) {
        self.name = name
        self.verdicts = verdicts
        self.output = output
        self.fix = fix
        self.old = old
        self.new = new
    }

    func with(maxParallelism: Int) -> Edit {
        var edit = self
        edit.newMaxParallelism = maxParallelism
        return edit
    }

    func with(parallelism: Int) -> Edit {
        var edit = self
        edit.newParallelism = parallelism
        return edit
    }
}

/// Carries out an edit.
struct Trial {
    /// The numbers before the snapshot, and all of them.
    static let half: Int64 = 200
    static let all: Int64 = 400
    static let keys: Int64 = 7

    let edit: Edit
    let number: Int
    private let disk = MemoryFileSystem()

    init(_ edit: Edit, _ number: Int) {
        self.edit = edit
        self.number = number
    }

    /// What did not come out as it should have; empty when all did.
    func run() async throws -> [String] {
        var wrong: [String] = []
        func check(_ isRight: Bool, _ text: @autoclosure () -> String) { if !isRight { wrong.append(text()) } }

        let (before, snapshot) = try await takeSnapshot()
        let plan = try makePlan(snapshot)
        let said = plan.steps.flatMap { step in
            // The engine's own states go with the key.
            step.states.filter { !$0.isInternal }.map { "\(step.name)/\($0.name): \($0.outcome.rawValue)" }
        }
        check(said == edit.verdicts, "verdicts \(said)\n\(plan.text)")
        if let fix = edit.fix {
            check(
                plan.steps.contains { $0.states.contains { $0.fixes.contains { $0.contains(fix) } } },
                "no fix says \(fix)\n\(plan.text)")
        }
        var failure: ThalwegError?
        var rows: [String] = []
        do { rows = try await resume(snapshot, drops: false) } catch let error as ThalwegError { failure = error }
        check(
            (failure == nil) == (plan.exitCode == 0),
            "the plan says \(plan.exitCode), the start \(String(describing: failure))")
        for state in plan.steps.flatMap(\.states) where plan.exitCode == 3 && state.outcome == .incompatible {
            for note in state.notes {
                check(failure?.detail?.contains(note) == true, "the start does not say: \(note)")
            }
        }
        if plan.exitCode == 2 { rows = try await resume(snapshot, drops: true) }
        guard plan.exitCode != 3 else { return wrong }
        let expected: [String]
        switch edit.output {
        case .rows(let fixed): expected = fixed.sorted()
        case .rest:
            rows += before
            expected = try await undisturbed().sorted()
        }
        rows.sort()
        check(!expected.isEmpty, "nothing is expected")
        check(rows == expected, Self.difference(rows, expected))
        return wrong
    }

    private static func difference(_ rows: [String], _ expected: [String]) -> String {
        let (extra, missing) = (Set(rows).subtracting(expected), Set(expected).subtracting(rows))
        return "\(rows.count) rows, \(expected.count) expected; not expected: \(extra.sorted().prefix(5)), missing: "
            + "\(missing.sorted().prefix(5))"
    }

    // MARK: Lives

    /// What a snapshot of the old job says of itself.
    func metadata() async throws -> SnapshotMetadata {
        let (_, path) = try await takeSnapshot()
        return try CheckpointStore(root: "old", fileSystem: disk).load(path).metadata
    }

    private func takeSnapshot() async throws -> (rows: [String], path: String) {
        let (script, rows) = (Self.script(upTo: Self.half), Collected<String>())
        let execution = try environment(
            edit.old, script, rows, directory: "old", parallelism: 2, maxParallelism: edit.oldMaxParallelism
        ).makeExecution()
        let asked = Mutex(false)
        let scheduler = StepScheduler(
            seed: UInt64(number),
            afterStep: { _ in
                guard script.emitted.count == Int(Self.half) else { return }
                let isFirst = asked.withLock { asked in
                    defer { asked = true }
                    return !asked
                }
                if isFirst { Task { try await execution.stop() } }
            })
        let outcome = try await execution.run(on: scheduler)
        guard case .stopped(let report) = outcome, let path = report.path else {
            throw ThalwegError(.bug, "the old job was not stopped", detail: "\(outcome)")
        }
        return (rows.elements, path)
    }

    private func makePlan(_ snapshot: String) throws -> UpgradePlan {
        let env = try environment(
            edit.new, Self.script(upTo: Self.all), Collected(), directory: "new", parallelism: newParallelism,
            maxParallelism: edit.newMaxParallelism)
        return try env.makeUpgradePlan(against: snapshot, fileSystem: disk)
    }

    private func resume(_ snapshot: String, drops: Bool) async throws -> [String] {
        let rows = Collected<String>()
        let env = try environment(
            edit.new, Self.script(upTo: Self.all), rows, directory: "new-\(drops)", parallelism: newParallelism,
            maxParallelism: edit.newMaxParallelism)
        env.settings.checkpoints?.from = snapshot
        env.settings.checkpoints?.dropsUnclaimedState = drops
        try await env.makeExecution().run(on: StepScheduler(seed: UInt64(number) + 1))
        return rows.elements
    }

    private func undisturbed() async throws -> [String] {
        let rows = Collected<String>()
        try await environment(
            edit.new, Self.script(upTo: Self.all), rows, directory: "whole", parallelism: 1,
            maxParallelism: edit.newMaxParallelism
        ).makeExecution().run(on: StepScheduler(seed: 0))
        return rows.elements
    }

    private var newParallelism: Int { edit.newParallelism ?? 1 + number % 3 }

    /// The numbers, in order; only all of them have an end.
    private static func script(upTo end: Int64) -> ManualScript<Int64> {
        var steps = stride(from: 0, to: end, by: 10).map { ManualScript<Int64>.Step.emit(Array($0..<$0 + 10)) }
        if end == all { steps.append(.end) }
        return ManualScript([steps])
    }

    private func environment(
        _ build: (Bench) throws -> Void, _ script: ManualScript<Int64>, _ rows: Collected<String>, directory: String,
        parallelism: Int, maxParallelism: Int
    ) throws -> StreamEnvironment {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.maxParallelism = maxParallelism
        env.settings.batchCapacity = 16
        env.settings.restart = RestartStrategy.none
        env.settings.checkpoints = CheckpointOptions(directory: directory, fileSystem: disk)
        try build(Bench(numbers: env.read(ManualSource(script), name: "numbers"), rows: rows))
        return env
    }
}
