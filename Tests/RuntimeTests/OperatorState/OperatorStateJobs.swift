// SPDX-License-Identifier: Apache-2.0
//  Jobs with operator state that end with a checkpoint and start from it again.

import Synchronization
import Testing
import Thalweg

/// What the functions of a job have seen, by subtask and name of state.
final class Sightings: Sendable {
    private let found = Guarded<[Int: [String: [Int64]]]>([:])
    private let notes = Guarded<Set<Int>>([])

    func add(_ values: [Int64], of state: String, in subtask: Int) {
        found.withLock { $0[subtask, default: [:]][state, default: []] += values }
        notes.withLock { _ = $0.insert(subtask) }
    }

    /// The subtasks that were opened.
    var subtasks: Int { notes.withLock { $0.count } }

    /// What each subtask has seen of a state.
    func lists(of state: String, _ parallelism: Int) -> [[Int64]] {
        found.withLock { found in (0..<parallelism).map { found[$0]?[state] ?? [] } }
    }
}

/// A job's checkpoints in memory; each run starts from the latest.
struct OperatorStateJob {
    let disk = MemoryFileSystem()

    var store: CheckpointStore { CheckpointStore(root: "snapshots", fileSystem: disk) }

    @discardableResult
    func run(
        _ parallelism: Int, seed: UInt64 = 0, batch: Int = 16, drops: Bool = false,
        _ build: (StreamEnvironment) throws -> Void
    ) async throws -> JobExecution {
        var settings = ExecutionSettings()
        settings.parallelism = parallelism
        settings.batchCapacity = batch
        var options = CheckpointOptions(directory: "snapshots", fileSystem: disk, from: "latest")
        options.dropsUnclaimedState = drops
        settings.checkpoints = options
        let environment = StreamEnvironment(settings: settings)
        try build(environment)
        let execution = try environment.makeExecution()
        _ = try await within { try await execution.run(on: StepScheduler(seed: seed)) }
        return execution
    }

    /// The newest snapshot's state of an operator.
    func state(of name: String) throws -> RestoredSnapshotState {
        try #require(try store.load().restoredState(of: name))
    }
}

/// Fills lists of each kind and tells what it got back.
struct Keeper: ProcessFunction {
    @State var plain = OperatorListState<Int64>(.split)
    @State var other = OperatorListState<Int64>()
    @State var even = OperatorListState<Int64>(.split, rebalanceOnRestore: true)
    @State var all = OperatorListState<Int64>(.union)
    @State var owned = OperatorListState<Int64>(.keyedList(by: { $0 }))
    let sightings: Sightings

    mutating func open(_ context: ProcessContext) throws {
        guard context.isRestored else { return }
        for (name, state) in [("plain", plain), ("other", other), ("even", even), ("all", all), ("owned", owned)] {
            sightings.add(state.elements, of: name, in: context.subtask)
        }
        let (sightings, subtask) = (sightings, context.subtask)
        try all.forEachRestored { sightings.add([$0], of: "restored", in: subtask) }
    }

    mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {
        plain.append(value)
        if value % 3 == 0 { other.append(value) }
        if context.subtask == 0 { even.append(value) }
        all.append(value)
        for id in value * 50..<value * 50 + 50 where owned.owns(id) { owned.append(id) }
    }
}
