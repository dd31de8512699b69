// SPDX-License-Identifier: Apache-2.0
//  Streams of one type become one.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// Passes batches on as they are; the runtime merges the signals of its inputs.
public final class UnionOperator<Element>: OneInputOperator {
    public let collector: Collector<Element>
    @usableFromInline let outlet: Inlet<Element>

    @inlinable
    public init(in context: OperatorContext) {
        outlet = context.mainOutlet()
        collector = context.mainCollector()
    }

    @inlinable
    public func process(_ batch: Batch<Element>) throws {
        batch.split = -1
        try outlet.push(batch)
    }
}
