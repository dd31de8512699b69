// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check tiers`: keyed state that has less memory than it needs (FLIP-50 d1, d2, d3, d6).

import ArgumentParser
import Foundation
import Synchronization
import Thalweg

/// Measures a keyed count whose rows leave memory against the same count in memory, each run in a process of its own.
/// Fails when a limit is missed.
struct TiersCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tiers", abstract: "Measure keyed state that does not fit into memory.",
        subcommands: [Measure.self, One.self, Increment.self], defaultSubcommand: Measure.self)

    /// How keys come.
    enum Keys: String, ExpressibleByArgument, Codable {
        case uniform, zipf
    }

    /// What one run has taken.
    struct Figures: Codable {
        var cpuSeconds = 0.0
        var wallSeconds = 0.0
        /// Above what the process had before the job.
        var peakGrowthBytes = 0
        /// Of the running counts that were emitted.
        var sum: UInt64 = 0
        /// What stretches of 1,024 records took.
        var stretchMilliseconds999 = 0.0
        var stretchMillisecondsMax = 0.0
        var loaded = 0
        var missed = 0
        var blocksRead = 0
        var spilledRows = 0
        var spilledBytes = 0
        var merged = 0
    }

    /// One run.
    struct Plan {
        var keys: UInt64
        var events: Int64
        var distribution: Keys
        /// Nil: in memory.
        var budgetBytes: Int?
        var backend = StateBackendName.tiered

        /// - Parameter events: rounded down to whole stretches.
        init(keys: UInt64, events: Int64, distribution: Keys = .uniform, budgetBytes: Int? = nil) {
            self.keys = keys
            self.events = events / 1024 * 1024
            self.distribution = distribution
            self.budgetBytes = budgetBytes
        }

        var arguments: [String] {
            ["check", "tiers", "one", "--keys", "\(keys)", "--records", "\(events)"]
                + ["--distribution", distribution.rawValue, "--backend", backend.rawValue]
                + (budgetBytes.map { ["--budget", "\($0)"] } ?? [])
        }

        /// What the running counts add up to, by a plain array.
        var expectedSum: UInt64 {
            var counts = [UInt64](repeating: 0, count: Int(keys))
            var sum: UInt64 = 0
            func add(_ item: Item) {
                counts[Int(item.key)] += 1
                sum &+= counts[Int(item.key)]
            }
            switch distribution {
            case .uniform: for number in 0..<events { add(Item(number, keys: keys)) }
            case .zipf:
                let maker = ZipfItems(keys: keys)
                for number in 0..<events { add(maker.make(number)) }
            }
            return sum
        }
    }

    struct Measure: AsyncParsableCommand {
        @Option(help: "How many keys the count has where memory is compared with files; a power of two.")
        var keys: UInt64 = 1 << 20
        @Option(name: .customLong("records"), help: "How many records go into each of these runs.")
        var events: Int64 = 20_000_000
        @Option(help: "The budget that state outgrows eight and twenty times.") var budget = 16 << 20
        @Option(help: "How many bytes of state a checkpoint has.") var checkpointBytes = 1 << 30
        @Option(help: "Which parts: fits, zipf, uniform, rocksdb, outgrown, above, checkpoint, with commas.")
        var only: String?
        @Option(help: "The directory for checkpoints.") var directory = "tiers-measured"

        func validate() throws {
            guard keys.nonzeroBitCount == 1 else { throw ValidationError("--keys must be a power of two, not \(keys)") }
            guard events >= 1_000_000 else { throw ValidationError("--records must be at least a million") }
            guard budget >= 1 << 20 else { throw ValidationError("--budget must be at least 1 MiB") }
        }

        func run() async throws {
            let parts = only?.split(separator: ",").map(String.init)
            var verdicts: [Bool] = []
            let memory = try await measure(Plan(keys: keys, events: events))
            let stateBytes = memory.peakGrowthBytes
            print("       \(keys) keys take \(stateBytes >> 20) MiB in memory")
            let all: [(name: String, body: () async throws -> [Bool])] = [
                ("fits", { try await compare("state that fits", .uniform, events, 4 * stateBytes, least: 0.95) }),
                (
                    "zipf",
                    { try await compare("Zipf 1.0, budget 30 %", .zipf, events, stateBytes * 3 / 10, least: 0.6) }
                ),
                ("uniform", { try await compare("uniform, budget 30 %", .uniform, events / 5, stateBytes * 3 / 10) }),
                ("rocksdb", { try await beside(.rocksdb, events / 5, stateBytes * 3 / 10, least: 2) }),
                ("outgrown", { try await outgrown(stateBytes) }),
                ("above", { try await above(stateBytes) }),
                ("checkpoint", { try await checkpoint() }),
            ]
            for (name, body) in all where parts?.contains(name) ?? true { verdicts += try await body() }
            if verdicts.contains(false) { throw ExitCode.failure }
        }

        private func report(_ check: String, _ text: String, holds: Bool?) -> [Bool] {
            print("\(check)  \(holds.map { $0 ? "holds " : "MISSED" } ?? "      ")  \(text)")
            return holds.map { [$0] } ?? []
        }

        private func measure(_ plan: Plan) async throws -> Figures {
            try await figures(of: plan.arguments)
        }

        private func figures<Result: Decodable>(of arguments: [String]) async throws -> Result {
            try OwnProcess.figures(of: arguments)
        }

        // MARK: Against memory

        /// The median of the ratios of pairs of runs, one right after the other.
        private func compare(
            _ name: String, _ distribution: Keys, _ events: Int64, _ budget: Int, least: Double? = nil
        ) async throws -> [Bool] {
            var plan = Plan(keys: keys, events: events, distribution: distribution)
            var ratios: [Double] = []
            var best = (memory: Figures(), tiered: Figures())
            let expected = plan.expectedSum
            var isRight = true
            for pair in 0..<3 {
                plan.budgetBytes = nil
                let memory = try await measure(plan)
                plan.budgetBytes = budget
                let tiered = try await measure(plan)
                ratios.append(memory.cpuSeconds / tiered.cpuSeconds)
                isRight = isRight && memory.sum == expected && tiered.sum == expected
                if pair == 0 || tiered.cpuSeconds < best.tiered.cpuSeconds { best.tiered = tiered }
                if pair == 0 || memory.cpuSeconds < best.memory.cpuSeconds { best.memory = memory }
            }
            let ratio = ratios.sorted()[1]
            print(line(name + ", memory", plan.events, best.memory))
            print(line(name + ", tiered", plan.events, best.tiered))
            let text = "\(name): tiered at \(percent(ratio)) of memory per CPU-second"
            return report("50.d2", text, holds: least.map { ratio >= $0 })
                + report("50.d2", "\(name): the counts are those of an array", holds: isRight)
                + stalls(name, best.tiered)
        }

        // MARK: Against another backend

        /// Whether this build has a backend.
        private func has(_ backend: StateBackendName) -> Bool { (try? backend.backend()) != nil }

        /// The median of the ratios of pairs of runs with uniform keys, one right after the other.
        private func beside(
            _ backend: StateBackendName, _ events: Int64, _ budget: Int, least: Double
        ) async throws -> [Bool] {
            let name = "uniform, budget 30 %"
            guard has(backend) else {
                print("50.d2          \(name): \(backend.rawValue) is not in this build (--traits RocksDB)")
                return []
            }
            var plan = Plan(keys: keys, events: events, budgetBytes: budget)
            let expected = plan.expectedSum
            var ratios: [Double] = []
            var isRight = true
            for pair in 0..<3 {
                plan.backend = .tiered
                let tiered = try await measure(plan)
                plan.backend = backend
                let other = try await measure(plan)
                ratios.append(other.cpuSeconds / tiered.cpuSeconds)
                isRight = isRight && tiered.sum == expected && other.sum == expected
                if pair > 0 { continue }
                print(line(name + ", tiered", plan.events, tiered))
                print(line(name + ", \(backend.rawValue)", plan.events, other))
            }
            let text = "\(name): tiered at \(rounded(ratios.sorted()[1])) x of \(backend.rawValue) per CPU-second"
            return report("50.d2", text, holds: ratios.sorted()[1] >= least)
                + report("50.d2", "\(name): the counts are those of an array", holds: isRight)
        }

        private func line(_ name: String, _ events: Int64, _ figures: Figures) -> String {
            "       \(name): \(rate(events, figures.cpuSeconds)) records per CPU-second, "
                + "\(rate(events, figures.wallSeconds)) per second, peak +\(figures.peakGrowthBytes >> 20) MiB, "
                + "loaded \(figures.loaded), new \(figures.missed), \(blocksRead(figures)), "
                + "spilled \(figures.spilledRows) rows, \(figures.spilledBytes >> 20) MiB, \(figures.merged) merges"
        }

        private func blocksRead(_ figures: Figures) -> String {
            "\(rounded(Double(figures.blocksRead) / Double(max(1, figures.loaded + figures.missed)))) blocks read each"
        }

        private func stalls(_ name: String, _ figures: Figures) -> [Bool] {
            let (usual, longest) = (figures.stretchMilliseconds999, figures.stretchMillisecondsMax)
            return report(
                "50.d3", "\(name): p99.9 of 1,024 records \(rounded(usual)) ms, the longest \(rounded(longest)) ms",
                holds: usual <= 20 && longest <= 200)
        }

        // MARK: More than memory

        private func outgrown(_ stateBytes: Int) async throws -> [Bool] {
            var verdicts: [Bool] = []
            for factor in [8, 20] {
                let keys = UInt64(factor * budget) * keys / UInt64(stateBytes)
                let plan = Plan(keys: keys, events: Int64(keys) * 3, budgetBytes: budget)
                let name = "state of \(factor) times a budget of \(budget >> 20) MiB"
                let figures = try await measure(plan)
                print(line(name, plan.events, figures))
                verdicts += report(
                    "50.d1", "\(name): the counts are those of an array", holds: figures.sum == plan.expectedSum)
                verdicts += report(
                    "50.d1", "\(name): peak +\(mebibytes(figures.peakGrowthBytes)) MiB",
                    holds: Double(figures.peakGrowthBytes) <= Double(budget) * 1.1)
                verdicts += stalls(name, figures)
            }
            return verdicts
        }

        /// A working set a little larger than memory must not be written over and over.
        private func above(_ stateBytes: Int) async throws -> [Bool] {
            let plan = Plan(keys: keys, events: events / 2, budgetBytes: stateBytes * 10 / 11)
            let figures = try await measure(plan)
            let name = "a working set of 110 % of the budget"
            let bytes = Double(figures.spilledBytes) / Double(plan.events)
            print(line(name, plan.events, figures))
            // A row at rest takes some 12 bytes.
            return report("50.d3", "\(name): \(rounded(bytes)) bytes spilled a record", holds: bytes <= 12)
                + report("50.d3", "\(name): the counts are those of an array", holds: figures.sum == plan.expectedSum)
                + stalls(name, figures)
        }

        // MARK: Checkpoints

        private func checkpoint() async throws -> [Bool] {
            let figures: Increment.Figures = try await figures(
                of: ["check", "tiers", "increment", "--bytes", "\(checkpointBytes)", "--directory", directory])
            let (bytes, seconds) = (figures.bytes[1] / figures.bytes[0], figures.seconds[1] / figures.seconds[0])
            let text =
                "a checkpoint after 1 % of \(figures.rows) rows changed: \(percent(bytes)) of the bytes of a full one "
                + "(\(Int(figures.bytes[0]) >> 20) MiB), \(percent(seconds)) of its \(rounded(figures.seconds[0])) s"
            return report("50.d6", text, holds: bytes <= 0.05 && seconds <= 0.05)
        }

        private func rate(_ events: Int64, _ seconds: Double) -> String { "\(Int(Double(events) / seconds / 1000)) K" }
        private func percent(_ share: Double) -> String { "\(rounded(share * 100)) %" }
        private func rounded(_ number: Double) -> Double { (number * 10).rounded() / 10 }
        private func mebibytes(_ bytes: Int) -> Double { rounded(Double(bytes) / Double(1 << 20)) }
    }

    // MARK: One run

    struct One: AsyncParsableCommand {
        static let configuration = CommandConfiguration(shouldDisplay: false)

        @Option var keys: UInt64
        @Option(name: .customLong("records")) var events: Int64
        @Option var distribution = Keys.uniform
        @Option var budget: Int?
        @Option var backend = StateBackendName.tiered

        func run() async throws {
            // What any job needs is there before memory is looked at.
            _ = try await count(102_400, keys: 1024)
            let before = ProcessUsage.residentBytes()
            var figures = try await count(events, keys: keys)
            figures.peakGrowthBytes = ProcessUsage().peakMemoryBytes - before
            print(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
        }

        private func count(_ events: Int64, keys: UInt64) async throws -> Figures {
            let env = StreamEnvironment()
            env.settings.state.budgetBytes = budget
            env.settings.state.backend = try backend.backend()
            let tally = Tally()
            let items =
                distribution == .uniform
                ? Item.stream(events: events, keys: keys, in: env)
                : env.read(GeneratedSource(0..<events, maker: ZipfItems(keys: keys)))
            try items.keyed(by: \.key).process(TalliedCount(tally: tally)).write(to: .blackHole())
            let execution = try env.makeExecution()
            let (cpu, start) = (ProcessUsage().cpuSeconds, MonotonicTime.now)
            try await execution.run()
            var figures = tally.figures
            figures.wallSeconds = start.secondsSince
            figures.cpuSeconds = ProcessUsage().cpuSeconds - cpu
            let rows = execution.metrics.rows
            (figures.loaded, figures.merged) = (rows.loaded.value, rows.merged.value)
            (figures.missed, figures.blocksRead) = (rows.missed.value, rows.blocksRead.value)
            (figures.spilledRows, figures.spilledBytes) = (rows.spilledRows.value, rows.spilledBytes.value)
            return figures
        }
    }

    /// What the only subtask of a count has emitted, and how long it took.
    final class Tally: Sendable {
        private let contents = Mutex<(sum: UInt64, milliseconds: [Double])>((0, []))

        func add(_ sum: UInt64, _ milliseconds: Double?) {
            contents.withLock { contents in
                contents.sum &+= sum
                if let milliseconds { contents.milliseconds.append(milliseconds) }
            }
        }

        var figures: Figures {
            contents.withLock { contents in
                var figures = Figures()
                let sorted = contents.milliseconds.sorted()
                figures.sum = contents.sum
                figures.stretchMilliseconds999 = sorted.isEmpty ? 0 : sorted[sorted.count * 999 / 1000]
                figures.stretchMillisecondsMax = sorted.last ?? 0
                return figures
            }
        }
    }

    /// Counts per key, and tells what it emits.
    struct TalliedCount: KeyedProcessFunction {
        @State var count = ValueState<Int64>()
        let tally: Tally
        private var sum: UInt64 = 0
        private var records = 0
        private var start: MonotonicTime?

        init(tally: Tally) { self.tally = tally }

        mutating func process(_ item: Item, _ context: KeyedContext<Int64>, _ out: Collector<Pair>) {
            let next = (count.value ?? 0) + 1
            count.value = next
            sum &+= UInt64(next)
            records &+= 1
            if records & 1023 == 0 { report() }
            out.emit(Pair(item.key, next))
        }

        private mutating func report() {
            tally.add(sum, start.map { $0.secondsSince * 1000 })
            sum = 0
            start = .now
        }
    }

    // MARK: A checkpoint of what has changed

    /// Writes a full layer of a store, and then one of 1 % of its rows, as a checkpoint does.
    struct Increment: ParsableCommand {
        static let configuration = CommandConfiguration(shouldDisplay: false)

        struct Figures: Codable {
            var rows = 0
            /// Of the full layer, and of that with what has changed.
            var bytes: [Double] = []
            var seconds: [Double] = []
        }

        struct Row: Codable, Sendable {
            var first: Int64
            var second: Int64
            var third: Int64
            var fourth: Int64
            var fifth: Int64
            var sixth: Int64

            /// Numbers that cannot be compressed.
            init(_ number: Int64) {
                func random(_ place: Int64) -> Int64 { Item(number &* 6 &+ place, keys: .max).key }
                (first, second, third) = (random(0), random(1), random(2))
                (fourth, fifth, sixth) = (random(3), random(4), random(5))
            }

            /// With its key.
            static let storedBytes = 58
        }

        @Option var bytes: Int
        @Option var directory: String

        func run() throws {
            let disk = LocalFileSystem()
            try disk.removeTree(directory)
            let files = CheckpointStore(root: directory, fileSystem: disk)
            let lock = try files.prepare()
            defer {
                withExtendedLifetime(lock) {}
                files.removeAll()
            }
            let leases = RunLeases()
            let (store, state) = (try KeyedStore<Int64>(.learn()), ValueState<Row>())
            store.keepLayers(
                RowLayers(
                    RowOwner(operatorName: "bench", subtask: 0, keyGroups: 0..<128, maxParallelism: 128),
                    root: directory, leases: leases))
            try state.bind("state", to: store)
            var figures = Figures(rows: bytes / Row.storedBytes)
            try change((0..<Int64(figures.rows)).lazy, store, state)
            try write(1, store, files, leases, &figures)
            // A hundredth of the rows, here and there.
            let changed = (0..<Int64(figures.rows / 100)).lazy.map { Item($0, keys: UInt64(figures.rows)).key }
            try change(changed, store, state)
            try write(2, store, files, leases, &figures)
            print(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
        }

        private func change(
            _ keys: some Sequence<Int64>, _ store: KeyedStore<Int64>, _ state: ValueState<Row>
        ) throws {
            var batch: [Int64] = []
            var slots = [Int32](repeating: 0, count: 1024)
            func flush() throws {
                let hashes = batch.map { store.hasher.hash($0) }
                store.resolve(batch, hashes: hashes, count: batch.count, into: &slots)
                try store.noteResolved(slots, count: batch.count)
                for (key, slot) in zip(batch, slots) {
                    store.slot = Int(slot)
                    state.value = Row(key)
                }
                store.releaseUnused()
                batch.removeAll(keepingCapacity: true)
            }
            for key in keys {
                batch.append(key)
                if batch.count == 1024 { try flush() }
            }
            try flush()
        }

        private func write(
            _ checkpoint: Int64, _ store: KeyedStore<Int64>, _ files: CheckpointStore, _ leases: RunLeases,
            _ figures: inout Figures
        ) throws {
            let start = MonotonicTime.now
            guard
                let rows = try store.freezeRows(
                    operatorName: "bench", maxParallelism: 128, checkpoint: checkpoint, isSelfContained: false),
                let added = rows.added.first,
                var file = try files.writeSegment(
                    checkpoint: checkpoint, name: "rows", operators: ["bench"], subtask: 0, parts: added.parts,
                    isCancelled: { false })
            else { throw ValidationError("nothing was written") }
            file.sequence = added.layer.sequence
            added.layer.written(HeldSegment(file, leases.take(file.path)))
            store.releaseRows(rows)
            figures.seconds.append(start.secondsSince)
            figures.bytes.append(Double(file.byteCount))
        }
    }
}

/// Items whose keys follow Zipf's law with exponent 1: key of rank r has a share of 1 / r. Ranks are scattered over the
/// keys. By rejection from the inverted integral, which accepts almost always.
struct ZipfItems: RecordMaker {
    private let keys: UInt64
    private let low: Double
    private let high: Double
    /// A number that is nearer to its rank than this is accepted at once.
    private let near = 2 - exp(log(2.5) - 0.5)

    init(keys: UInt64) {
        self.keys = keys
        low = log(1.5) - 1
        high = log(Double(keys) + 0.5)
    }

    func make(_ number: Int64) -> Item {
        var item = Item(number, keys: .max)
        while true {
            let height = high + Double(item.key) * 0x1p-63 * (low - high)
            let place = exp(height)
            let rank = min(Double(keys), max(1, (place + 0.5).rounded(.down)))
            if rank - place <= near || height >= log(rank + 0.5) - 1 / rank {
                item.key = Int64((UInt64(rank) &* 0x9E37_79B1) & (keys &- 1))
                return item
            }
            item.key = Item(item.key, keys: .max).key
        }
    }
}
