// SPDX-License-Identifier: Apache-2.0
//  A function over two keyed streams that share state per key.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// A function over two streams keyed by the same type; both see the same state.
public protocol KeyedCoProcessFunction<Key, First, Second, Output>: SendableMetatype {
    associatedtype Key: Hashable & Codable & Sendable
    associatedtype First: Sendable
    associatedtype Second: Sendable
    associatedtype Output: Sendable
    mutating func processFirst(_ value: First, _ context: KeyedContext<Key>, _ out: Collector<Output>) throws
    mutating func processSecond(_ value: Second, _ context: KeyedContext<Key>, _ out: Collector<Output>) throws
    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Key>, _ out: Collector<Output>) throws
}

extension KeyedCoProcessFunction {
    @inlinable
    public mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Key>, _ out: Collector<Output>
    ) throws {}
}

/// Runs a keyed function of two inputs.
public final class KeyedCoProcessOperator<Function: KeyedCoProcessFunction>: TwoInputOperator {
    public let collector: Collector<Function.Output>
    public let runtime: KeyedRuntime<Function.Key>
    @usableFromInline let firstKey: (Function.First) -> Function.Key
    @usableFromInline let secondKey: (Function.Second) -> Function.Key
    @usableFromInline let clock: RecordClock
    @usableFromInline let errors: RecordErrorHandler
    @usableFromInline let binding: FunctionBinding
    @usableFromInline let metrics: OperatorMetrics
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var function: Function
    @exclusivity(unchecked) @usableFromInline var seen = 0

    @inlinable
    public init(
        _ function: Function, firstKey: @escaping (Function.First) -> Function.Key,
        secondKey: @escaping (Function.Second) -> Function.Key, onError policy: RecordErrorPolicy,
        in context: OperatorContext
    ) throws {
        self.function = function
        self.firstKey = firstKey
        self.secondKey = secondKey
        runtime = try KeyedRuntime(context)
        collector = context.mainCollector()
        clock = context.recordClock
        errors = context.errorHandler(policy)
        metrics = context.metrics
        binding = FunctionBinding(of: function)
        try binding.bind(to: runtime.store, in: context)
        let service = context.processingTime
        runtime.context.onProcessingTime = { [unowned self] in
            try self.fire(.processingTime, upTo: service.now)
            try self.collector.flush()
            try self.flushSides()
        }
    }

    @inlinable
    public func processFirst(_ batch: Batch<Function.First>) throws {
        try runtime.resolve(batch, by: firstKey)
        try each(batch) { function, value, context, out in try function.processFirst(value, context, out) }
    }

    @inlinable
    public func processSecond(_ batch: Batch<Function.Second>) throws {
        try runtime.resolve(batch, by: secondKey)
        try each(batch) { function, value, context, out in try function.processSecond(value, context, out) }
    }

    @inlinable @inline(__always)
    func each<Element>(
        _ batch: Batch<Element>,
        _ body: (inout Function, Element, KeyedContext<Function.Key>, Collector<Function.Output>) throws -> Void
    ) throws {
        let (times, count, isTimed) = (batch.times, batch.count, batch.isTimed)
        let (slots, store, clock, collector, context) = (
            runtime.slots, runtime.store, clock, collector, runtime.context
        )
        try batch.drain { index, value in
            store.slot = Int(slots[index])
            clock.time = isTimed ? times[index] : .min
            do { try body(&function, value, context, collector) } catch {
                try errors.handle(error, position: "record \(seen + index)", record: String(describing: value))
            }
            runtime.noteEmptied()
        }
        seen &+= count
        try runtime.endBatch()
    }

    @inlinable
    public func advance(to watermark: Watermark) throws {
        clock.watermark = max(clock.watermark, watermark.time.milliseconds)
        try fire(.eventTime, upTo: watermark.time.milliseconds)
    }

    @inlinable
    func fire(_ domain: TimeDomain, upTo limit: Int64) throws {
        try runtime.fire(domain, upTo: limit, errors) { time in
            try function.onTimer(at: time, domain, runtime.context, collector)
        }
    }

    public func snapshot(into snapshot: inout OperatorSnapshot) throws {
        try runtime.snapshot(into: &snapshot, time: clock.watermark)
        try binding.snapshot(into: &snapshot)
    }

    public func declare(_ states: inout StateDeclarations) throws {
        try runtime.declare(&states)
        try binding.declare(&states)
    }

    public func restore(from state: any RestoredState) throws {
        if let time = try runtime.restore(from: state) { clock.watermark = time }
        try binding.restore(from: state)
        binding.closeRestored()
    }

    @inlinable
    public func flushSides() throws {
        try errors.flush()
        if !binding.sides.isEmpty { try binding.flushSides(metrics) }
    }
}
