// SPDX-License-Identifier: Apache-2.0
//  Two keyed streams meet in the windows of one operator.

import ThalwegBase
import ThalwegData
import ThalwegOperator
import ThalwegState
import ThalwegStorage

/// A record of one of two streams.
@frozen
public enum JoinSide<First, Second> {
    case first(First)
    case second(Second)
}

extension JoinSide: Sendable where First: Sendable, Second: Sendable {}

/// The records of both streams in one window of one key, each in order of arrival.
@frozen
public struct JoinedRecords<First: Codable & Sendable, Second: Codable & Sendable>: Codable, Sendable {
    public var first: [First]
    public var second: [Second]

    @inlinable
    init() {
        first = []
        second = []
    }
}

/// Gathers the records of both streams.
@frozen
public struct JoinedElements<First: Codable & Sendable, Second: Codable & Sendable>: AggregateFunction {
    public typealias Input = JoinSide<First, Second>
    public typealias Accumulator = JoinedRecords<First, Second>
    public typealias Output = JoinedRecords<First, Second>

    @inlinable
    public init() {}

    @inlinable
    public func makeAccumulator() -> Accumulator { JoinedRecords() }

    @inlinable
    public func add(_ value: Input, to accumulator: inout Accumulator) {
        switch value {
        case .first(let record): accumulator.first.append(record)
        case .second(let record): accumulator.second.append(record)
        }
    }

    @inlinable
    public func merge(_ other: Accumulator, into accumulator: inout Accumulator) {
        accumulator.first += other.first
        accumulator.second += other.second
    }

    @inlinable
    public func result(_ accumulator: Accumulator) -> Output { accumulator }
}

/// Feeds an operator of one input from two streams, each record marked with its side.
public final class TwoSidedOperator<Inner: OneInputOperator, First, Second>: TwoInputOperator
where Inner.Input == JoinSide<First, Second> {
    @usableFromInline let inner: Inner
    @usableFromInline let sides: Batch<JoinSide<First, Second>>

    @inlinable
    public init(_ inner: Inner, in context: OperatorContext) {
        self.inner = inner
        sides = Batch(capacity: context.batchCapacity)
    }

    @inlinable public var collector: Collector<Inner.Output> { inner.collector }

    @inlinable
    public func processFirst(_ batch: Batch<First>) throws { try pass(batch) { .first($0) } }

    @inlinable
    public func processSecond(_ batch: Batch<Second>) throws { try pass(batch) { .second($0) } }

    @inlinable @inline(__always)
    func pass<Element>(_ batch: Batch<Element>, _ mark: (Element) -> JoinSide<First, Second>) throws {
        precondition(batch.count <= sides.capacity && sides.isEmpty)
        let (rows, count, marked) = (batch.rows, batch.count, sides.rows)
        for index in 0..<count { (marked + index).initialize(to: mark(rows[index])) }
        sides.copyHeader(from: batch, count: count)
        defer { sides.removeAll() }
        try inner.process(sides)
    }

    @inlinable
    public func advance(to watermark: Watermark) throws { try inner.advance(to: watermark) }
    @inlinable
    public func finish() throws { try inner.finish() }
    @inlinable
    public func flushSides() throws { try inner.flushSides() }
    @inlinable
    public func snapshot(into snapshot: inout OperatorSnapshot) throws { try inner.snapshot(into: &snapshot) }
    @inlinable
    public func declare(_ states: inout StateDeclarations) throws { try inner.declare(&states) }
    @inlinable
    public func restore(from state: any RestoredState) throws { try inner.restore(from: state) }
    @inlinable
    public func close() { inner.close() }
}
