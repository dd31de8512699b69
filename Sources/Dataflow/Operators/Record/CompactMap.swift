// SPDX-License-Identifier: Apache-2.0
//  One record in, one record out or none.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// Applies a function to each record and keeps the results that are not nil.
public final class CompactMapOperator<Input, Output>: OneInputOperator {
    public let collector: Collector<Output>
    @usableFromInline let transform: (Input) throws -> Output?
    @usableFromInline let outlet: Inlet<Output>
    @usableFromInline let results: Batch<Output>
    @usableFromInline let errors: RecordErrorHandler
    @usableFromInline let clock: RecordClock
    @exclusivity(unchecked) @usableFromInline var seen = 0

    @inlinable
    public init(
        _ transform: @escaping (Input) throws -> Output?, onError policy: RecordErrorPolicy, in context: OperatorContext
    ) {
        self.transform = transform
        outlet = context.mainOutlet()
        results = Batch(capacity: context.batchCapacity)
        collector = context.mainCollector()
        errors = context.errorHandler(policy)
        clock = context.recordClock
    }

    @inlinable
    public func process(_ batch: Batch<Input>) throws {
        let (times, count, transform) = (batch.times, batch.count, self.transform)
        precondition(count <= results.capacity)
        let (target, targetTimes, isTimed) = (results.rows, results.times, batch.isTimed)
        var made = 0
        try batch.drain { index, value in
            do {
                if let result = try transform(value) {
                    (target + made).initialize(to: result)
                    if isTimed { targetTimes[made] = times[index] }
                    made &+= 1
                }
            } catch {
                results.count = made
                clock.time = batch.isTimed ? batch.times[index] : .min
                try errors.handle(error, position: "record \(seen + index)", record: String(describing: value))
            }
        }
        seen &+= count
        results.count = made
        results.isTimed = isTimed
        results.split = batch.split
        if made > 0 { try outlet.push(results) }
        results.removeAll()
    }

    @inlinable
    public func flushSides() throws { try errors.flush() }
}
