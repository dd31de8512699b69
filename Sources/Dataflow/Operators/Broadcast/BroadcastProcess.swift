// SPDX-License-Identifier: Apache-2.0
//  A function over a stream and a broadcast stream, without keys.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// A function over a stream whose subtasks all see every record of a second, broadcast stream (FLIP-8).
///
///     struct Filter: BroadcastProcessFunction {
///         @State var blocked = BroadcastState<String, Bool>()
///         mutating func processElement(_ visit: Visit, _ context: ProcessContext, _ out: Collector<Visit>) {
///             if blocked[visit.user] == nil { out.emit(visit) }
///         }
///         mutating func processBroadcast(_ user: String, _ context: BroadcastContext, _ out: Collector<Visit>) {
///             context.update(blocked) { $0[user] = true }
///         }
///     }
///
/// Records of the two streams come in no order between them.
public protocol BroadcastProcessFunction<Input, Broadcast, Output>: SendableMetatype {
    associatedtype Input: Sendable
    associatedtype Broadcast: Sendable
    associatedtype Output: Sendable
    /// Called once in each subtask before anything else, also after a restore.
    mutating func open(_ context: ProcessContext) throws
    /// A record of the first stream, in one subtask. Reads broadcast state.
    mutating func processElement(_ value: Input, _ context: ProcessContext, _ out: Collector<Output>) throws
    /// A record of the broadcast stream, in every subtask. May write broadcast state, the same in all of them.
    mutating func processBroadcast(_ value: Broadcast, _ context: BroadcastContext, _ out: Collector<Output>) throws
}

extension BroadcastProcessFunction {
    @inlinable
    public mutating func open(_ context: ProcessContext) throws {}
}

/// Runs a broadcast process function.
public final class BroadcastProcessOperator<Function: BroadcastProcessFunction>: TwoInputOperator {
    public let collector: Collector<Function.Output>
    @usableFromInline let context: ProcessContext
    @usableFromInline let broadcast: BroadcastContext
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
        broadcast = BroadcastContext(context)
        collector = context.mainCollector()
        clock = context.recordClock
        errors = context.errorHandler(policy)
        metrics = context.metrics
        binding = FunctionBinding(of: function)
        try binding.bind(to: nil, in: context, takesBroadcast: true)
    }

    @inlinable
    public func processFirst(_ batch: Batch<Function.Input>) throws {
        if !isOpen { try open() }
        let context = context
        try each(batch) { function, value, out in try function.processElement(value, context, out) }
    }

    @inlinable
    public func processSecond(_ batch: Batch<Function.Broadcast>) throws {
        if !isOpen { try open() }
        let context = broadcast
        try each(batch) { function, value, out in try function.processBroadcast(value, context, out) }
    }

    @inlinable @inline(__always)
    func each<Element>(
        _ batch: Batch<Element>, _ body: (inout Function, Element, Collector<Function.Output>) throws -> Void
    ) throws {
        let (times, count, isTimed) = (batch.times, batch.count, batch.isTimed)
        let (clock, collector) = (clock, collector)
        try batch.drain { index, value in
            clock.time = isTimed ? times[index] : .min
            do { try body(&function, value, collector) } catch {
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
