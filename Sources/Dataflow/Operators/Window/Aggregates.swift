// SPDX-License-Identifier: Apache-2.0
//  The usual ways in which many records become one value.

import ThalwegBase
import ThalwegState

/// The number of records.
@frozen
public struct Count<Input>: AggregateFunction {
    @inlinable
    public init() {}
    @inlinable
    public func makeAccumulator() -> Int64 { 0 }
    @inlinable
    public func add(_ value: Input, to accumulator: inout Int64) { accumulator &+= 1 }
    @inlinable
    public func merge(_ other: Int64, into accumulator: inout Int64) { accumulator &+= other }
    @inlinable
    public func result(_ accumulator: Int64) -> Int64 { accumulator }
}

/// The sum of a number of each record. Integer sums that overflow trap no one: they wrap, as in Flink.
@frozen
public struct Sum<Input, Value: FixedWidthInteger & Codable & Sendable>: AggregateFunction {
    @usableFromInline let value: @Sendable (Input) -> Value
    @inlinable
    public init(_ value: @escaping @Sendable (Input) -> Value) { self.value = value }
    @inlinable
    public func makeAccumulator() -> Value { 0 }
    @inlinable
    public func add(_ input: Input, to accumulator: inout Value) { accumulator &+= value(input) }
    @inlinable
    public func merge(_ other: Value, into accumulator: inout Value) { accumulator &+= other }
    @inlinable
    public func result(_ accumulator: Value) -> Value { accumulator }
}

/// The greatest value of a property; nil for no records.
@frozen
public struct Max<Input, Value: Comparable & Codable & Sendable>: AggregateFunction {
    @usableFromInline let value: @Sendable (Input) -> Value
    @inlinable
    public init(_ value: @escaping @Sendable (Input) -> Value) { self.value = value }
    @inlinable
    public func makeAccumulator() -> Value? { nil }
    @inlinable
    public func add(_ input: Input, to accumulator: inout Value?) {
        let value = value(input)
        if let best = accumulator, best >= value { return }
        accumulator = value
    }
    @inlinable
    public func merge(_ other: Value?, into accumulator: inout Value?) {
        guard let other else { return }
        if let best = accumulator, best >= other { return }
        accumulator = other
    }
    @inlinable
    public func result(_ accumulator: Value?) -> Value? { accumulator }
}

/// The least value of a property; nil for no records.
@frozen
public struct Min<Input, Value: Comparable & Codable & Sendable>: AggregateFunction {
    @usableFromInline let value: @Sendable (Input) -> Value
    @inlinable
    public init(_ value: @escaping @Sendable (Input) -> Value) { self.value = value }
    @inlinable
    public func makeAccumulator() -> Value? { nil }
    @inlinable
    public func add(_ input: Input, to accumulator: inout Value?) {
        let value = value(input)
        if let best = accumulator, best <= value { return }
        accumulator = value
    }
    @inlinable
    public func merge(_ other: Value?, into accumulator: inout Value?) {
        guard let other else { return }
        if let best = accumulator, best <= other { return }
        accumulator = other
    }
    @inlinable
    public func result(_ accumulator: Value?) -> Value? { accumulator }
}

/// The mean of a number of each record; nil for no records.
@frozen
public struct Average<Input>: AggregateFunction {
    /// A sum and a count.
    @frozen
    public struct Accumulator: Codable, Sendable {
        public var sum: Double
        public var count: Int64
        @inlinable
        init() {
            sum = 0
            count = 0
        }
    }

    @usableFromInline let value: @Sendable (Input) -> Double
    @inlinable
    public init(_ value: @escaping @Sendable (Input) -> Double) { self.value = value }
    @inlinable
    public func makeAccumulator() -> Accumulator { Accumulator() }
    @inlinable
    public func add(_ input: Input, to accumulator: inout Accumulator) {
        accumulator.sum += value(input)
        accumulator.count &+= 1
    }
    @inlinable
    public func merge(_ other: Accumulator, into accumulator: inout Accumulator) {
        accumulator.sum += other.sum
        accumulator.count &+= other.count
    }
    @inlinable
    public func result(_ accumulator: Accumulator) -> Double? {
        accumulator.count == 0 ? nil : accumulator.sum / Double(accumulator.count)
    }
}

/// All records, in order of arrival: for window functions that need them.
@frozen
public struct Elements<Input: Codable & Sendable>: AggregateFunction {
    @inlinable public static var combinesBeforeExchange: Bool { false }
    @inlinable
    public init() {}
    @inlinable
    public func makeAccumulator() -> [Input] { [] }
    @inlinable
    public func add(_ value: Input, to accumulator: inout [Input]) { accumulator.append(value) }
    @inlinable
    public func merge(_ other: [Input], into accumulator: inout [Input]) { accumulator += other }
    @inlinable
    public func result(_ accumulator: [Input]) -> [Input] { accumulator }
}

/// Records folded pairwise into one.
@frozen
public struct Reduce<Input: Codable & Sendable>: AggregateFunction {
    @usableFromInline let combine: @Sendable (Input, Input) -> Input
    @inlinable
    public init(_ combine: @escaping @Sendable (Input, Input) -> Input) { self.combine = combine }
    @inlinable
    public func makeAccumulator() -> Input? { nil }
    @inlinable
    public func add(_ value: Input, to accumulator: inout Input?) {
        accumulator = accumulator.map { combine($0, value) } ?? value
    }
    @inlinable
    public func merge(_ other: Input?, into accumulator: inout Input?) {
        guard let other else { return }
        add(other, to: &accumulator)
    }
    @inlinable
    public func result(_ accumulator: Input?) -> Input? { accumulator }
}
