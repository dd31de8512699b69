// SPDX-License-Identifier: Apache-2.0
//  A function with side outputs, without keys.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// What a process function may ask while it processes a record.
public final class ProcessContext {
    @usableFromInline let clock: RecordClock
    private let service: any ProcessingTimeService
    public let subtask: Int
    public let parallelism: Int

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
public protocol ProcessFunction<Input, Output>: SendableMetatype {
    associatedtype Input: Sendable
    associatedtype Output: Sendable
    mutating func process(_ value: Input, _ context: ProcessContext, _ out: Collector<Output>) throws
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

    @inlinable
    public func flushSides() throws {
        try errors.flush()
        if !binding.sides.isEmpty { try binding.flushSides(metrics) }
    }
}
