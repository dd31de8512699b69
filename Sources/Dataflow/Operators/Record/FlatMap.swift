// SPDX-License-Identifier: Apache-2.0
//  One record in, any number out.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// Lets a function emit any number of records for each record; they take its timestamp.
public final class FlatMapOperator<Input, Output>: OneInputOperator {
    public let collector: Collector<Output>
    @usableFromInline let transform: (Input, Collector<Output>) throws -> Void
    @usableFromInline let clock: RecordClock
    @usableFromInline let errors: RecordErrorHandler
    @exclusivity(unchecked) @usableFromInline var seen = 0

    @inlinable
    public init(
        _ transform: @escaping (Input, Collector<Output>) throws -> Void, onError policy: RecordErrorPolicy,
        in context: OperatorContext
    ) {
        self.transform = transform
        clock = context.recordClock
        collector = context.mainCollector()
        errors = context.errorHandler(policy)
    }

    @inlinable
    public func process(_ batch: Batch<Input>) throws {
        let (times, count, isTimed) = (batch.times, batch.count, batch.isTimed)
        let (transform, collector, clock) = (self.transform, self.collector, self.clock)
        collector.split = batch.split
        try batch.drain { index, value in
            clock.time = isTimed ? times[index] : .min
            do { try transform(value, collector) } catch {
                try errors.handle(error, position: "record \(seen + index)", record: String(describing: value))
            }
        }
        seen &+= count
    }

    @inlinable
    public func flushSides() throws { try errors.flush() }
}
