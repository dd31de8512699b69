// SPDX-License-Identifier: Apache-2.0
//  Drives a sink's writer.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// The end of a chain: hands batches to a sink's writer, and at barriers has it prepare what is to be committed.
public final class SinkOperator<S: Sink>: OneInputOperator {
    public let collector: Collector<Never>
    @usableFromInline let sink: S
    @usableFromInline let writer: S.Writer
    private let context: OperatorContext
    private let ledger: SinkLedger<S>

    @usableFromInline static var committablesName: String { "$committables" }
    @usableFromInline static var writerName: String { "$writer" }

    @inlinable
    public convenience init(_ sink: S, in context: OperatorContext) throws {
        let seat = SinkContext(
            name: context.name, subtask: context.subtask, parallelism: context.parallelism,
            isRecoverable: context.isRecoverable, repeatsOutput: context.repeatsOutput, wake: context.wake)
        self.init(sink, try sink.makeWriter(seat), context)
    }

    @usableFromInline
    init(_ sink: S, _ writer: S.Writer, _ context: OperatorContext) {
        collector = context.mainCollector()
        self.sink = sink
        self.writer = writer
        self.context = context
        ledger = SinkLedger(sink)
    }

    @inlinable
    public func process(_ batch: Batch<S.Element>) throws { try writer.write(batch) }

    public func snapshot(into snapshot: inout OperatorSnapshot) throws {
        let prepared = try writer.prepare(
            PrepareRequest(
                checkpoint: snapshot.barrier.checkpoint, isFinal: snapshot.isFinal, time: snapshot.barrier.time))
        let checkpoint = snapshot.barrier.checkpoint
        let ledger = ledger
        ledger.add(prepared, checkpoint: checkpoint)
        if !ledger.isPersisted { snapshot.persist { try ledger.persist(upTo: checkpoint) } }
        if !prepared.state.isEmpty { try snapshot.add(prepared.state, state: Self.writerName) }
        guard ledger.hasCommits else { return }
        let committables = ledger.committables
        if !committables.isEmpty { try snapshot.add(committables, state: Self.committablesName) }
        snapshot.commit(
            SinkCommit(
                label, isInCheckpoint: ledger.isInCheckpoint, commit: { try ledger.commit(upTo: checkpoint) },
                abort: { ledger.abort(checkpoint) }))
    }

    /// What error texts call the output of this subtask.
    private var label: String {
        let place = (sink as? any LocatedSink)?.location ?? context.name
        return context.parallelism == 1 ? place : "\(place) (subtask \(context.subtask))"
    }

    /// Declares what the writers of a sink store.
    public static func declare(_ states: inout StateDeclarations) throws {
        states.add(try WantedState(Self.committablesName, kind: .split, elements: S.Writer.Committable.self))
        states.add(try WantedState(Self.writerName, kind: .split, elements: S.Writer.State.self))
    }

    /// Output of the checkpoint may not have been committed before the crash: it is committed before anything runs.
    public func restore(from state: any RestoredState) throws {
        if state.hasState(Self.committablesName) {
            let lists = try state.elements(of: Self.committablesName, as: S.Writer.Committable.self)
            for (old, committables) in lists.enumerated()
            where old % context.parallelism == context.subtask && !committables.isEmpty {
                // Never discarded: the checkpoint is complete, so the next attempt commits what this one cannot.
                context.commits.add([SinkCommit(label, commit: { [sink] in try sink.commit(committables) })])
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
            restore: { try op.restore(from: $0) }, close: { op.close() })
    }
}
