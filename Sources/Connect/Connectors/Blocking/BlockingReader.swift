// SPDX-License-Identifier: Apache-2.0
//  Lets a client whose reads block serve as a source reader (FLIP-27, 27.b8).

import Foundation
import ThalwegBase
import ThalwegData
import ThalwegOperator

/// What a blocking client fetched.
public enum Fetched<Element: Sendable>: Sendable {
    /// Records of one split, in order.
    case records([Element], split: Int32)
    /// A split has been read to its end.
    case splitFinished(Int32)
    /// Nothing: the fetch was woken up.
    case nothing
}

/// A client whose reads may block: the part of a source that a connector writes when its library is not asynchronous.
///
/// - Every function but ``wakeUp()`` is called on the fetch thread alone.
/// - ``fetch()`` may block as long as it likes but must return soon after ``wakeUp()``; a wake-up that comes between
/// two fetches makes the next one return at once.
public protocol SplitFetcher<Element, Split>: AnyObject, SendableMetatype {
    associatedtype Element: Sendable
    associatedtype Split: SourceSplit
    func addSplits(_ splits: [AssignedSplit<Split>]) throws
    /// Fetches nothing of these splits until told otherwise.
    func pause(_ splits: Set<Int32>)
    func fetch() throws -> Fetched<Element>
    /// Makes a blocked ``fetch()`` return. Called from any thread.
    func wakeUp()
    func close()
    /// Moves a split's position past a record, when the record is handed to the job.
    static func advance(_ split: inout Split, past element: Element)
}

/// A source reader with a fetch thread of its own and a bounded hand-over.
///
/// The job's thread never waits for a fetch: the reader's state is kept on the job's side and advances with the records
/// handed on, so a snapshot is taken at once even while a fetch blocks.
public final class BlockingReader<Fetcher: SplitFetcher>: SourceReader {
    public typealias Element = Fetcher.Element
    public typealias Split = Fetcher.Split
    /// The number of fetched batches that wait for the job.
    public static var queueMax: Int { 2 }
    /// How long ``close()`` waits for the fetch thread unless told otherwise.
    public static var closeTimeout: Duration { .seconds(30) }

    private let hand: FetchHand<Fetcher>
    private let timeout: Duration
    private var splits: [Int32: Split] = [:]
    private var ready: [Fetched<Element>] = []
    private var paused: Set<Int32> = []
    private var isComplete = false

    /// - Parameter make: makes the client, on the fetch thread.
    public init(
        _ context: SourceReaderContext, closeTimeout: Duration = BlockingReader.closeTimeout,
        _ make: @escaping @Sendable () throws -> Fetcher
    ) {
        timeout = closeTimeout
        hand = FetchHand(queueMax: Self.queueMax, wake: context.wake, make)
    }

    public func start() { hand.start() }

    public func addSplits(_ splits: [AssignedSplit<Split>]) {
        for split in splits { self.splits[split.number] = split.split }
        hand.add(splits)
    }

    public func noMoreSplits() { isComplete = true }

    public func pause(_ splits: Set<Int32>) {
        paused = splits
        hand.pause(splits)
    }

    public func snapshot() -> [Split] { splits.sorted { $0.key < $1.key }.map(\.value) }

    public func poll(into batch: Batch<Element>) throws -> ReadStatus {
        while true {
            // What was fetched of a paused split waits aside: it must not hold up the others.
            guard let index = ready.firstIndex(where: { !isPaused($0) }) else {
                guard let fetched = try hand.take() else {
                    return isComplete && splits.isEmpty && ready.isEmpty ? .finished : .nothing
                }
                ready.append(fetched)
                continue
            }
            switch ready[index] {
            case .records(let elements, let number):
                handOver(elements, of: number, at: index, into: batch)
                if batch.isEmpty { continue }
                return .records
            case .splitFinished(let number):
                ready.remove(at: index)
                splits[number] = nil
                return .splitFinished(number)
            case .nothing:
                ready.remove(at: index)
            }
        }
    }

    private func isPaused(_ fetched: Fetched<Element>) -> Bool {
        switch fetched {
        case .records(_, let number), .splitFinished(let number): paused.contains(number)
        case .nothing: false
        }
    }

    /// Moves as many records as fit; the rest comes with the next poll.
    private func handOver(_ elements: [Element], of number: Int32, at index: Int, into batch: Batch<Element>) {
        let count = min(batch.capacity, elements.count)
        var split = splits[number]
        for element in elements[..<count] {
            (batch.rows + batch.count).initialize(to: element)
            batch.count += 1
            if split != nil { Fetcher.advance(&split!, past: element) }  // checked just before
        }
        splits[number] = split
        batch.split = number
        if count == elements.count {
            ready.remove(at: index)
        } else {
            ready[index] = .records(Array(elements[count...]), split: number)
        }
    }

    /// Ends the fetch thread and waits for it, for the time-out at most; a client that does not heed its wake-up is
    /// left to end by itself.
    public func close() { hand.close(timeout: timeout) }
}

/// What the two threads of a ``BlockingReader`` share.
private final class FetchHand<Fetcher: SplitFetcher>: @unchecked Sendable {
    // Unchecked: the fields below are guarded by `condition`; the client is touched by the fetch thread, but for
    // `wakeUp()`, which may be called from any.
    private let condition = NSCondition()
    private var fetched: [Fetched<Fetcher.Element>] = []
    private var added: [AssignedSplit<Fetcher.Split>] = []
    private var paused: Set<Int32>?
    private var failure: (any Error)?
    private var isClosed = false
    private var isStarted = false
    private var hasEnded = false
    private var fetcher: Fetcher?
    private let queueMax: Int
    private let wake: @Sendable () -> Void
    private let make: @Sendable () throws -> Fetcher

    init(queueMax: Int, wake: @escaping @Sendable () -> Void, _ make: @escaping @Sendable () throws -> Fetcher) {
        self.queueMax = queueMax
        self.wake = wake
        self.make = make
    }

    // MARK: The job's side

    func start() {
        isStarted = true
        let thread = Thread { self.run() }
        thread.name = "thalweg-fetch"
        thread.start()
    }

    private func tell(_ change: () -> Void) {
        condition.lock()
        change()
        let fetcher = self.fetcher
        condition.broadcast()
        condition.unlock()
        fetcher?.wakeUp()
    }

    func add(_ splits: [AssignedSplit<Fetcher.Split>]) { tell { added += splits } }
    func pause(_ splits: Set<Int32>) { tell { paused = splits } }

    func take() throws -> Fetched<Fetcher.Element>? {
        condition.lock()
        defer { condition.unlock() }
        if !fetched.isEmpty {
            condition.broadcast()
            return fetched.removeFirst()
        }
        if let failure { throw failure }
        return nil
    }

    func close(timeout: Duration) {
        guard isStarted else { return }
        tell { isClosed = true }
        let limit = Date(timeIntervalSinceNow: Double(timeout.wholeMilliseconds) / 1000)
        condition.lock()
        defer { condition.unlock() }
        while !hasEnded {
            if !condition.wait(until: limit) { break }
        }
    }

    // MARK: The fetch thread

    private func run() {
        do {
            let client = try make()
            condition.lock()
            fetcher = client
            condition.unlock()
            defer { client.close() }
            try loop(client)
        } catch {
            condition.lock()
            failure = error
            condition.unlock()
        }
        condition.lock()
        fetcher = nil
        hasEnded = true
        condition.broadcast()
        condition.unlock()
        wake()
    }

    private func loop(_ client: Fetcher) throws {
        var live = 0
        while let turn = nextTurn(live: live) {
            if !turn.splits.isEmpty { try client.addSplits(turn.splits) }
            live += turn.splits.count
            if let paused = turn.paused { client.pause(paused) }
            if live == 0 || !turn.hasRoom { continue }
            let result = try client.fetch()
            if case .nothing = result { continue }
            if case .splitFinished = result { live -= 1 }
            condition.lock()
            fetched.append(result)
            condition.unlock()
            wake()
        }
    }

    /// Waits until there is room and something to read; nil when the reader was closed.
    private func nextTurn(
        live: Int
    ) -> (splits: [AssignedSplit<Fetcher.Split>], paused: Set<Int32>?, hasRoom: Bool)? {
        condition.lock()
        defer { condition.unlock() }
        while !isClosed && added.isEmpty && paused == nil && (fetched.count >= queueMax || live == 0) {
            condition.wait()
        }
        if isClosed { return nil }
        defer {
            added = []
            paused = nil
        }
        return (added, paused, fetched.count < queueMax)
    }
}
