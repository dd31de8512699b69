// SPDX-License-Identifier: Apache-2.0
//  How many records become one value.

import ThalwegBase

/// Folds records into an accumulator from which a result can be read at any time.
///
/// `merge` must give the same as adding the records of both accumulators: windows share partial aggregates.
public protocol AggregateFunction<Input, Output>: Sendable {
    associatedtype Input
    associatedtype Accumulator: Codable & Sendable
    associatedtype Output
    func makeAccumulator() -> Accumulator
    func add(_ value: Input, to accumulator: inout Accumulator)
    func merge(_ other: Accumulator, into accumulator: inout Accumulator)
    func result(_ accumulator: Accumulator) -> Output
    /// Whether records may be aggregated by their producers before an exchange. Pointless for accumulators that keep
    /// every record.
    static var combinesBeforeExchange: Bool { get }
}

extension AggregateFunction {
    @inlinable public static var combinesBeforeExchange: Bool { true }
}
