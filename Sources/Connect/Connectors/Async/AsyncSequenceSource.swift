// SPDX-License-Identifier: Apache-2.0
//  An asynchronous sequence as a source.

import Synchronization
import ThalwegBase
import ThalwegData
import ThalwegOperator

/// The one split of an asynchronous sequence. It cannot be resumed: a sequence has no position.
public struct AsyncSequenceSplit: SourceSplit {
    public var id: String { "sequence" }
}

/// Reads an asynchronous sequence in one subtask. The stream ends when the sequence does; an error it throws fails the
/// job. At most ``bufferMax`` elements wait for the job; then the sequence is not asked for more.
public struct AsyncSequenceSource<Sequence: AsyncSequence & Sendable>: Source where Sequence.Element: Sendable {
    public typealias Element = Sequence.Element
    public typealias Split = AsyncSequenceSplit
    public let kind = "asyncSequence"
    public var boundedness: Boundedness { .unbounded }
    public var parallelismMax: Int? { 1 }
    /// The most elements that wait for the job.
    public static var bufferMax: Int { 4096 }
    private let sequence: Sequence

    public init(_ sequence: Sequence) { self.sequence = sequence }

    public func makeEnumerator() throws -> FixedSplits<AsyncSequenceSplit> {
        try FixedSplits([AsyncSequenceSplit()], assignment: .push)
    }

    public func makeReader(_ context: SourceReaderContext) -> AsyncSequenceReader<Sequence> {
        AsyncSequenceReader(sequence, context)
    }
}

extension Source {
    /// Reads an asynchronous sequence.
    public static func async<Sequence: AsyncSequence & Sendable>(
        _ sequence: Sequence
    ) -> AsyncSequenceSource<Sequence> where Self == AsyncSequenceSource<Sequence>, Sequence.Element: Sendable {
        AsyncSequenceSource(sequence)
    }
}

/// Hands elements from a task that iterates the sequence to the job's task.
public final class AsyncSequenceReader<Sequence: AsyncSequence & Sendable>: SourceReader
where Sequence.Element: Sendable {
    /// What the two tasks share.
    private final class Exchange: Sendable {
        struct Contents {
            var elements: [Sequence.Element] = []
            var failure: (any Error)?
            var isEnded = false
            var waiter: CheckedContinuation<Void, Never>?
        }
        let contents = Guarded(Contents())

        /// Waits until there is room.
        func makeRoom() async {
            await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
                let hasRoom = contents.withLock { contents in
                    if contents.elements.count < AsyncSequenceSource<Sequence>.bufferMax { return true }
                    contents.waiter = waiter
                    return false
                }
                if hasRoom { waiter.resume() }
            }
        }

        /// Takes up to `count` elements and lets the other side go on.
        func take(_ count: Int) -> (elements: ArraySlice<Sequence.Element>, isEnded: Bool, failure: (any Error)?) {
            let (taken, waiter) = contents.withLock { contents in
                let taken = contents.elements.prefix(count)
                contents.elements.removeFirst(taken.count)
                let isDone = contents.isEnded && contents.elements.isEmpty
                defer { contents.waiter = nil }
                return ((taken, isDone, isDone ? contents.failure : nil), contents.waiter)
            }
            waiter?.resume()
            return taken
        }
    }

    private let exchange = Exchange()
    private let sequence: Sequence
    private let wake: @Sendable () -> Void
    private var pump: Task<Void, Never>?
    private var number: Int32?
    private var isPaused = false
    private var isFinished = false

    init(_ sequence: Sequence, _ context: SourceReaderContext) {
        self.sequence = sequence
        wake = context.wake
    }

    public func addSplits(_ splits: [AssignedSplit<AsyncSequenceSplit>]) {
        guard let split = splits.first, pump == nil else { return }
        number = split.number
        let (exchange, sequence, wake) = (exchange, sequence, wake)
        pump = Task {
            var failure: (any Error)?
            do {
                for try await element in sequence {
                    await exchange.makeRoom()
                    let isFirst = exchange.contents.withLock { contents in
                        contents.elements.append(element)
                        return contents.elements.count == 1
                    }
                    if isFirst { wake() }
                    if Task.isCancelled { break }
                }
            } catch {
                failure = error
            }
            exchange.contents.withLock { contents in
                contents.failure = failure
                contents.isEnded = true
            }
            wake()
        }
    }

    public func noMoreSplits() {}
    public func pause(_ splits: Set<Int32>) { isPaused = number.map(splits.contains) ?? false }
    public func snapshot() -> [AsyncSequenceSplit] { isFinished || number == nil ? [] : [AsyncSequenceSplit()] }

    public func poll(into batch: Batch<Sequence.Element>) throws -> ReadStatus {
        if isFinished { return .finished }
        guard let number, !isPaused else { return .nothing }
        let (elements, isEnded, failure) = exchange.take(batch.capacity)
        if let failure { throw failure }
        if elements.isEmpty {
            guard isEnded else { return .nothing }
            isFinished = true
            return .splitFinished(number)
        }
        var count = 0
        for element in elements {
            (batch.rows + count).initialize(to: element)
            count += 1
        }
        batch.count = count
        batch.split = number
        return .records
    }

    public func close() {
        pump?.cancel()
        // A pump that waits for room must see its cancellation.
        _ = exchange.take(.max)
    }
}
