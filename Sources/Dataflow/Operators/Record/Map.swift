// SPDX-License-Identifier: Apache-2.0
//  One record in, one record out.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// Applies a function to each record; timestamps stay.
public final class MapOperator<Input, Output>: OneInputOperator {
    public let collector: Collector<Output>
    @usableFromInline let transform: (Input) throws -> Output
    @usableFromInline let outlet: Inlet<Output>
    @usableFromInline let results: Batch<Output>
    @usableFromInline let errors: RecordErrorHandler
    @usableFromInline let clock: RecordClock
    @exclusivity(unchecked) @usableFromInline var seen = 0

    @inlinable
    public init(
        _ transform: @escaping (Input) throws -> Output, onError policy: RecordErrorPolicy, in context: OperatorContext
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
        let (count, transform) = (batch.count, self.transform)
        precondition(count <= results.capacity)
        let target = results.rows
        var made = 0
        var holes: [Int] = []
        try batch.drain { index, value in
            do {
                (target + made).initialize(to: try transform(value))
                made &+= 1
            } catch {
                // Keeps the batch destroyable whatever the handler throws.
                results.count = made
                clock.time = batch.isTimed ? batch.times[index] : .min
                try errors.handle(error, position: "record \(seen + index)", record: String(describing: value))
                holes.append(index)
            }
        }
        seen &+= count
        results.copyHeader(from: batch, count: made)
        if !holes.isEmpty { closeHoles(holes, of: count, from: batch) }
        if made > 0 { try outlet.push(results) }
        results.removeAll()
    }

    /// Puts the timestamps right after records were left out.
    @usableFromInline
    func closeHoles(_ holes: [Int], of count: Int, from batch: Batch<Input>) {
        var (made, next) = (0, 0)
        for index in 0..<count {
            if next < holes.count && holes[next] == index {
                next += 1
            } else {
                if batch.isTimed { results.times[made] = batch.times[index] }
                made += 1
            }
        }
    }

    @inlinable
    public func flushSides() throws { try errors.flush() }
}
