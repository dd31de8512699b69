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
            SinkContext(name: context.name, subtask: context.subtask, parallelism: context.parallelism))
    }

    @inlinable
    public func process(_ batch: Batch<S.Element>) throws { try writer.write(batch) }

    @inlinable
    public func advance(to watermark: Watermark) throws {}

    @inlinable
    public func finish() throws { commits.add(try writer.finish()) }

    @inlinable
    public func close() { writer.close() }
}
