// SPDX-License-Identifier: Apache-2.0
//  Drives a sink's writer.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegStorage

/// The end of a chain: hands batches to a sink's writer, and at barriers has it prepare what is to be committed.
public final class SinkOperator<S: Sink>: OneInputOperator {
    public let collector: Collector<Never>
    @usableFromInline let sink: S
    @usableFromInline let writer: S.Writer
    private let context: OperatorContext
    /// Prepared output of checkpoints that are not known to be committed: each snapshot carries it along, as the
    /// checkpoint it belongs to may never be complete.
    private var uncommitted: [(checkpoint: Int64, committables: [S.Writer.Committable])] = []

    @usableFromInline static var committablesName: String { "$committables" }
    @usableFromInline static var writerName: String { "$writer" }

    @inlinable
    public convenience init(_ sink: S, in context: OperatorContext) throws {
        let seat = SinkContext(
            name: context.name, subtask: context.subtask, parallelism: context.parallelism, wake: context.wake)
        self.init(sink, try sink.makeWriter(seat), context)
    }

    @usableFromInline
    init(_ sink: S, _ writer: S.Writer, _ context: OperatorContext) {
        collector = context.mainCollector()
        self.sink = sink
        self.writer = writer
        self.context = context
    }

    @inlinable
    public func process(_ batch: Batch<S.Element>) throws { try writer.write(batch) }

    public func snapshot(into snapshot: inout OperatorSnapshot) throws {
        let prepared = try writer.prepare(
            PrepareRequest(checkpoint: snapshot.barrier.checkpoint, isFinal: snapshot.isFinal))
        if let persist = prepared.persist { snapshot.persist(persist) }
        if let publish = prepared.publish { snapshot.commit(publish) }
        if !prepared.state.isEmpty { try snapshot.add(prepared.state, state: Self.writerName) }
        if !prepared.committables.isEmpty {
            uncommitted.append((snapshot.barrier.checkpoint, prepared.committables))
            snapshot.commit(commit(of: prepared.committables))
        }
        if !uncommitted.isEmpty {
            try snapshot.add(uncommitted.flatMap(\.committables), state: Self.committablesName)
        }
    }

    public func completed(_ checkpoint: Int64) { uncommitted.removeAll { $0.checkpoint <= checkpoint } }

    private func commit(of committables: [S.Writer.Committable]) -> SinkCommit {
        let sink = sink
        return SinkCommit(
            context.name, commit: { try sink.commit(committables) }, abort: { sink.abort(committables) })
    }

    /// Output of the checkpoint may not have been committed before the crash: it is committed before anything runs.
    public func restore(from state: any RestoredState) throws {
        if state.hasState(Self.committablesName) {
            let lists = try state.elements(of: Self.committablesName, as: S.Writer.Committable.self)
            for (old, committables) in lists.enumerated()
            where old % context.parallelism == context.subtask && !committables.isEmpty {
                context.commits.add([commit(of: committables)])
            }
        }
        if state.hasState(Self.writerName) {
            try writer.restore(try state.elements(of: Self.writerName, as: S.Writer.State.self))
        }
    }

    @inlinable
    public func close() { writer.close() }
}

extension OperatorInstance {
    /// Wraps a sink: the end of every stream of signals.
    @inlinable
    public convenience init<S: Sink>(sink op: SinkOperator<S>, in context: OperatorContext) {
        let metrics = context.metrics
        let push: (Batch<S.Element>) throws -> Void = { batch in
            metrics.recordsIn.add(batch.count)
            try op.process(batch)
        }
        self.init(
            pushes: [push],
            signal: { signal in
                switch signal {
                case .watermark(let watermark): metrics.watermark.set(Int(watermark.time.milliseconds))
                case .flush, .end: try op.writer.flush()
                case .idle, .active, .splitStarted, .splitFinished, .barrier: break
                }
            }, isHeldUp: { op.writer.isHeldUp }, isSink: true, snapshot: { try op.snapshot(into: &$0) },
            restore: { try op.restore(from: $0) }, completed: { op.completed($0) }, close: { op.close() })
    }
}
