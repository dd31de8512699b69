// SPDX-License-Identifier: Apache-2.0
//  What a run cost.

import Foundation
public import Thalweg
import ThalwegGraph

/// What it took to run a job, as one line or as JSON.
public struct RunSummary: Sendable {
    /// The query or measure.
    public var name: String
    /// What this run has read, also of kinds that the query has no use for; not what runs before it had read.
    public var events: Int64
    public var parallelism: Int
    public var rowsOut: Int
    public var wallSeconds: Double
    /// User and system time of all threads while the job ran.
    public var cpuSeconds: Double
    /// The greatest resident size of the process so far, in MiB.
    public var peakMemory: Double
    /// The snapshot that the job was stopped with; nil when it ended by itself.
    public var stoppedWith: SnapshotReport?

    public init(
        name: String, events: Int64, parallelism: Int, rowsOut: Int, wallSeconds: Double, cpuSeconds: Double,
        peakMemory: Double
    ) {
        self.name = name
        self.events = events
        self.parallelism = parallelism
        self.rowsOut = rowsOut
        self.wallSeconds = wallSeconds
        self.cpuSeconds = cpuSeconds
        self.peakMemory = peakMemory
    }

    /// Million events per second.
    public var rate: Double { Double(events) / max(wallSeconds, 1e-6) / 1e6 }
    /// Million events per second of processor time.
    public var cpuRate: Double { Double(events) / max(cpuSeconds, 1e-6) / 1e6 }

    /// Runs a job to its end and measures it.
    ///
    /// - Parameter events: how many events went in, when that is not what the sources count.
    public static func run(
        _ name: String, events: Int64? = nil, in env: StreamEnvironment, stopping: StopPolicy = StopPolicy()
    ) async throws -> RunSummary {
        let runner = JobRunner(name: name, environment: env, output: .notices, stopping: stopping)
        let execution = try env.makeExecution()
        let cpu = ProcessUsage().cpuSeconds
        let start = MonotonicTime.now
        let report = try await runner.run(execution)
        let wall = start.secondsSince
        let sources = env.graph.nodes.filter { $0.kind == "source" }
        let rows = env.graph.nodes.filter { $0.kind == "sink" }
            .reduce(0) { $0 + execution.metrics.total(of: $1.id, \.recordsIn) }
        var summary = RunSummary(
            name: name,
            events: events ?? Int64(sources.reduce(0) { $0 + execution.metrics.eventsRead(by: $1.id) }),
            parallelism: env.settings.parallelism, rowsOut: rows, wallSeconds: wall,
            cpuSeconds: ProcessUsage().cpuSeconds - cpu, peakMemory: Double(ProcessUsage().peakMemoryBytes) / 1_048_576)
        summary.stoppedWith = report.stoppedWith
        return summary
    }

    /// One JSON object, without a line break.
    public var json: String {
        "{\"name\":\"\(name)\",\"events\":\(events),\"parallelism\":\(parallelism),\"rows_out\":\(rowsOut)"
            + ",\"wall_s\":\(Self.text(wallSeconds, 3)),\"cpu_s\":\(Self.text(cpuSeconds, 3))"
            + ",\"m_events_per_s\":\(Self.text(rate, 3)),\"m_events_per_cpu_s\":\(Self.text(cpuRate, 3))"
            + ",\"peak_rss_mb\":\(Self.text(peakMemory, 1))\(stop.map { ",\"stoppedWith\":\($0)" } ?? "")}"
    }

    /// The snapshot of a stop as JSON.
    private var stop: String? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let stoppedWith, let bytes = try? encoder.encode(stoppedWith) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// One line for people.
    public var line: String {
        "\(name): \(events) events in \(Self.text(wallSeconds, 2)) s, \(Self.text(cpuSeconds, 2)) CPU-s: "
            + "\(Self.text(rate, 2)) M events/s, \(Self.text(cpuRate, 2)) M events/CPU-s, "
            + "peak \(Self.text(peakMemory, 0)) MB, \(rowsOut) rows out"
            + (stoppedWith.map { ", stopped: \($0.kind.rawValue) snapshot \($0.path ?? "none")" } ?? "")
    }

    /// A number with so many decimals.
    private static func text(_ number: Double, _ decimals: Int) -> String {
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let unscaled = Int64((number * scale).rounded())
        if decimals == 0 { return "\(unscaled)" }
        let fraction = "\(unscaled % Int64(scale))"
        return "\(unscaled / Int64(scale))." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }
}

extension JobMetrics {
    /// What a source has read.
    fileprivate func eventsRead(by source: Int) -> Int {
        total(of: source, \.recordsOut) + total(of: source, \.passedOver)
    }
}
