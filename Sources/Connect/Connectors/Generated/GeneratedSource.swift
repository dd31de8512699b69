// SPDX-License-Identifier: Apache-2.0
//  Records made from their number.

import ThalwegBase
import ThalwegData
import ThalwegOperator

/// A share of a numbered sequence: from `next` up to `limit`, the blocks of `block` numbers that start every `step`.
public struct NumberSplit: SourceSplit {
    public var id: String
    public var next: Int64
    public var limit: Int64
    public var step: Int64
    public var block: Int64

    @inlinable
    public init(id: String, next: Int64, limit: Int64, step: Int64, block: Int64 = 1) {
        self.id = id
        self.next = next
        self.limit = limit
        self.step = step
        self.block = block
    }
}

extension NumberSplit {
    /// Checks what comes from a snapshot, which may have been edited, before numbers are counted with.
    ///
    /// - Parameter first: the lowest number of the sequence.
    /// - Throws: kind `corrupt` for a split that no source has made.
    @inlinable @inline(__always)
    public func check(from first: Int64) throws(ThalwegError) {
        if next < first || block <= 0 || step < block || next &- step > limit { throw refused(first) }
    }

    @usableFromInline
    func refused(_ first: Int64) -> ThalwegError {
        ThalwegError(
            .corrupt, "a split of the source cannot be read",
            detail: "split \(id): next \(next), limit \(limit), step \(step), block \(block); "
                + "numbers start at \(first)",
            hint: "the snapshot says so: start from another one, or set the split right with thalweg state set")
    }
}

/// Deals the numbers of a sequence to the readers in turn, so that event time advances evenly in all of them.
public struct NumberEnumerator: SplitEnumerator {
    @usableFromInline let numbers: Range<Int64>
    @usableFromInline let block: Int64
    @usableFromInline var isAssigned = false

    /// - Parameter block: how many consecutive numbers a reader gets at a time.
    public init(_ numbers: Range<Int64>, block: Int64 = 1) {
        self.numbers = numbers
        self.block = block
    }

    public mutating func restore(_ checkpoint: Bool) { isAssigned = checkpoint }

    public mutating func start(_ context: inout EnumeratorContext<NumberSplit>) throws {
        if isAssigned {
            for subtask in 0..<context.parallelism { context.signalNoMoreSplits(to: subtask) }
            return
        }
        let width = Int64(context.parallelism)
        for subtask in 0..<context.parallelism {
            let split = NumberSplit(
                id: "\(subtask)-of-\(width)", next: numbers.lowerBound + Int64(subtask) * block,
                limit: numbers.upperBound, step: width * block, block: block)
            context.assign(split, to: subtask)
            context.signalNoMoreSplits(to: subtask)
        }
        isAssigned = true
    }

    public mutating func addSplitsBack(
        _ splits: [NumberSplit], from subtask: Int, _ context: inout EnumeratorContext<NumberSplit>
    ) throws {
        for split in splits { context.assign(split, to: subtask) }
        context.signalNoMoreSplits(to: subtask)
    }

    public func snapshot() -> Bool { isAssigned }
    /// None: all splits are made and assigned at once.
    public static func unassigned(in checkpoint: Bool) -> [String] { [] }
    public var holdsBackEventTime: Bool { !isAssigned }
}

/// Makes record number n. A type rather than a closure, so that the reader's loop is compiled around it: worth it where
/// a record costs a few nanoseconds.
public protocol RecordMaker<Element>: Sendable {
    associatedtype Element: Sendable
    func make(_ number: Int64) throws -> Element
}

/// A record maker from a closure.
@frozen
public struct ClosureMaker<Element: Sendable>: RecordMaker {
    @usableFromInline let body: @Sendable (Int64) throws -> Element

    @inlinable
    init(_ body: @escaping @Sendable (Int64) throws -> Element) { self.body = body }

    @inlinable @inline(__always)
    public func make(_ number: Int64) throws -> Element { try body(number) }
}

/// A bounded source whose record number n is a function of n: sequences, test data, load generators.
public struct GeneratedSource<Maker: RecordMaker>: Source {
    public typealias Element = Maker.Element
    public typealias Split = NumberSplit
    public let kind = "generated"
    public var boundedness: Boundedness { .bounded }
    public let numbers: Range<Int64>
    @usableFromInline let maker: Maker

    @inlinable
    public init(_ numbers: Range<Int64>, maker: Maker) {
        self.numbers = numbers
        self.maker = maker
    }

    @inlinable
    public init<Element>(_ numbers: Range<Int64>, make: @escaping @Sendable (Int64) throws -> Element)
    where Maker == ClosureMaker<Element> {
        self.init(numbers, maker: ClosureMaker(make))
    }

    @inlinable
    public func makeEnumerator() -> NumberEnumerator { NumberEnumerator(numbers) }

    @inlinable
    public func makeReader(_ context: SourceReaderContext) -> GeneratedReader<Maker> {
        GeneratedReader(maker, from: numbers.lowerBound, context)
    }
}

/// Reads a ``GeneratedSource``.
public final class GeneratedReader<Maker: RecordMaker>: SourceReader {
    public typealias Element = Maker.Element
    @usableFromInline let maker: Maker
    /// The lowest number of the sequence.
    @usableFromInline let first: Int64
    @usableFromInline let errors: RecordErrorHandler
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var splits: [AssignedSplit<NumberSplit>] = []
    @exclusivity(unchecked) @usableFromInline var paused: Set<Int32> = []
    @exclusivity(unchecked) @usableFromInline var isComplete = false
    /// One is read after the other.
    public var openSplitsMax: Int { 1 }

    @inlinable
    init(_ maker: Maker, from first: Int64, _ context: SourceReaderContext) {
        self.maker = maker
        self.first = first
        errors = context.errors
    }

    public func addSplits(_ splits: [AssignedSplit<NumberSplit>]) { self.splits += splits }
    public func noMoreSplits() { isComplete = true }
    public func pause(_ splits: Set<Int32>) { paused = splits }
    public func snapshot() -> [NumberSplit] { splits.map(\.split) }

    @inlinable
    public func poll(into batch: Batch<Element>) throws -> ReadStatus {
        guard let current = splits.firstIndex(where: { !paused.contains($0.number) }) else {
            return splits.isEmpty && isComplete ? .finished : .nothing
        }
        let number = splits[current].number
        try splits[current].split.check(from: first)
        let start = splits[current].split.next
        let (limit, step, maker) = (splits[current].split.limit, splits[current].split.step, self.maker)
        let rows = batch.rows
        // The number of steps that fit both the batch and the split.
        let left = start < limit ? (UInt64(bitPattern: limit &- start) &- 1) / UInt64(bitPattern: step) &+ 1 : 0
        let count = Int(truncatingIfNeeded: min(UInt64(batch.capacity), left))
        var made = 0
        var tried = 0
        while tried < count {
            do {
                while tried < count {
                    (rows + made).initialize(to: try maker.make(start &+ Int64(truncatingIfNeeded: tried) &* step))
                    made &+= 1
                    tried &+= 1
                }
            } catch {
                batch.count = made
                let failed = start &+ Int64(truncatingIfNeeded: tried) &* step
                try errors.handle(error, position: "record \(failed)", record: "number \(failed)")
                tried &+= 1
            }
        }
        batch.count = made
        batch.split = number
        if count == 0 {
            splits.remove(at: current)
            return .splitFinished(number)
        }
        splits[current].split.next = start &+ Int64(truncatingIfNeeded: count) &* step
        return .records
    }
}

extension Source {
    /// The integers from one to another, both included, in order.
    @inlinable
    public static func sequence(from first: Int64, through last: Int64) -> GeneratedSource<ClosureMaker<Int64>>
    where Self == GeneratedSource<ClosureMaker<Int64>> {
        .sequence(first...last)
    }

    /// The integers of a range, in order.
    ///
    /// For a range that is written in place the compiler finds `sequence(from:through:)` only.
    @inlinable
    public static func sequence(_ numbers: ClosedRange<Int64>) -> GeneratedSource<ClosureMaker<Int64>>
    where Self == GeneratedSource<ClosureMaker<Int64>> {
        GeneratedSource(numbers.lowerBound..<numbers.upperBound + 1) { $0 }
    }

    /// `count` records, record n made by a function of n.
    ///
    /// For a closure that is written in place the compiler finds `GeneratedSource(0..<count) { ... }` only.
    @inlinable
    public static func generated<Element: Sendable>(
        count: Int64, _ make: @escaping @Sendable (Int64) throws -> Element
    ) -> GeneratedSource<ClosureMaker<Element>> where Self == GeneratedSource<ClosureMaker<Element>> {
        GeneratedSource(0..<count, make: make)
    }

    /// The elements of a collection, in order.
    @inlinable
    public static func elements<Element: Sendable>(
        _ elements: [Element]
    ) -> GeneratedSource<ClosureMaker<Element>> where Self == GeneratedSource<ClosureMaker<Element>> {
        GeneratedSource(0..<Int64(elements.count)) { elements[Int($0)] }
    }
}
