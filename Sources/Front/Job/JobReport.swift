// SPDX-License-Identifier: Apache-2.0
//  What a job has done so far, and at what cost.

import Foundation
import ThalwegBase
import ThalwegGraph
import ThalwegOperator
import ThalwegRuntime

/// The state of a job in figures.
public struct JobReport: Codable, Sendable {
    /// Records that sources have read.
    public var records: Int
    /// Bytes that sources have read.
    public var bytes: Int
    /// Records that reached sinks.
    public var recordsOut: Int
    /// Records left out or sent to dead letters.
    public var rejected: Int
    /// Records dropped because their windows had closed.
    public var lateDropped: Int
    /// Windows that accepted records came too late for.
    public var latePartial: Int
    /// Records emitted to side outputs that nobody reads.
    public var droppedNoConsumer: Int
    /// The least watermark of all event-time steps, nil before there is one.
    public var eventTime: EventTime?
    /// Seconds since the job began.
    public var seconds: Double
    /// User and system time of this process.
    public var cpuSeconds: Double
    /// The most memory this process has used.
    public var peakMemoryBytes: Int
    /// Checkpoints that were completed.
    public var checkpoints: Int
    /// The longest time a task stood still for one, in milliseconds.
    public var checkpointPauseMillis: Double
    /// Failures that led to a restart.
    public var failovers: Int
    /// What memory was given and used for.
    public var memory: MemoryReport
    /// The snapshot that the job was stopped with; nil when it ended by itself.
    public var stoppedWith: SnapshotReport?

    public init(of execution: JobExecution, seconds: Double) {
        let nodes = execution.graph.streamGraph.nodes
        func total(_ counter: (OperatorMetrics) -> Counter, _ kinds: Set<String>? = nil) -> Int {
            nodes.filter { kinds?.contains($0.kind) ?? true }.reduce(0) {
                $0 + execution.metrics.total(of: $1.id, counter)
            }
        }
        records = total({ $0.recordsOut }, ["source"])
        bytes = total { $0.bytesIn }
        recordsOut = total({ $0.recordsIn }, ["sink"])
        rejected = total { $0.rejected }
        lateDropped = total { $0.lateDropped }
        latePartial = total { $0.latePartial }
        droppedNoConsumer = total { $0.droppedNoConsumer }
        let watermarks = nodes.filter { $0.kind == "timestamps" }
            .flatMap { execution.metrics.subtasks(of: $0.id) }.map { Int64($0.watermark.value) }
        eventTime = watermarks.min().flatMap { $0 == .min ? nil : EventTime(milliseconds: $0) }
        self.seconds = seconds
        checkpoints = execution.checkpoints.completed.value
        checkpointPauseMillis = Double(execution.checkpoints.synchronousNanosMax.value / 1000) / 1000
        failovers = execution.checkpoints.failovers.value
        memory = MemoryReport(of: execution)
        let usage = ProcessUsage()
        cpuSeconds = usage.cpuSeconds
        peakMemoryBytes = usage.peakMemoryBytes
    }
}

/// What the memory of a job was given and used for, in bytes.
public struct MemoryReport: Codable, Sendable {
    /// What the process may use; nil when no memory was given.
    public var limitBytes: Int?
    /// What all channels between tasks may hold; nil when no memory was given.
    public var exchangeLimitBytes: Int?
    /// The most that lay in the channels between tasks at a time.
    public var exchangePeakBytes: Int
    /// Pages and tables of state now.
    public var stateBytes: Int

    init(of execution: JobExecution) {
        let metrics = execution.metrics.memory
        limitBytes = execution.memoryPlan?.processBytes
        exchangeLimitBytes = limitBytes == nil ? nil : metrics.exchanges.boundBytes
        exchangePeakBytes = metrics.exchanges.peakBytes
        stateBytes = metrics.stateBytes
    }
}

extension Encodable {
    /// The value as one line of JSON, keys sorted.
    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}
