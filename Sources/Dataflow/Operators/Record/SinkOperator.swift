// SPDX-License-Identifier: Apache-2.0
//  Drives a sink's writer.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// The end of a chain: hands batches to a sink's writer and leaves what it prepared in the commit ledger.
public final class SinkOperator<S: Sink>: OneInputOperator {
    public let collector: Collector<Never>
    @usableFromInline let writer: S.Writer
    @usableFromInline let commits: CommitLedger

    @inlinable
    public init(_ sink: S, in context: OperatorContext) throws {
        collector = context.mainCollector()
        commits = context.commits
        writer = try sink.makeWriter(
            SinkContext(
                name: context.name, subtask: context.subtask, parallelism: context.parallelism, wake: context.wake))
    }

    @inlinable
    public func process(_ batch: Batch<S.Element>) throws { try writer.write(batch) }

    @inlinable
    public func finish() throws { commits.add(try writer.finish()) }

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
                case .flush: try op.writer.flush()
                case .end: try op.finish()
                case .idle, .active, .splitStarted, .splitFinished: break
                }
            }, isHeldUp: { op.writer.isHeldUp }, close: { op.close() })
    }
}
