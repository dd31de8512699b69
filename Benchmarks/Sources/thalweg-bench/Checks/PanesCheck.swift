// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check panes`: windows and interval joins that have less memory than they need (FLIP-50).

import ArgumentParser
import Foundation
import Synchronization
import Thalweg

/// Measures windows and joins under a budget against the same in memory, each run in a process of its own. Fails when a
/// limit is missed.
struct PanesCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "panes", abstract: "Measure windows and interval joins that do not fit into memory.",
        subcommands: [Measure.self, One.self], defaultSubcommand: Measure.self)

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case tumbling, sliding, lists, join
    }

    /// What one run has taken.
    struct Figures: Codable {
        var cpuSeconds = 0.0
        var wallSeconds = 0.0
        /// Above what the process had before the job.
        var peakGrowthBytes = 0
        var rows = 0
        /// Of all numbers in the rows.
        var sum: UInt64 = 0
        var spilledBytes = 0
        var merged = 0
        var checkpoints = 0
        var checkpointBytes = 0
    }

    struct Measure: AsyncParsableCommand {
        @Option(help: "How many records go into a run that does not fit; those that fit get as many.")
        var records: Int64 = 10_000_000
        @Option(help: "Which kinds, with commas.") var only: String?
        @Option(help: "The directory for checkpoints.") var directory = "panes-measured"

        func run() async throws {
            let kinds = only?.split(separator: ",").compactMap { Kind(rawValue: String($0)) } ?? Kind.allCases
            var verdicts: [Bool] = []
            for kind in kinds {
                verdicts += try fitting(kind)
                verdicts += try outgrown(kind)
            }
            if verdicts.contains(false) { throw ExitCode.failure }
        }

        private func report(_ text: String, holds: Bool) -> [Bool] {
            print("50.d1  \(holds ? "holds " : "MISSED")  \(text)")
            return [holds]
        }

        /// State that fits: what the budget costs. The median of pairs of runs, one right after the other.
        private func fitting(_ kind: Kind) throws -> [Bool] {
            let plan = [
                "--kind", kind.rawValue, "--records", "\(records)", "--keys", "\(kind == .join ? 100_000 : 65_536)",
            ]
            var ratios: [Double] = []
            var isSame = true
            for _ in 0..<3 {
                let memory = try figures(plan + ["--length", "4000"])
                let tiered = try figures(plan + ["--length", "4000", "--budget", "\(1 << 30)"])
                ratios.append(memory.cpuSeconds / tiered.cpuSeconds)
                isSame = isSame && memory.sum == tiered.sum && memory.rows == tiered.rows && tiered.spilledBytes == 0
            }
            let ratio = ratios.sorted()[1]
            return report("\(kind): fits: at \(rounded(ratio * 100)) % of memory per CPU-second", holds: ratio >= 0.8)
                + report("\(kind): fits: the rows are the same, nothing is written", holds: isSame)
        }

        /// State of eight times the budget, without and with checkpoints.
        private func outgrown(_ kind: Kind) throws -> [Bool] {
            let plan = [
                "--kind", kind.rawValue, "--records", "\(kind == .join ? records / 4 : records)", "--keys",
                "\(kind == .lists ? 65_536 : 2_000_000)", "--length", "\(kind == .join ? 20_000 : 100_000)",
            ]
            let memory = try figures(plan)
            let budget = memory.peakGrowthBytes / 8
            print(line("\(kind), memory", memory))
            var verdicts: [Bool] = []
            for hasCheckpoints in [false, true] {
                let name = "\(kind), 8 times a budget of \(budget >> 20) MiB\(hasCheckpoints ? ", checkpoints" : "")"
                let tiered = try figures(
                    plan + ["--budget", "\(budget)"] + (hasCheckpoints ? ["--directory", directory] : []))
                print(line(name, tiered))
                verdicts += report(
                    "\(name): the rows are the same", holds: memory.sum == tiered.sum && memory.rows == tiered.rows)
                verdicts += report(
                    "\(name): peak +\(tiered.peakGrowthBytes >> 20) MiB",
                    holds: Double(tiered.peakGrowthBytes) <= Double(budget) * 1.1)
            }
            return verdicts
        }

        private func line(_ name: String, _ figures: Figures) -> String {
            "       \(name): \(rounded(figures.cpuSeconds)) CPU-s, \(rounded(figures.wallSeconds)) s, "
                + "peak +\(figures.peakGrowthBytes >> 20) MiB, \(figures.rows) rows, spilled "
                + "\(figures.spilledBytes >> 20) MiB, \(figures.merged) merges, \(figures.checkpoints) checkpoints, "
                + "the last of \(figures.checkpointBytes >> 20) MiB"
        }

        private func figures(_ arguments: [String]) throws -> Figures {
            try OwnProcess.figures(of: ["check", "panes", "one"] + arguments)
        }

        private func rounded(_ number: Double) -> Double { (number * 10).rounded() / 10 }
    }

    // MARK: One run

    struct One: AsyncParsableCommand {
        static let configuration = CommandConfiguration(shouldDisplay: false)

        @Option var kind: Kind
        @Option var keys: UInt64
        @Option var records: Int64
        /// Of windows and intervals, in milliseconds: a hundred records each.
        @Option var length: Int64
        @Option var budget: Int?
        @Option var directory: String?

        func run() async throws {
            // What any job needs is there before memory is looked at.
            _ = try await measure(records: 102_400, keys: 1024)
            let before = ProcessUsage.residentBytes()
            var figures = try await measure(records: records, keys: keys)
            figures.peakGrowthBytes = ProcessUsage().peakMemoryBytes - before
            print(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
        }

        private func measure(records: Int64, keys: UInt64) async throws -> Figures {
            let env = StreamEnvironment()
            env.settings.state.budgetBytes = budget
            if let directory {
                try LocalFileSystem().removeTree(directory)
                env.settings.checkpoints = CheckpointOptions(directory: directory)
                env.settings.checkpoints?.settings.interval = 500
            }
            let tally = Tally()
            try build(items(records, keys, in: env), tally, in: env)
            let execution = try env.makeExecution()
            let (cpu, start) = (ProcessUsage().cpuSeconds, MonotonicTime.now)
            try await execution.run()
            var figures = tally.figures
            figures.wallSeconds = start.secondsSince
            figures.cpuSeconds = ProcessUsage().cpuSeconds - cpu
            (figures.spilledBytes, figures.merged) = (
                execution.metrics.rows.spilledBytes.value, execution.metrics.rows.merged.value
            )
            figures.checkpoints = execution.checkpoints.completed.value
            figures.checkpointBytes = execution.checkpoints.lastBytes.value
            if let directory { try LocalFileSystem().removeTree(directory) }
            return figures
        }

        private func items(_ records: Int64, _ keys: UInt64, in env: StreamEnvironment) -> DataStream<Item> {
            Item.stream(events: records, keys: keys, in: env).timestamps(
                by: { EventTime(milliseconds: $0.time) }, watermark: .boundedOutOfOrderness(.zero))
        }

        private func build(_ items: DataStream<Item>, _ tally: Tally, in env: StreamEnvironment) throws {
            let length = Duration.milliseconds(length)
            let rows: DataStream<Pair>
            switch kind {
            case .tumbling:
                rows = try items.keyed(by: \.key).window(.tumbling(length)).aggregate(Counted()) { key, count, _ in
                    Pair(key, count)
                }
            case .sliding:
                rows = try items.keyed(by: \.key).window(.sliding(size: length, slide: length / 10))
                    .aggregate(Counted()) { Pair($0, $1 &+ $2.start.milliseconds) }
            case .lists:
                rows = try items.keyed(by: \.key).window(.tumbling(length)).process { key, _, all, out in
                    out.emit(Pair(key, all.reduce(0) { $0 &+ $1.value }))
                }
            case .join:
                rows = try items.keyed(by: \.key).intervalJoin(items.keyed(by: \.key), lower: .zero, upper: length) {
                    Pair($0.key, $1.value &- $0.value)
                }
            }
            rows.map { tally.add($0) }.write(to: .blackHole())
        }
    }

    struct Counted: AggregateFunction {
        func makeAccumulator() -> Int64 { 0 }
        func add(_ value: Item, to accumulator: inout Int64) { accumulator &+= 1 }
        func merge(_ other: Int64, into accumulator: inout Int64) { accumulator &+= other }
        func result(_ accumulator: Int64) -> Int64 { accumulator }
    }

    /// What came out, in any order.
    final class Tally: Sendable {
        private let contents = Mutex(Figures())

        func add(_ pair: Pair) -> Pair {
            contents.withLock { contents in
                contents.rows += 1
                contents.sum &+= UInt64(bitPattern: pair.first &* 31 &+ pair.second) &* 0x9E37_79B9_7F4A_7C15
            }
            return pair
        }

        var figures: Figures { contents.withLock { $0 } }
    }
}
