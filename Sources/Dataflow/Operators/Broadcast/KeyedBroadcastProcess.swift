// SPDX-License-Identifier: Apache-2.0
//  A function over a keyed stream and a broadcast stream.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// A function over a keyed stream that sees every record of a second, broadcast stream in every subtask (FLIP-8).
///
///     struct Match: KeyedBroadcastProcessFunction {
///         @State var rules = BroadcastState<String, Rule>()   // the same everywhere
///         @State var last = ValueState<Action>()              // of the current key
///         mutating func processElement(_ action: Action, _ context: KeyedContext<String>, _ out: Collector<Alert>) {
///             if let before = last.value, let rule = rules[before.name], rule.then == action.name { ... }
///             last.value = action
///         }
///         mutating func processBroadcast(_ rule: Rule, _ context: BroadcastContext, _ out: Collector<Alert>) {
///             context.update(rules) { $0[rule.first] = rule }
///         }
///     }
///
/// Records of the two streams come in no order between them. A broadcast record has no key: what `processBroadcast`
/// finds in keyed state is not defined, and it must not write there.
public protocol KeyedBroadcastProcessFunction<Key, Input, Broadcast, Output>: SendableMetatype {
    associatedtype Key: Hashable & Codable & Sendable
    associatedtype Input: Sendable
    associatedtype Broadcast: Sendable
    associatedtype Output: Sendable
    /// A record of the keyed stream. Reads broadcast state, reads and writes the state of its key.
    mutating func processElement(_ value: Input, _ context: KeyedContext<Key>, _ out: Collector<Output>) throws
    /// A record of the broadcast stream, in every subtask. May write broadcast state, the same in all of them.
    mutating func processBroadcast(_ value: Broadcast, _ context: BroadcastContext, _ out: Collector<Output>) throws
    mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Key>, _ out: Collector<Output>) throws
}

extension KeyedBroadcastProcessFunction {
    @inlinable
    public mutating func onTimer(
        at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Key>, _ out: Collector<Output>
    ) throws {}
}

/// Runs a keyed broadcast process function.
public final class KeyedBroadcastProcessOperator<Function: KeyedBroadcastProcessFunction>: TwoInputOperator {
    public let collector: Collector<Function.Output>
    public let runtime: KeyedRuntime<Function.Key>
    @usableFromInline let key: (Function.Input) -> Function.Key
    @usableFromInline let broadcast: BroadcastContext
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
        broadcast = BroadcastContext(context)
        collector = context.mainCollector()
        clock = context.recordClock
        errors = context.errorHandler(policy)
        metrics = context.metrics
        binding = FunctionBinding(of: function)
        try binding.bind(to: runtime.store, in: context, takesBroadcast: true)
        let service = context.processingTime
        runtime.context.onProcessingTime = { [unowned self] in
            try self.fire(.processingTime, upTo: service.now)
            try self.collector.flush()
            try self.flushSides()
        }
    }

    @inlinable
    public func processFirst(_ batch: Batch<Function.Input>) throws {
        try runtime.resolve(batch, by: key)
        let (times, count, isTimed) = (batch.times, batch.count, batch.isTimed)
        let (slots, store, clock, collector, context) = (
            runtime.slots, runtime.store, clock, collector, runtime.context
        )
        try batch.drain { index, value in
            store.slot = Int(slots[index])
            clock.time = isTimed ? times[index] : .min
            do { try function.processElement(value, context, collector) } catch {
                try errors.handle(error, position: "record \(seen + index)", record: String(describing: value))
            }
            runtime.noteEmptied()
        }
        seen &+= count
        try runtime.endBatch()
    }

    @inlinable
    public func processSecond(_ batch: Batch<Function.Broadcast>) throws {
        let (times, count, isTimed) = (batch.times, batch.count, batch.isTimed)
        let (clock, collector, context) = (clock, collector, broadcast)
        try batch.drain { index, value in
            clock.time = isTimed ? times[index] : .min
            do { try function.processBroadcast(value, context, collector) } catch {
                try errors.handle(error, position: "record \(seen + index)", record: String(describing: value))
            }
        }
        seen &+= count
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
