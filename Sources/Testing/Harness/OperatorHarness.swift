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
    private let name: String
    private let subtask: Int
    private let maxParallelism: Int
    private let batchCapacity: Int
    private var instance: OperatorInstance?
    private var checkpoints: Int64 = 0

    /// - Parameters:
    ///   - state: what the operator starts with; nil: nothing.
    ///   - layering: where snapshots lie that hold only what has changed; nil: each holds all.
    ///   - rowPlace: where keyed state rests that memory has no room for; nil: all stays in memory.
    public init(
        name: String = "operator", restoring state: (any RestoredState)? = nil, subtask: Int = 0, parallelism: Int = 1,
        maxParallelism: Int = 128, batchCapacity: Int = 1024, startingAt milliseconds: Int64 = 0,
        sides: [any AnySideProbe] = [], layering: RowLayering? = nil, rowPlace: RowPlace? = nil,
        _ make: OperatorFactoryBody
    ) throws {
        time = VirtualTime(startingAt: milliseconds)
        self.name = name
        self.subtask = subtask
        self.maxParallelism = maxParallelism
        self.batchCapacity = batchCapacity
        var outlets: [String?: Any] = [:]
        for side in sides { outlets[side.id] = side.outlet }
        outlets[nil] = Inlet<Output>(
            push: { [unowned self] in timedOutputs += $0.timedElements },
            signal: { [unowned self] in signals.append($0) })
        instance = try make(
            OperatorContext(
                name: name, subtask: subtask, parallelism: parallelism, maxParallelism: maxParallelism,
                processingTime: time, metrics: metrics, objectReuse: .default, batchCapacity: batchCapacity,
                outlets: outlets, wake: {}, commits: commits, layering: layering, rowPlace: rowPlace))
        if let state {
            try instance?.restore?(state)
            try pump()
        }
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
    public func push(_ values: [(Input, Int64?)]) throws { try push(values, to: 0) }

    /// Pushes records into one of several inputs.
    public func push<Element>(_ values: [(Element, Int64?)], to input: Int) throws {
        guard let instance, input < instance.pushes.count,
            let push = instance.pushes[input] as? (Batch<Element>) throws -> Void
        else {
            throw ThalwegError(.job, "the operator takes another type", detail: "the harness pushes \(Element.self)")
        }
        var rest = values[...]
        while let isTimed = rest.first.map({ $0.1 != nil }) {
            let batch = Batch<Element>(capacity: batchCapacity)
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

    // MARK: What becomes ready outside

    /// Lets the operator emit what has become ready, such as answers to its calls, as the runtime does between batches.
    public func pump() throws { while try instance?.pump?() ?? false {} }

    /// Whether the operator takes no more for now.
    public var isHeldUp: Bool { instance?.isHeldUp?() ?? false }

    /// Whether the operator has nothing under way.
    public var isDrained: Bool { instance?.isDrained?() ?? true }

    /// Freezes the operator's state as at a barrier. Call the snapshot's `releases` once its parts are written.
    public func freeze(isFinal: Bool = false) throws -> OperatorSnapshot {
        try freeze(at: CheckpointBarrier(checkpoint: checkpoints + 1, time: time.now), isFinal: isFinal)
    }

    /// Freezes the operator's state at a barrier.
    public func freeze(at barrier: CheckpointBarrier, isFinal: Bool = false) throws -> OperatorSnapshot {
        checkpoints = barrier.checkpoint
        var snapshot = OperatorSnapshot(
            operatorName: name, subtask: subtask, maxParallelism: maxParallelism,
            barrier: barrier, isFinal: isFinal)
        try instance?.snapshot?(&snapshot)
        return snapshot
    }

    /// Freezes the operator's state and writes it into memory.
    public func snapshot() throws -> MemorySnapshot { try MemorySnapshot([freeze()]) }

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
