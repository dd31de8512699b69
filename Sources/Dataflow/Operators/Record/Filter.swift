// SPDX-License-Identifier: Apache-2.0
//  Keeps the records for which a predicate holds.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// Keeps the records for which a predicate holds, in place: survivors move up within the batch.
public final class FilterOperator<Input>: OneInputOperator {
    public let collector: Collector<Input>
    @usableFromInline let isIncluded: (Input) throws -> Bool
    @usableFromInline let outlet: Inlet<Input>
    @usableFromInline let errors: RecordErrorHandler
    @usableFromInline let clock: RecordClock
    @exclusivity(unchecked) @usableFromInline var seen = 0

    @inlinable
    public init(
        _ isIncluded: @escaping (Input) throws -> Bool, onError policy: RecordErrorPolicy, in context: OperatorContext
    ) {
        self.isIncluded = isIncluded
        outlet = context.mainOutlet()
        collector = context.mainCollector()
        errors = context.errorHandler(policy)
        clock = context.recordClock
    }

    @inlinable
    public func process(_ batch: Batch<Input>) throws {
        let (rows, times, count, isIncluded) = (batch.rows, batch.times, batch.count, self.isIncluded)
        let isTimed = batch.isTimed
        var index = 0
        var kept = 0
        // Between steps rows 0..<kept are initialised and index..<count too: `count` is put right on every way out.
        batch.count = 0
        while true {
            do {
                while index < count {
                    if try (rows + index).lend(isIncluded) {
                        if kept != index { (rows + kept).moveInitialize(from: rows + index, count: 1) }
                        if isTimed { times[kept] = times[index] }
                        kept &+= 1
                    } else {
                        (rows + index).deinitialize(count: 1)
                    }
                    index &+= 1
                }
                break
            } catch {
                clock.time = batch.time(at: index)
                let text = String(describing: rows[index])
                (rows + index).deinitialize(count: 1)
                do { try errors.handle(error, position: "record \(seen + index)", record: text) } catch {
                    (rows + index + 1).deinitialize(count: count - index - 1)
                    batch.count = kept
                    throw error
                }
                index &+= 1
            }
        }
        batch.count = kept
        seen &+= count
        if kept > 0 { try outlet.push(batch) }
    }

    @inlinable
    public func flushSides() throws { try errors.flush() }
}
