// SPDX-License-Identifier: Apache-2.0
//  Breaks a run at a random barrier, restores it at another parallelism, and compares it with one that never broke.

import Testing
import Thalweg
import ThalwegTesting

/// Random records and watermarks for an operator that is stopped once and goes on with other subtasks.
///
/// The subtasks are differently far in event time, before and after the break. The unbroken run has one subtask for
/// each key group, which sees the records and the event time of the group's owner.
struct SnapshotModel {
    static let maxParallelism = 16

    enum Step {
        case record(Sample)
        /// How far the event time of each subtask lies behind.
        case watermark(Int64, lags: [Int64])
    }

    var steps: [Step] = []
    var first = 1
    var second = 1
    var breakAt = 0
    private let hasher: KeyHasher<Int64>

    init(seed: UInt64, _ shape: SampleShape, lagMax: Int64) throws {
        hasher = try KeyHasher()
        var random = SeededRandom(seed: seed)
        var latest = Int64.min
        for (index, sample) in random.samples(shape).enumerated() {
            steps.append(.record(sample))
            latest = max(latest, sample.time)
            if index % 5 == 4 {
                steps.append(.watermark(latest - 300, lags: (0..<8).map { _ in random.draw(0...lagMax) }))
            }
        }
        first = Int(random.draw(1...5))
        second = Int(random.draw(1...5))
        breakAt = Int(random.draw(1...Int64(steps.count - 1)))
    }

    /// What an operator did: its outputs in no order, and what it counted.
    struct Outcome: Equatable, CustomStringConvertible {
        var outputs: [String] = []
        var dropped = 0
        var partial = 0

        mutating func add(_ harness: OperatorHarness<Sample, String>) {
            outputs += harness.timedOutputs.map { "\($0.element) at \($0.time.milliseconds)" }
            dropped += harness.metrics.lateDropped.value
            partial += harness.metrics.latePartial.value
        }

        var description: String { "\(dropped) dropped, \(partial) partial, " + outputs.joined(separator: "; ") }
    }

    typealias Factory = (OperatorContext) throws -> OperatorInstance

    private func makeSubtasks(
        _ count: Int, restoring state: MemorySnapshot? = nil, _ make: @escaping Factory
    ) throws -> [OperatorHarness<Sample, String>] {
        try (0..<count).map {
            try OperatorHarness(
                name: "model", restoring: state, subtask: $0, parallelism: count,
                maxParallelism: Self.maxParallelism, batchCapacity: 7, make)
        }
    }

    /// The owner of a sample's key group among so many subtasks.
    private func owner(_ sample: Sample, _ count: Int) -> Int {
        let group = KeyGroup.of(hash: hasher.hash(sample.key), maxParallelism: Self.maxParallelism)
        return KeyGroup.subtask(of: group, maxParallelism: Self.maxParallelism, parallelism: count)
    }

    private func push(_ sample: Sample, _ harness: OperatorHarness<Sample, String>, _ isJoin: Bool) throws {
        try harness.push([(sample, sample.time)], to: isJoin && !sample.isFirst ? 1 : 0)
    }

    /// The run that breaks `breaks` times, at `breakAt` and every few steps after it.
    func broken(_ breaks: Int = 1, isJoin: Bool = false, _ make: @escaping Factory) throws -> Outcome {
        var outcome = Outcome()
        var subtasks = try makeSubtasks(first, make)
        for (index, step) in steps.enumerated() {
            if index >= breakAt && (index - breakAt) % 6 == 0 && (index - breakAt) / 6 < breaks {
                for subtask in subtasks { outcome.add(subtask) }
                let frozen = try subtasks.map { try $0.freeze() }
                // What comes after the barrier must leave what was frozen as it is.
                for case .record(let sample) in steps {
                    try push(sample, subtasks[owner(sample, subtasks.count)], isJoin)
                }
                for subtask in subtasks { try subtask.advanceWatermark(to: 100_000) }
                let count = (index - breakAt) / 6 % 2 == 0 ? second : first
                subtasks = try makeSubtasks(count, restoring: MemorySnapshot(frozen), make)
            }
            switch step {
            case .record(let sample): try push(sample, subtasks[owner(sample, subtasks.count)], isJoin)
            case .watermark(let time, let lags):
                for (subtask, lag) in zip(subtasks, lags) { try subtask.advanceWatermark(to: time - lag) }
            }
        }
        for subtask in subtasks {
            try subtask.finish()
            outcome.add(subtask)
        }
        outcome.outputs.sort()
        return outcome
    }

    /// The run without a break.
    func unbroken(_ breaks: Int = 1, isJoin: Bool = false, _ make: @escaping Factory) throws -> Outcome {
        let groups = try makeSubtasks(Self.maxParallelism, make)
        for (index, step) in steps.enumerated() {
            let done = index < breakAt ? 0 : min((index - breakAt) / 6 + 1, breaks)
            let count = done % 2 == 0 ? first : second
            switch step {
            case .record(let sample): try push(sample, groups[owner(sample, Self.maxParallelism)], isJoin)
            case .watermark(let time, let lags):
                for (group, harness) in groups.enumerated() {
                    let owner = KeyGroup.subtask(
                        of: group, maxParallelism: Self.maxParallelism, parallelism: count)
                    try harness.advanceWatermark(to: time - lags[owner])
                }
            }
        }
        var outcome = Outcome()
        for group in groups {
            try group.finish()
            outcome.add(group)
        }
        outcome.outputs.sort()
        return outcome
    }
}

/// Keeps the numbers of samples, so that every record shows in the result.
struct Numbers: AggregateFunction {
    func makeAccumulator() -> [Int64] { [] }
    func add(_ value: Sample, to accumulator: inout [Int64]) { accumulator.append(value.number) }
    func merge(_ other: [Int64], into accumulator: inout [Int64]) { accumulator += other }
    func result(_ accumulator: [Int64]) -> [Int64] { accumulator.sorted() }
}
