// SPDX-License-Identifier: Apache-2.0
//  The contract that every operator with inputs fulfils.

import ThalwegBase
import ThalwegData
import ThalwegState
import ThalwegStorage

/// What every operator does besides processing records.
///
/// Order of calls, all from one task: `restore` at most once, any number of `process`, `advance` and `snapshot`, then
/// `finish` once, a last `snapshot`, then `close` once. `close` is also called, alone, when the job fails. Whatever an
/// operator emits it has flushed when a call returns.
///
/// Guarantees: watermarks rise; after `finish` nothing comes. Non-guarantees: records may be late, calls may come from
/// different threads over time (never two at once), the batch's rows are only lent.
public protocol StreamOperator: AnyObject {
    associatedtype Output
    /// Where records go.
    var collector: Collector<Output> { get }
    /// Event time has come to `watermark`: fire what is due. The watermark is forwarded afterwards.
    func advance(to watermark: Watermark) throws
    /// All inputs have ended; event time has come to its end before.
    func finish() throws
    /// Hands on what was emitted to side outputs and dead letters.
    func flushSides() throws
    /// Freezes the state, and only that: the parts it adds are written while the operator goes on. Called between
    /// batches, after the barrier has been forwarded.
    func snapshot(into snapshot: inout OperatorSnapshot) throws
    /// Declares every state that `snapshot` freezes. Called alone, of an operator that never runs: to say what the job
    /// would make of a snapshot (D11).
    func declare(_ states: inout StateDeclarations) throws
    /// Takes over the state that a snapshot has of this operator: under the names and with the types declared.
    func restore(from state: any RestoredState) throws
    /// Releases what is held outside memory.
    func close()
}

extension StreamOperator {
    @inlinable
    public func advance(to watermark: Watermark) throws {}
    @inlinable
    public func finish() throws {}
    @inlinable
    public func flushSides() throws {}
    @inlinable
    public func close() {}
    @inlinable
    public func snapshot(into snapshot: inout OperatorSnapshot) throws {}
    @inlinable
    public func declare(_ states: inout StateDeclarations) throws {}
    @inlinable
    public func restore(from state: any RestoredState) throws {}
}

/// An operator with one input.
public protocol OneInputOperator<Input, Output>: StreamOperator {
    associatedtype Input
    func process(_ batch: Batch<Input>) throws
}

/// An operator with two inputs of different types.
public protocol TwoInputOperator<First, Second, Output>: StreamOperator {
    associatedtype First
    associatedtype Second
    func processFirst(_ batch: Batch<First>) throws
    func processSecond(_ batch: Batch<Second>) throws
}

extension OperatorInstance {
    /// Wraps an operator with one input. Inlined into the user's module, so that `process` is specialised there.
    @inlinable
    public convenience init<Operator: OneInputOperator>(_ op: Operator, in context: OperatorContext) {
        let metrics = context.metrics
        let push: (Batch<Operator.Input>) throws -> Void = { batch in
            metrics.recordsIn.add(batch.count)
            try op.process(batch)
            try op.collector.flush()
            try op.flushSides()
        }
        self.init(
            pushes: [push], signal: Self.signalHandler(op, context), snapshot: { try op.snapshot(into: &$0) },
            declare: { try op.declare(&$0) }, restore: { try op.restore(from: $0) }, close: { op.close() })
    }

    /// Wraps an operator with two inputs.
    @inlinable
    public convenience init<Operator: TwoInputOperator>(_ op: Operator, in context: OperatorContext) {
        let metrics = context.metrics
        let first: (Batch<Operator.First>) throws -> Void = { batch in
            metrics.recordsIn.add(batch.count)
            try op.processFirst(batch)
            try op.collector.flush()
            try op.flushSides()
        }
        let second: (Batch<Operator.Second>) throws -> Void = { batch in
            metrics.recordsIn.add(batch.count)
            try op.processSecond(batch)
            try op.collector.flush()
            try op.flushSides()
        }
        self.init(
            pushes: [first, second], signal: Self.signalHandler(op, context),
            snapshot: { try op.snapshot(into: &$0) }, declare: { try op.declare(&$0) },
            restore: { try op.restore(from: $0) }, close: { op.close() })
    }

    /// Fires what a signal makes due, then forwards the signal to every output.
    @inlinable
    public static func signalHandler<Operator: StreamOperator>(
        _ op: Operator, _ context: OperatorContext
    ) -> (Signal) throws -> Void {
        let forward = context.signalForwarder()
        let metrics = context.metrics
        let clock = context.recordClock
        return { signal in
            switch signal {
            case .watermark(let watermark):
                try op.advance(to: watermark)
                // After a restore the operator may have come further than its inputs.
                clock.watermark = max(clock.watermark, watermark.time.milliseconds)
                metrics.watermark.set(Int(watermark.time.milliseconds))
                try op.collector.flush()
                try op.flushSides()
            case .end:
                try op.finish()
                try op.collector.flush()
                try op.flushSides()
            case .idle, .active, .splitStarted, .splitFinished, .flush, .barrier:
                break
            }
            try forward(signal)
        }
    }
}

/// An inlet seen without its type.
public protocol AnyInlet {
    var signal: (Signal) throws -> Void { get }
}
extension Inlet: AnyInlet {}

extension OperatorContext {
    /// Sends a signal to every output.
    public func signalForwarder() -> (Signal) throws -> Void {
        let signals = outlets.values.compactMap { ($0 as? any AnyInlet)?.signal }
        if signals.count == 1 { return signals[0] }
        return { signal in for send in signals { try send(signal) } }
    }
}
