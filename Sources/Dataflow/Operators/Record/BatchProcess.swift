// SPDX-License-Identifier: Apache-2.0
//  A function over whole batches, whose records are only lent.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// Lends each batch to a function as a span: nothing is copied, and the compiler sees to it that the span is not kept
/// (FLIP-21, FULL_REUSE).
public final class BatchProcessOperator<Input, Output>: OneInputOperator {
    public let collector: Collector<Output>
    @usableFromInline let body: (Span<Input>, Collector<Output>) throws -> Void
    @usableFromInline let clock: RecordClock
    @usableFromInline let name: String

    @inlinable
    public init(_ body: @escaping (Span<Input>, Collector<Output>) throws -> Void, in context: OperatorContext) {
        self.body = body
        clock = context.recordClock
        name = context.name
        collector = context.mainCollector()
    }

    @inlinable
    public func process(_ batch: Batch<Input>) throws {
        guard batch.count > 0 else { return }
        // What is emitted comes from any of the records, so it carries the latest of their times.
        var latest = batch.time(at: 0)
        for index in 1..<max(1, batch.count) { latest = max(latest, batch.time(at: index)) }
        clock.time = latest
        let records = UnsafeBufferPointer(start: batch.rows, count: batch.count)
        do { try body(records.span, collector) } catch {
            throw ThalwegError(
                .input, "operator \"\(name)\" failed on a batch", detail: "of \(records.count) records",
                hint: "handle the value in the function", cause: error)
        }
    }
}
