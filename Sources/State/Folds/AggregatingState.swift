// SPDX-License-Identifier: Apache-2.0
//  One accumulator per key into which all that is added is folded.

import ThalwegBase

/// Keyed state of the accumulator of an ``AggregateFunction``, to which records are added and whose results are read.
///
///     @State var mean = AggregatingState(Average<Bid> { Double($0.price) })
///
///     mean.add(bid)
///     if let mean = mean.value { … }
///
/// In snapshots it stands as a `ValueState` of the accumulator does.
public final class AggregatingState<Aggregate: AggregateFunction>: BindableState {
    @usableFromInline let folded: ValueState<Aggregate.Accumulator>
    @usableFromInline let aggregate: Aggregate

    /// - Parameter ttl: how long an accumulator lives after something was added; nil: until it is removed.
    @inlinable
    public init(_ aggregate: Aggregate, ttl: StateTTL? = nil) {
        folded = ValueState(ttl: ttl)
        self.aggregate = aggregate
    }

    public func bind(_ name: String, to store: AnyKeyedStore) throws(ThalwegError) { try folded.bind(name, to: store) }

    /// The result of what has been added under the current key since it was last cleared: that of an empty accumulator
    /// when nothing was.
    @inlinable public var value: Aggregate.Output {
        aggregate.result(folded[default: aggregate.makeAccumulator()])
    }

    /// Adds a record to the accumulator of the current key.
    @inlinable
    public func add(_ value: Aggregate.Input) {
        aggregate.add(value, to: &folded[default: aggregate.makeAccumulator()])
    }

    /// Forgets what has been added under the current key.
    @inlinable
    public func clear() { folded.clear() }

    /// Calls `body` with the result of each accumulator that has expired and its key, as ``ValueState/onExpired(_:)``
    /// does.
    @inlinable
    public func onExpired<Key: Hashable & Codable & Sendable>(_ body: @escaping (Key, Aggregate.Output) -> Void) {
        let aggregate = aggregate
        folded.onExpired { (key: Key, accumulator: Aggregate.Accumulator) in body(key, aggregate.result(accumulator)) }
    }
}
