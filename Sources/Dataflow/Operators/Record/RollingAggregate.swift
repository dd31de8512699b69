// SPDX-License-Identifier: Apache-2.0
//  An aggregate per key that never ends.

import ThalwegBase
import ThalwegOperator
import ThalwegState

/// Adds each record to its key's aggregate and emits a result made from it.
public struct RollingAggregate<Key, Aggregate: AggregateFunction, Output>: KeyedProcessFunction
where Key: Hashable & Codable & Sendable, Aggregate.Input: Sendable, Output: Sendable {
    public typealias Input = Aggregate.Input
    @usableFromInline let declaration: State<ValueState<Aggregate.Accumulator>>
    @usableFromInline let state: ValueState<Aggregate.Accumulator>
    @usableFromInline let aggregate: Aggregate
    @usableFromInline let result: (Key, Aggregate.Output) throws -> Output

    /// - Parameter ttl: how long a key's aggregate lives; nil: for ever.
    @inlinable
    public init(
        _ aggregate: Aggregate, ttl: StateTTL? = nil,
        _ result: @escaping (Key, Aggregate.Output) throws -> Output
    ) {
        self.aggregate = aggregate
        self.result = result
        let handle = ValueState<Aggregate.Accumulator>(ttl: ttl)
        state = handle
        declaration = State(wrappedValue: handle, "aggregate")
    }

    @inlinable
    public mutating func process(
        _ value: Input, _ context: KeyedContext<Key>, _ out: Collector<Output>
    ) throws {
        aggregate.add(value, to: &state[default: aggregate.makeAccumulator()])
        out.emit(try result(context.key, aggregate.result(state[default: aggregate.makeAccumulator()])))
    }
}
