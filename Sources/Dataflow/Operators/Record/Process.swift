// SPDX-License-Identifier: Apache-2.0
//  A function with side outputs and state of its subtask, without keys.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// What a process function may ask while it processes a record.
public final class ProcessContext {
    @usableFromInline let clock: RecordClock
    private let service: any ProcessingTimeService
    public let subtask: Int
    public let parallelism: Int
    /// Whether the function's state comes from a snapshot.
    public internal(set) var isRestored = false

    @usableFromInline
    init(_ context: OperatorContext) {
        clock = context.recordClock
        service = context.processingTime
        subtask = context.subtask
        parallelism = context.parallelism
    }

    /// The event time of the record; nil when the stream has no timestamps.
    @inlinable public var timestamp: EventTime? {
        clock.time == .min ? nil : EventTime(milliseconds: clock.time)
    }
    @inlinable public var watermark: Watermark { Watermark(EventTime(milliseconds: clock.watermark)) }
    public var processingTime: EventTime { EventTime(milliseconds: service.now) }
}

/// A function that emits any number of records to its main output and to the side outputs it declares with `@Side`.
///
/// It may declare state of its subtask with `@State`: `OperatorListState` (FLIP-8).
public protocol ProcessFunction<Input, Output>: SendableMetatype {
    associatedtype Input: Sendable
    associatedtype Output: Sendable
    /// Called once in each subtask before anything else, also after a restore: then `context.isRestored` is true and
    /// the state is there.
    mutating func open(_ context: ProcessContext) throws
    mutating func process(_ value: Input, _ context: ProcessContext, _ out: Collector<Output>) throws
}

extension ProcessFunction {
    @inlinable
    public mutating func open(_ context: ProcessContext) throws {}
}

/// Runs a process function.
public final class ProcessOperator<Function: ProcessFunction>: OneInputOperator {
    public let collector: Collector<Function.Output>
    @usableFromInline let context: ProcessContext
    @usableFromInline let clock: RecordClock
    @usableFromInline let errors: RecordErrorHandler
    @usableFromInline let binding: FunctionBinding
    @usableFromInline let metrics: OperatorMetrics
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var function: Function
    @exclusivity(unchecked) @usableFromInline var seen = 0
    @exclusivity(unchecked) @usableFromInline var isOpen = false

    @inlinable
    public init(_ function: Function, onError policy: RecordErrorPolicy, in context: OperatorContext) throws {
        self.function = function
        self.context = ProcessContext(context)
        collector = context.mainCollector()
        clock = context.recordClock
        errors = context.errorHandler(policy)
        metrics = context.metrics
        binding = FunctionBinding(of: function)
        try binding.bind(to: nil, in: context)
    }

    @inlinable
    public func process(_ batch: Batch<Function.Input>) throws {
        if !isOpen { try open() }
        let (times, count, isTimed) = (batch.times, batch.count, batch.isTimed)
        let (clock, collector, context) = (clock, collector, context)
        collector.split = batch.split
        try batch.drain { index, value in
            clock.time = isTimed ? times[index] : .min
            do { try function.process(value, context, collector) } catch {
                try errors.handle(error, position: "record \(seen + index)", record: String(describing: value))
            }
        }
        seen &+= count
    }

    @usableFromInline
    func open() throws {
        guard !isOpen else { return }
        isOpen = true
        try function.open(context)
        binding.closeRestored()
    }

    public func finish() throws { try open() }

    public func snapshot(into snapshot: inout OperatorSnapshot) throws {
        try open()
        try binding.snapshot(into: &snapshot)
    }

    public func declare(_ states: inout StateDeclarations) throws {
        try binding.declare(&states)
    }

    public func restore(from state: any RestoredState) throws {
        try binding.restore(from: state)
        context.isRestored = true
        try open()
    }

    @inlinable
    public func flushSides() throws {
        try errors.flush()
        if !binding.sides.isEmpty { try binding.flushSides(metrics) }
    }
}
