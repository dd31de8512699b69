// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check ttl-cost`: what a time to live costs a keyed state (A25.6).

import ArgumentParser
import Foundation
import Synchronization
import Thalweg

/// Measures a keyed count whose entries expire against the same count without, each run in a process of its own: CPU,
/// memory, and what records wait for while a million entries expire. Fails when a limit is missed.
struct TimeToLiveCostCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ttl-cost", abstract: "Measure what a time to live costs a state.",
        subcommands: [Measure.self, One.self], defaultSubcommand: Measure.self)

    struct Figures: Codable {
        var cpuSeconds = 0.0
        var peakGrowthBytes = 0
        var stretchMilliseconds999 = 0.0
        var swept = 0
    }

    struct Measure: AsyncParsableCommand {
        @Option(help: "How many keys.") var keys: UInt64 = 1_000_000
        @Option(name: .customLong("records"), help: "How many records.") var events: Int64 = 30_000_000
        @Option(help: "How many rounds of runs: without, with, and with much that expires. Medians count.") var pairs =
            5

        func run() async throws {
            // Those who share the machine disturb all three of a round alike.
            let rounds = try await (0..<pairs).asyncMap { _ in
                (
                    without: try await figures(nil), with: try await figures(.seconds(3600)),
                    // About as long as it takes until a key comes back: some have expired by then, again and again.
                    busy: try await figures(.milliseconds(300))
                )
            }
            let loss = median(rounds.map { 1 - $0.without.cpuSeconds / $0.with.cpuSeconds })
            let bytes = median(
                rounds.map { Double($0.with.peakGrowthBytes - $0.without.peakGrowthBytes) / Double(keys) })
            let whole = median(rounds.map { Double($0.without.peakGrowthBytes) / Double(keys) })
            let added = median(
                rounds.map { $0.busy.stretchMilliseconds999 - $0.with.stretchMilliseconds999 })
            let swept = Int(median(rounds.map { Double($0.busy.swept) }))
            let verdicts = [
                report(
                    "\(rounded(loss * 100)) % of the throughput: "
                        + "\(rounded(median(rounds.map(\.without.cpuSeconds)))) CPU seconds without, "
                        + "\(rounded(median(rounds.map(\.with.cpuSeconds)))) with",
                    holds: loss <= 0.1),
                report(
                    "\(rounded(bytes)) bytes an entry, of \(rounded(whole)) without",
                    holds: bytes <= 8 + 0.2 * whole),
                report(
                    "\(rounded(added)) ms in the p99.9 of the time that 1,024 records in a row take, with what is "
                        + "done between them: \(rounded(median(rounds.map(\.with.stretchMilliseconds999)))) ms while "
                        + "nothing expires, \(rounded(median(rounds.map(\.busy.stretchMilliseconds999)))) ms while "
                        + "\(swept) entries are swept",
                    holds: added < 1 && swept >= Int(keys)),
            ]
            if verdicts.contains(false) { throw ExitCode.failure }
        }

        private func figures(_ ttl: Duration?) async throws -> Figures {
            try OwnProcess.figures(
                of: ["check", "ttl-cost", "one", "--keys", "\(keys)", "--records", "\(events)"]
                    + (ttl.map { ["--ttl", "\($0 / .milliseconds(1))"] } ?? []))
        }

        private func report(_ text: String, holds: Bool) -> Bool {
            print("A25.6  \(holds ? "holds " : "MISSED")  a time to live costs \(text)")
            return holds
        }

        private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        private func rounded(_ number: Double) -> Double { (number * 100).rounded() / 100 }
    }

    // MARK: One run

    struct One: AsyncParsableCommand {
        static let configuration = CommandConfiguration(shouldDisplay: false)

        @Option var keys: UInt64
        @Option(name: .customLong("records")) var events: Int64
        @Option(help: "Milliseconds.") var ttl: Double?

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
            let stretches = Stretches()
            try Item.stream(events: events, keys: keys, in: env).keyed(by: \.key)
                .process(Counting(ttl, stretches), name: "count").write(to: .blackHole())
            let execution = try env.makeExecution()
            guard let node = execution.graph.streamGraph.nodes.first(where: { $0.name == "count" })?.id else {
                throw ValidationError("the step is not there")
            }
            let cpu = ProcessUsage().cpuSeconds
            try await execution.run()
            var figures = Figures(cpuSeconds: ProcessUsage().cpuSeconds - cpu)
            figures.swept = execution.metrics.subtasks(of: node).reduce(0) { $0 + $1.ttl.sweptEntries.value }
            figures.stretchMilliseconds999 = stretches.milliseconds999
            return figures
        }
    }

    /// How long the only subtask took for each 1,024 records.
    final class Stretches: Sendable {
        private let milliseconds = Mutex<[Double]>([])

        func add(_ stretch: Double) { milliseconds.withLock { $0.append(stretch) } }

        var milliseconds999: Double {
            let sorted = milliseconds.withLock { $0.sorted() }
            return sorted.isEmpty ? 0 : sorted[sorted.count * 999 / 1000]
        }
    }

    struct Counting: KeyedProcessFunction {
        @State var count: ValueState<Int64>
        let stretches: Stretches
        private var records = 0
        private var start: MonotonicTime?

        init(_ ttl: Double?, _ stretches: Stretches) {
            let state = ttl.map { ValueState<Int64>(ttl: StateTTL(.milliseconds($0))) } ?? ValueState()
            _count = State(wrappedValue: state)
            self.stretches = stretches
        }

        mutating func process(_ item: Item, _ context: KeyedContext<Int64>, _ out: Collector<Pair>) {
            let next = (count.value ?? 0) + 1
            count.value = next
            records &+= 1
            if records & 1023 == 0 {
                if let start { stretches.add(start.secondsSince * 1000) }
                start = .now
            }
            out.emit(Pair(item.key, next))
        }
    }
}

extension Sequence {
    fileprivate func asyncMap<Result>(_ body: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await body(element)) }
        return results
    }
}
