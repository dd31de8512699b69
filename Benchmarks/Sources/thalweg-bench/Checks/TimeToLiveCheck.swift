// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check ttl`: state that expires stays within bounds (A25.2).

import ArgumentParser
import Foundation
import Thalweg

/// Writes new keys at a steady rate, each once, into state with a time to live, then waits until all has gone. Fails when
/// entries or memory go on growing, or when entries stay.
struct TimeToLiveCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ttl", abstract: "Measure how much state with a time to live is kept.")

    @Option(help: "New keys per second.") var rate = 50_000
    @Option(help: "The time to live.") var ttl = Duration.seconds(10)
    @Option(help: "How long keys come.") var time = Duration.seconds(45)

    private struct Once: KeyedProcessFunction {
        @State var seen: ValueState<Int64>

        init(_ ttl: Duration) { _seen = State(wrappedValue: ValueState(ttl: StateTTL(ttl))) }

        mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Int64>) {
            seen.value = number
        }
    }

    private struct Sample {
        var seconds: Double
        var entries: Int
        var residentBytes: Int
    }

    func run() async throws {
        let env = StreamEnvironment()
        let (numbers, feed) = AsyncStream.makeStream(of: [Int64].self)
        try env.read(.async(numbers), name: "keys").flatMap { (numbers, out: Collector<Int64>) in
            for number in numbers { out.emit(number) }
        }
        .keyed { $0 }.process(Once(ttl), name: "once").write(to: .blackHole())
        let execution = try env.makeExecution()
        guard let node = execution.graph.streamGraph.nodes.first(where: { $0.name == "once" })?.id else { return }
        let job = Task { try await execution.run() }
        let samples = try await feedAndWatch(execution, node, feed)
        feed.finish()
        _ = try await job.value
        if !judge(samples) { throw ExitCode.failure }
    }

    /// Feeds keys for a time, then none for another, and looks once a second.
    private func feedAndWatch(
        _ execution: JobExecution, _ node: Int, _ feed: AsyncStream<[Int64]>.Continuation
    ) async throws -> [Sample] {
        let start = MonotonicTime.now
        let (input, life) = (Self.seconds(time), Self.seconds(ttl))
        var (sent, samples): (Int64, [Sample]) = (0, [])
        while start.secondsSince < input + life + 5.5 {
            let now = start.secondsSince
            let due = Int64(min(now, input) * Double(rate))
            if due > sent { feed.yield(Array(sent..<due)) }
            sent = due
            if now >= Double(samples.count + 1) {
                samples.append(
                    Sample(
                        seconds: now, entries: entries(execution, node), residentBytes: try Self.residentBytes()))
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        return samples
    }

    /// Each record makes an entry, so what has not been removed is there.
    private func entries(_ execution: JobExecution, _ node: Int) -> Int {
        execution.metrics.subtasks(of: node).reduce(0) {
            $0 + $1.recordsIn.value - $1.ttl.sweptEntries.value - $1.ttl.expiredOnRead.value
        }
    }

    private func judge(_ samples: [Sample]) -> Bool {
        let (input, life) = (Self.seconds(time), Self.seconds(ttl))
        let steady = samples.filter { $0.seconds >= life * 2.5 && $0.seconds <= input }
        let most = steady.map(\.entries).max() ?? .max
        let limit = 1.2 * Double(rate) * life
        let middle = steady.count / 2
        let (before, after) = (
            steady[..<middle].map(\.residentBytes).max() ?? 0, steady[middle...].map(\.residentBytes).max() ?? .max
        )
        let growth = Double(after) / Double(max(1, before)) - 1
        let least = samples.filter { $0.seconds > input && $0.seconds <= input + life + 5.5 }.last?.entries ?? .max
        return [
            report("at most \(most) entries from second \(Int(life * 2.5)) on", holds: Double(most) <= limit),
            report(
                "no fewer than \(Int(Double(rate) * life * 0.9)) of them: the keys came",
                holds: Double(most) >= Double(rate) * life * 0.9),
            report("resident memory \(before >> 20) MiB, then \(after >> 20) MiB", holds: growth <= 0.05),
            report(
                "\(least) entries \(Int(life) + 5) s after the last key", holds: Double(least) <= 0.01 * Double(most)),
        ].allSatisfy(\.self)
    }

    private func report(_ text: String, holds: Bool) -> Bool {
        print("A25.2  \(holds ? "holds " : "MISSED")  \(text)")
        return holds
    }

    private static func seconds(_ duration: Duration) -> Double { duration / .seconds(1) }

    /// What the process has in memory now.
    private static func residentBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .ascii)
        let fields = text.split(separator: " ")
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * 4096
    }
}
