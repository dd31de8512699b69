// SPDX-License-Identifier: Apache-2.0
//  Drives one operator with one input, without a job.

import Thalweg

/// Drives one operator by hand: push records and watermarks, move processing time, look at what comes out.
///
///     let harness = try OperatorHarness<Int, Int> { context in
///         OperatorInstance(MapOperator({ $0 * 2 }, onError: .fail, in: context), in: context)
///     }
///     try harness.push(1, 2, 3)
///     #expect(harness.outputs == [2, 4, 6])
///
/// Used from one thread. Nothing is asynchronous: when a call returns, what it caused has happened.
public final class OperatorHarness<Input: Sendable, Output: Sendable> {
    public let time: VirtualTime
    public let metrics = OperatorMetrics()
    public let commits = CommitLedger()
    /// The signals that came out, in order.
    public private(set) var signals: [Signal] = []
    /// What came out of the main output, with timestamps.
    public private(set) var timedOutputs: [(element: Output, time: EventTime)] = []
    private let batchCapacity: Int
    private let seat: (name: String, subtask: Int, maxParallelism: Int)
    private var instance: OperatorInstance?

    public init(
        name: String = "operator", batchCapacity: Int = 1024, startingAt milliseconds: Int64 = 0,
        sides: [any AnySideProbe] = [], restoring state: (any RestoredState)? = nil, subtask: Int = 0,
        parallelism: Int = 1, maxParallelism: Int = 128, _ make: OperatorFactoryBody
    ) throws {
        seat = (name, subtask, maxParallelism)
        time = VirtualTime(startingAt: milliseconds)
        self.batchCapacity = batchCapacity
        var outlets: [String?: Any] = [:]
        for side in sides { outlets[side.id] = side.outlet }
        outlets[nil] = Inlet<Output>(
            push: { [unowned self] in timedOutputs += $0.timedElements },
            signal: { [unowned self] in signals.append($0) })
        instance = try make(
            OperatorContext(
                name: name, subtask: subtask, parallelism: parallelism, maxParallelism: maxParallelism,
                processingTime: time, metrics: metrics,
                objectReuse: .default, batchCapacity: batchCapacity, outlets: outlets, wake: {}, commits: commits))
        if let state {
            try instance?.restore?(state)
            try pump()
        }
    }

    /// Whether the operator takes no input for now.
    public var isHeldUp: Bool { instance?.isHeldUp?() ?? false }
    /// Whether nothing that came in is still to come out.
    public var isDrained: Bool { instance?.isDrained?() ?? true }

    /// Lets the operator emit what became ready outside, as the runtime does at every poll.
    public func pump() throws {
        while try instance?.pump?() ?? false {}
    }

    /// Passes a barrier and returns what the operator stores, read back from its bytes.
    public func snapshot(checkpoint: Int64 = 1, kind: CheckpointKind = .checkpoint) throws -> HarnessSnapshot {
        let barrier = CheckpointBarrier(checkpoint: checkpoint, kind: kind, time: time.now)
        try instance?.signal(.barrier(barrier))
        var snapshot = OperatorSnapshot(
            operatorName: seat.name, subtask: seat.subtask, maxParallelism: seat.maxParallelism, barrier: barrier,
            isFinal: false)
        try instance?.snapshot?(&snapshot)
        let state = try HarnessSnapshot(snapshot.parts, parallelism: 1)
        for release in snapshot.releases { release() }
        return state
    }

    /// Makes the operator from its context.
    public typealias OperatorFactoryBody = (OperatorContext) throws -> OperatorInstance

    /// What came out of the main output.
    public var outputs: [Output] { timedOutputs.map(\.element) }

    /// What came out since the last call.
    public func takeOutputs() -> [Output] {
        defer { timedOutputs = [] }
        return outputs
    }

    /// Pushes records, in batches of the harness's capacity.
    ///
    /// - Parameter time: their timestamp in milliseconds; nil pushes records without one.
    public func push(_ values: Input..., at time: Int64? = nil) throws { try push(values.map { ($0, time) }) }

    /// Pushes records with timestamps of their own.
    public func push(_ values: [(Input, Int64?)]) throws {
        guard let push = instance?.pushes.first as? (Batch<Input>) throws -> Void else {
            throw ThalwegError(.job, "the operator takes another type", detail: "the harness pushes \(Input.self)")
        }
        var rest = values[...]
        while let isTimed = rest.first.map({ $0.1 != nil }) {
            let batch = Batch<Input>(capacity: batchCapacity)
            while let (value, time) = rest.first, (time != nil) == isTimed, !batch.isFull {
                batch.append(value, time: time ?? .min)
                rest.removeFirst()
            }
            batch.isTimed = isTimed
            try push(batch)
        }
        try pump()
    }

    /// Brings event time to a moment in milliseconds.
    public func advanceWatermark(to milliseconds: Int64) throws {
        try signal(.watermark(Watermark(EventTime(milliseconds: milliseconds))))
    }

    /// Moves processing time; what is due fires on the way.
    public func advanceProcessingTime(to milliseconds: Int64) throws {
        while let next = time.nextTime, next <= milliseconds {
            try time.advance(to: next)
            try pump()
        }
        try time.advance(to: milliseconds)
        try pump()
    }

    /// Sends any signal in.
    public func signal(_ signal: Signal) throws {
        try instance?.signal(signal)
        try pump()
    }

    /// Ends the input as the runtime does: event time comes to its end, then the end itself. Processing time goes on
    /// as far as the operator needs to emit what it holds.
    ///
    /// - Throws: `ThalwegError(.job)` when the operator waits for something outside the harness.
    public func finish() throws {
        try signal(.watermark(.end))
        try signal(.end)
        while !isDrained, let next = time.nextTime { try advanceProcessingTime(to: next) }
        guard isDrained else {
            throw ThalwegError(
                .job, "the operator still waits for something outside", hint: "complete its calls, then finish again")
        }
        close()
    }

    /// Releases the operator, as when the job fails.
    public func close() {
        instance?.close()
        instance = nil
    }
}
