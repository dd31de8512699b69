// SPDX-License-Identifier: Apache-2.0
//  Tests a keyed process function alone, in virtual time.

import Thalweg

/// Runs a keyed process function without a job: push records, move time, look at outputs, timers and state.
///
///     let harness = try KeyedHarness(Changes(), keyedBy: \.auction)
///     try harness.push(bid, at: 1_000)
///     try harness.advanceWatermark(to: 60_000)
///     #expect(harness.outputs == [...])
///     #expect(harness.keyCount == 0)  // everything was cleaned up
public final class KeyedHarness<Function: KeyedProcessFunction> {
    public typealias Input = Function.Input
    public typealias Output = Function.Output
    /// The harness of the operator below, for signals and metrics.
    public let base: OperatorHarness<Input, Output>
    private let op: KeyedProcessOperator<Function>

    public init(
        _ function: Function, keyedBy key: @escaping (Input) -> Function.Key, name: String = "function",
        restoring state: (any RestoredState)? = nil, subtask: Int = 0, parallelism: Int = 1,
        maxParallelism: Int = 128, onError policy: RecordErrorPolicy = .fail, batchCapacity: Int = 1024,
        startingAt milliseconds: Int64 = 0, sides: [any AnySideProbe] = []
    ) throws {
        var made: KeyedProcessOperator<Function>?
        base = try OperatorHarness(
            name: name, restoring: state, subtask: subtask, parallelism: parallelism, maxParallelism: maxParallelism,
            batchCapacity: batchCapacity, startingAt: milliseconds, sides: sides
        ) { context in
            let op = try KeyedProcessOperator(function, key: key, onError: policy, in: context)
            made = op
            return OperatorInstance(op, in: context)
        }
        guard let made else { throw ThalwegError(.bug, "the harness made no operator") }
        op = made
    }

    public var outputs: [Output] { base.outputs }
    public var timedOutputs: [(element: Output, time: EventTime)] { base.timedOutputs }
    public func takeOutputs() -> [Output] { base.takeOutputs() }
    public func push(_ values: Input..., at time: Int64? = nil) throws { try base.push(values.map { ($0, time) }) }
    public func push(_ values: [(Input, Int64?)]) throws { try base.push(values) }
    public func advanceWatermark(to milliseconds: Int64) throws { try base.advanceWatermark(to: milliseconds) }
    public func advanceProcessingTime(to milliseconds: Int64) throws {
        try base.advanceProcessingTime(to: milliseconds)
    }
    public func finish() throws { try base.finish() }
    /// Freezes state and timers and writes them into memory.
    public func snapshot() throws -> MemorySnapshot { try base.snapshot() }

    /// The number of keys for which anything (a state, a timer) is kept.
    public var keyCount: Int { op.runtime.store.table.count }
    /// The number of event-time timers that will fire.
    public var eventTimerCount: Int { op.runtime.eventTimers.count }
    /// The number of processing-time timers that will fire.
    public var processingTimerCount: Int { op.runtime.processingTimers.count }
}
