// SPDX-License-Identifier: Apache-2.0
//  A function with state and timers per key.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// A function over a keyed stream that declares its state as properties and may set timers.
///
///     struct Changes: KeyedProcessFunction {
///         @State var last = ValueState<Int64>()
///         mutating func process(_ bid: Bid, _ context: KeyedContext<Int64>, _ out: Collector<Int64>) {
///             if let last = last.value { out.emit(bid.price - last) }
///             last.value = bid.price
///         }
///     }
public protocol KeyedProcessFunction<Key, Input, Output>: SendableMetatype {
    associatedtype Key: Hashable & Codable & Sendable
    associatedtype Input: Sendable
    associatedtype Output: Sendable
    mutating func process(_ value: Input, _ context: KeyedContext<Key>, _ out: Collector<Output>) throws
    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Key>, _ out: Collector<Output>) throws
}

extension KeyedProcessFunction {
    @inlinable
    public mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Key>, _ out: Collector<Output>
    ) throws {}
}

/// Runs a keyed process function.
public final class KeyedProcessOperator<Function: KeyedProcessFunction>: OneInputOperator {
    public let collector: Collector<Function.Output>
    public let runtime: KeyedRuntime<Function.Key>
    @usableFromInline let key: (Function.Input) -> Function.Key
    @usableFromInline let clock: RecordClock
    @usableFromInline let errors: RecordErrorHandler
    @usableFromInline let binding: FunctionBinding
    @usableFromInline let metrics: OperatorMetrics
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var function: Function
    @exclusivity(unchecked) @usableFromInline var seen = 0

    @inlinable
    public init(
        _ function: Function, key: @escaping (Function.Input) -> Function.Key, onError policy: RecordErrorPolicy,
        in context: OperatorContext
    ) throws {
        self.function = function
        self.key = key
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
    public func process(_ batch: Batch<Function.Input>) throws {
        try runtime.resolve(batch, by: key)
        let (times, count, isTimed) = (batch.times, batch.count, batch.isTimed)
        let (slots, store, clock, collector, context) = (
            runtime.slots, runtime.store, clock, collector, runtime.context
        )
        try batch.drain { index, value in
            store.slot = Int(slots[index])
            clock.time = isTimed ? times[index] : .min
            do { try function.process(value, context, collector) } catch {
                try errors.handle(error, position: "record \(seen + index)", record: String(describing: value))
            }
            runtime.noteEmptied()
        }
        seen &+= count
        try runtime.endBatch()
    }

    @inlinable
    public func advance(to watermark: Watermark) throws {
        // Timers see the time that has come, so that what they register for it fires at once.
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
