// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check union`: a list that every subtask reads whole after a restart (A8.2).

import ArgumentParser
import Foundation
import Synchronization
import Thalweg

/// Keeps elements in a union list of many subtasks, starts again with fewer, and has each read all of them. Fails when
/// one is missing or comes twice, or when the metadata of the checkpoint is large.
struct UnionCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "union", abstract: "Measure union lists of many subtasks over a restart.")

    @Option(help: "Elements of each subtask.") var elements = 10_000
    @Option(help: "Subtasks before the restart.") var before = 64
    @Option(help: "Subtasks after it.") var after = 32
    @Option(help: "The directory for checkpoints.") var directory = "checkpoints-union"

    /// What the subtasks read, with the number of those that read each element once.
    private final class Readings: Sendable {
        private let counts = Mutex((subtasks: 0, exact: 0))
        var all: (subtasks: Int, exact: Int) { counts.withLock { $0 } }

        func add(isExact: Bool) {
            counts.withLock { counts in
                counts.subtasks += 1
                if isExact { counts.exact += 1 }
            }
        }
    }

    private struct Positions: ProcessFunction {
        @State var positions = OperatorListState<Int64>(.union)
        let (count, total): (Int, Int)
        let readings: Readings

        mutating func open(_ context: ProcessContext) throws {
            guard context.isRestored else {
                let first = Int64(context.subtask * count)
                return positions.replace(with: Array(first..<first + Int64(count)))
            }
            var times = [UInt8](repeating: 0, count: total)
            var isInRange = true
            try positions.forEachRestored { element in
                if times.indices.contains(Int(element)) { times[Int(element)] += 1 } else { isInRange = false }
            }
            readings.add(isExact: isInRange && times.allSatisfy { $0 == 1 })
        }
        mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {}
    }

    func run() async throws {
        try LocalFileSystem().removeTree(directory)
        let readings = Readings()
        let written = try await run(before, readings)
        let metadata = try FileManager.default.contentsOfDirectory(atPath: directory).sorted().last.map {
            try Data(contentsOf: URL(filePath: "\(directory)/\($0)/_metadata")).count
        }
        let read = try await run(after, readings)
        try LocalFileSystem().removeTree(directory)
        let (subtasks, exact) = readings.all
        let verdicts = [
            report(
                "\(exact) of \(subtasks) subtasks read each of \(elements * before) elements once",
                holds: exact == after && subtasks == after),
            report("\(metadata ?? -1) bytes of metadata", holds: (metadata ?? .max) <= 1 << 20),
        ]
        print(
            "       written by \(before) subtasks in \(written) s, read \(after) times in \(read) s, "
                + "peak memory \(ProcessUsage().peakMemoryBytes >> 20) MiB")
        if verdicts.contains(false) { throw ExitCode.failure }
    }

    /// Runs the job from its newest checkpoint, if there is one; returns the seconds it took.
    private func run(_ parallelism: Int, _ readings: Readings) async throws -> Double {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.checkpoints = CheckpointOptions(directory: directory, from: "latest")
        env.read(GeneratedSource(0..<1) { $0 }, name: "start").parallelism(1).broadcast()
            .process(Positions(count: elements, total: elements * before, readings: readings), name: "positions")
            .write(to: .blackHole())
        let start = MonotonicTime.now
        try await env.execute()
        return (start.secondsSince * 100).rounded() / 100
    }

    private func report(_ text: String, holds: Bool) -> Bool {
        print("A8.2   \(holds ? "holds " : "MISSED")  \(text)")
        return holds
    }
}
