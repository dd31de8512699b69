// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check`: the costs that the proposals set limits to (A13.4, A13.6, A21.1, A21.4).

import ArgumentParser
import Thalweg

/// Measures side outputs and the modes of hand-over, and prints ratios. Fails when a limit is missed.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Measure what side outputs and hand-over between operators cost.",
        subcommands: [
            AsyncCheck.self, CheckpointCheck.self, TimeToLiveCheck.self, UnionCheck.self, CancelCheck.self,
            RunCheck.self, StateCheck.self, TiersCheck.self, PanesCheck.self, SnapshotsCheck.self, StopCheck.self,
            FailuresCheck.self, TimeToLiveCostCheck.self, MapsCheck.self,
        ])

    @Option(help: "How many events.")
    var events: Int64 = 10_000_000

    func run() async throws {
        var verdicts: [Bool] = []
        verdicts += try await sideOutputs()
        verdicts += try await handOver()
        if verdicts.contains(false) { throw ExitCode.failure }
    }

    private func report(_ check: String, _ text: String, holds: Bool) -> Bool {
        print("\(check)  \(holds ? "holds " : "MISSED")  \(text)")
        return holds
    }

    /// The best CPU time of three runs.
    private func cpu(
        mode: ObjectReuseMode = .default, _ build: (StreamEnvironment) throws -> Void
    ) async throws -> (seconds: Double, peakGrowthBytes: Int) {
        var best = Double.infinity
        var grown = 0
        for _ in 0..<3 {
            let env = StreamEnvironment()
            env.settings.objectReuse = mode
            try build(env)
            let before = ProcessUsage()
            try await env.execute()
            best = min(best, ProcessUsage().cpuSeconds - before.cpuSeconds)
            grown = ProcessUsage().peakMemoryBytes - before.peakMemoryBytes
        }
        return (best, grown)
    }

    // MARK: FLIP-13

    struct Five: ProcessFunction {
        @Side var one = SideOutput(OutputTag<Item>("1"))
        @Side var two = SideOutput(OutputTag<Item>("2"))
        @Side var three = SideOutput(OutputTag<Item>("3"))
        @Side var four = SideOutput(OutputTag<Item>("4"))
        @inline(__always)
        mutating func process(_ item: Item, _ context: ProcessContext, _ out: Collector<Item>) {
            switch item.value % 5 {
            case 1: one.emit(item)
            case 2: two.emit(item)
            case 3: three.emit(item)
            case 4: four.emit(item)
            default: out.emit(item)
            }
        }
    }

    /// Emits one record in `every` to a side output (none when 0).
    struct Now: ProcessFunction {
        @Side var side = SideOutput(OutputTag<Item>("side"))
        let every: Int64
        @inline(__always)
        mutating func process(_ item: Item, _ context: ProcessContext, _ out: Collector<Item>) {
            if every > 0 && item.value % every == 0 { side.emit(item) } else { out.emit(item) }
        }
    }

    private func sideOutputs() async throws -> [Bool] {
        let events = self.events
        let tags = try await cpu { env in
            let five = Item.stream(events: events, keys: 1000, in: env).process(Five())
            five.write(to: BlackHoleSink<Item>())
            for tag in ["1", "2", "3", "4"] {
                try five.sideOutput(OutputTag<Item>(tag)).write(to: BlackHoleSink<Item>())
            }
        }
        let filters = try await cpu { env in
            let items = Item.stream(events: events, keys: 1000, in: env)
            for part in 0..<5 as Range<Int64> {
                items.filter { $0.value % 5 == part }.write(to: BlackHoleSink<Item>())
            }
        }
        func once(_ every: Int64, read: Bool) async throws -> Double {
            try await cpu { env in
                let now = Item.stream(events: events, keys: 1000, in: env).process(Now(every: every))
                now.write(to: BlackHoleSink<Item>())
                if read { try now.sideOutput(OutputTag<Item>("side")).write(to: BlackHoleSink<Item>()) }
            }.seconds
        }
        // The divisor is the same in all three; 1 << 62 never divides but 0.
        let none = try await once(1 << 62, read: true)
        let rare = try await once(100, read: true)
        let unread = try await once(1, read: false)
        let unreadCost = (unread - none) / Double(events) * 1e9
        return [
            report(
                "A13.6", "five tags take \(rounded(tags.seconds / filters.seconds)) of the time of five filters",
                holds: tags.seconds <= filters.seconds),
            report(
                "A13.6", "a tag for 1 % of the records costs \(rounded((rare / none - 1) * 100)) %",
                holds: rare <= none * 1.02),
            report("A13.4", "an unread tag costs \(rounded(unreadCost)) ns a record", holds: unreadCost <= 5),
        ]
    }

    // MARK: FLIP-21

    struct Wide: Codable, Sendable {
        var id: Int64
        var a: Int64
        var b: Int32
        var c: Double
        var d: Bool
        var e: Int64
        var name: String
        var city: String
        var note: String
        var values: [Double]
    }

    private func handOver() async throws -> [Bool] {
        let count = max(1, events / 50)
        let pattern = Wide(
            id: 0, a: 1, b: 2, c: 3, d: true, e: 4, name: "a name that is longer than fifteen bytes",
            city: "a city that is longer than fifteen bytes", note: "a note that is longer than fifteen bytes",
            values: Array(repeating: 0.5, count: 64))
        var seconds: [ObjectReuseMode: Double] = [:]
        for mode in [ObjectReuseMode.default, .copyPerOperator] {
            seconds[mode] = try await cpu(mode: mode) { env in
                var stream = env.read(GeneratedSource(0..<count) { _ in pattern })
                for _ in 0..<6 {
                    stream = stream.map { row in
                        var row = row
                        row.id &+= 1
                        return row
                    }
                }
                stream.write(to: BlackHoleSink<Wide>())
            }.seconds
        }
        let ratio = (seconds[.copyPerOperator] ?? 0) / (seconds[.default] ?? 1)
        let events = self.events
        let reuse = try await cpu(mode: .fullReuse) { env in
            Item.stream(events: events, keys: 1000, in: env).map { $0 }.filter { $0.value >= 0 }.map { $0 }
                .filter { $0.key >= 0 }.write(to: BlackHoleSink<Item>())
        }
        let kept = Double(reuse.peakGrowthBytes) / Double(events)
        return [
            report(
                "A21.1", "no copies are \(rounded(ratio)) times as fast as a copy at each of 6 hops", holds: ratio >= 3),
            report(
                "A21.4", "\(rounded(kept)) bytes of peak memory a record through 4 operators", holds: kept <= 0.01),
        ]
    }

    private func rounded(_ number: Double) -> Double { (number * 100).rounded() / 100 }
}
