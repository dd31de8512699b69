// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check maps`: one key's sorted map that has less memory than it needs (FLIP-41 d3, FLIP-50 d4, d5).

import ArgumentParser
import Foundation
import Synchronization
import Thalweg

/// Fills the sorted map of a single key under a budget, walks over it and changes it, in a process of its own. Fails
/// when a limit is missed.
struct MapsCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maps", abstract: "Measure a sorted map of one key that does not fit into memory.",
        subcommands: [Measure.self, One.self], defaultSubcommand: Measure.self)

    struct Figures: Codable {
        var peakGrowthBytes = 0
        var fillCPUSeconds = 0.0
        var scanSeconds = 0.0
        var scanned = 0
        var isInOrder = false
        var rangeMilliseconds: [Double] = []
        var readSeconds = 0.0
        var updateSeconds = 0.0
        var updateBytes = 0
        var wrong = 0
    }

    struct Measure: AsyncParsableCommand {
        @Option(help: "How many entries, as a power of two.") var bits = 24
        @Option(help: "The budget.") var budget = 32 << 20

        func validate() throws {
            guard (10...30).contains(bits) else { throw ValidationError("--bits must be 10 to 30, not \(bits)") }
            guard budget >= 1 << 20 else { throw ValidationError("--budget must be at least 1 MiB") }
        }

        func run() async throws {
            let entries = 1 << bits
            let (memory, rest) = (try figures(nil), try figures(budget))
            let ranges = rest.rangeMilliseconds.sorted()
            let name =
                "\(entries) entries of one key, \(memory.peakGrowthBytes >> 20) MiB in memory, budget "
                + "\(budget >> 20) MiB"
            let verdicts = [
                report(
                    "41.d3", "\(name): peak +\(rest.peakGrowthBytes >> 20) MiB",
                    rest.peakGrowthBytes <= budget * 11 / 10),
                report(
                    "50.d4",
                    "all \(rest.scanned) in order at \(Int(Double(rest.scanned) / rest.scanSeconds / 1000)) K a second "
                        + "(memory: \(Int(Double(memory.scanned) / memory.scanSeconds / 1000)) K)",
                    rest.isInOrder && rest.scanned == entries),
                report(
                    "50.d4",
                    "a range of 1,000: \(rounded(ranges[ranges.count / 2])) ms, the longest of \(ranges.count) "
                        + "\(rounded(ranges[ranges.count - 1])) ms", ranges[ranges.count - 1] <= 50),
                report(
                    "50.d5", "an update writes \(rest.updateBytes / One.updates) bytes",
                    rest.updateBytes / One.updates <= 64 << 10),
                report("50.d4", "values that are wrong: \(rest.wrong + memory.wrong)", rest.wrong + memory.wrong == 0),
            ]
            print(
                "       filled at \(Int(Double(entries) / rest.fillCPUSeconds / 1000)) K entries per CPU-second (memory: "
                    + "\(Int(Double(entries) / memory.fillCPUSeconds / 1000)) K), "
                    + "\(Int(Double(One.reads) / rest.readSeconds / 1000)) K reads a second, "
                    + "\(Int(Double(One.updates) / rest.updateSeconds / 1000)) K updates a second")
            if verdicts.contains(false) { throw ExitCode.failure }
        }

        private func figures(_ budget: Int?) throws -> Figures {
            try OwnProcess.figures(
                of: ["check", "maps", "one", "--bits", "\(bits)"] + (budget.map { ["--budget", "\($0)"] } ?? []))
        }

        private func report(_ check: String, _ text: String, _ holds: Bool) -> Bool {
            print("\(check)  \(holds ? "holds " : "MISSED")  \(text)")
            return holds
        }

        private func rounded(_ number: Double) -> Double { (number * 100).rounded() / 100 }
    }

    // MARK: One run

    struct One: AsyncParsableCommand {
        static let configuration = CommandConfiguration(shouldDisplay: false)
        static let reads = 100_000
        static let updates = 100_000

        @Option var bits: Int
        @Option var budget: Int?

        func run() async throws {
            // What any job needs is there before memory is looked at.
            _ = try await measure(bits: 10)
            let before = ProcessUsage.residentBytes()
            var figures = try await measure(bits: bits)
            figures.peakGrowthBytes = ProcessUsage().peakMemoryBytes - before
            print(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
        }

        private func measure(bits: Int) async throws -> Figures {
            let env = StreamEnvironment()
            env.settings.state.budgetBytes = budget
            let (entries, notes) = (Int64(1) << Int64(bits), Notes())
            let events = entries + 1 + 100 + Int64(Self.reads + Self.updates)
            try env.read(GeneratedSource(0..<events) { Step(number: $0) }).keyed(by: \.key).process(
                Filler(bits: bits, notes)
            )
            .write(to: .blackHole())
            let execution = try env.makeExecution()
            notes.rows.withLock { $0 = execution.metrics.rows }
            try await execution.run()
            return notes.figures.withLock { $0 }
        }
    }

    struct Step: Codable, Sendable {
        var key: Int64 = 0
        var number: Int64
    }

    final class Notes: Sendable {
        let figures = Mutex(Figures())
        let rows = Mutex<RowMetrics?>(nil)

        var spilledBytes: Int { rows.withLock { $0?.spilledBytes.value ?? 0 } }
    }

    /// Does one thing after another with the map, a record for each step.
    struct Filler: KeyedProcessFunction {
        @State var map = SortedMapState<Int64, Int64>()
        private let bits: Int
        private let notes: Notes
        private var figures = Figures()
        private var start = MonotonicTime.now
        private var cpu = ProcessUsage().cpuSeconds
        private var bytes = 0

        init(bits: Int, _ notes: Notes) {
            self.bits = bits
            self.notes = notes
        }

        /// Every number below the number of entries once, in no order.
        private func scatter(_ number: Int64) -> Int64 {
            (number &* 0x9E37_79B1 &+ 12_345) & (1 << Int64(bits) - 1)
        }

        mutating func process(_ step: Step, _ context: KeyedContext<Int64>, _ out: Collector<Pair>) {
            let (entries, number) = (Int64(1) << Int64(bits), step.number)
            let (readsAt, updatesAt) = (entries + 101, entries + 101 + Int64(One.reads))
            let end = updatesAt + Int64(One.updates)
            if number < entries { return map[scatter(number)] = number }
            if number == entries {
                figures.fillCPUSeconds = ProcessUsage().cpuSeconds - cpu
                scan()
            } else if number < readsAt {
                range(from: scatter(number &* 7_919), entries)
            } else if number < updatesAt {
                if number == readsAt { start = .now }
                // The value is the number that was scattered.
                let written = (number &* 104_729) % entries
                if map[scatter(written)] != written { figures.wrong += 1 }
            } else {
                if number == updatesAt {
                    figures.readSeconds = start.secondsSince
                    (start, bytes) = (.now, notes.spilledBytes)
                }
                let written = (number &* 15_485_863) % entries
                map[scatter(written), default: -1] += 0
            }
            if number == end - 1 { finish() }
        }

        private mutating func scan() {
            start = .now
            var (expected, isInOrder): (Int64, Bool) = (0, true)
            for (key, value) in map.entries {
                isInOrder = isInOrder && key == expected && scatter(value) == key
                expected += 1
            }
            figures.scanSeconds = start.secondsSince
            figures.scanned = Int(expected)
            figures.isInOrder = isInOrder
        }

        private mutating func range(from key: Int64, _ entries: Int64) {
            start = .now
            let found = map.entries(from: key, to: key + 1_000).reduce(0) { count, _ in count + 1 }
            figures.rangeMilliseconds.append(start.secondsSince * 1000)
            if found != Int(min(1_000, entries - key)) { figures.wrong += 1 }
        }

        private mutating func finish() {
            figures.updateSeconds = start.secondsSince
            figures.updateBytes = notes.spilledBytes - bytes
            notes.figures.withLock { $0 = figures }
        }
    }
}
