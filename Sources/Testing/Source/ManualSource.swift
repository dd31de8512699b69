// SPDX-License-Identifier: Apache-2.0
//  A source whose test decides what each split gives, and when.

import Synchronization
import Thalweg

/// A split of a ``ManualSource``.
public struct ManualSplit: SourceSplit {
    public var index: Int
    /// The number of steps already taken.
    public var position = 0
    public var id: String { "manual-\(index)" }

    public init(index: Int) { self.index = index }
}

/// The script of a ``ManualSource``: what each split gives, in order. Steps can be added while the job runs.
public final class ManualScript<Element: Sendable>: Sendable {
    /// What a split does next.
    public enum Step: Sendable {
        /// Gives these records at once.
        case emit([Element])
        /// Says nothing until processing time has come so far (milliseconds).
        case waitUntil(Int64)
        /// Fails.
        case fail(any Error)
        /// Ends.
        case end
    }

    struct Contents {
        var steps: [[Step]]
        var wakes: [@Sendable () -> Void] = []
        var emitted: [(split: Int, element: Element)] = []
    }
    let contents: Guarded<Contents>

    /// - Parameter steps: the first steps of each split; their number is the number of splits.
    public init(_ steps: [[Step]]) { contents = Guarded(Contents(steps: steps)) }

    public var splitCount: Int { contents.withLock { $0.steps.count } }

    /// What has been read so far, over all splits, in order of reading.
    public var emitted: [(split: Int, element: Element)] { contents.withLock { $0.emitted } }

    /// Adds steps to a split, from any thread.
    public func add(_ steps: Step..., to split: Int) {
        let wakes = contents.withLock { contents in
            contents.steps[split] += steps
            return contents.wakes
        }
        for wake in wakes { wake() }
    }

    /// Ends every split.
    public func endAll() { for split in 0..<splitCount { add(.end, to: split) } }
}

/// A source that follows a script: for tests of watermarks, idleness and alignment. Split i is read by subtask
/// i mod parallelism; a subtask reads a step of each of its splits in turn.
///
///     let script = ManualScript<Int64>([[.emit([1, 2]), .end], [.waitUntil(60_000), .emit([3]), .end]])
///     env.read(ManualSource(script)).timestamps(...)
public struct ManualSource<Element: Sendable>: Source {
    public typealias Split = ManualSplit
    public let kind = "manual"
    public let boundedness: Boundedness
    public let script: ManualScript<Element>

    public init(_ script: ManualScript<Element>, boundedness: Boundedness = .bounded) {
        self.script = script
        self.boundedness = boundedness
    }

    public func makeEnumerator() throws -> FixedSplits<ManualSplit> {
        try FixedSplits((0..<script.splitCount).map(ManualSplit.init), assignment: .push)
    }

    public func makeReader(_ context: SourceReaderContext) -> ManualReader<Element> { ManualReader(script, context) }
}

/// Reads a ``ManualSource``.
public final class ManualReader<Element: Sendable>: SourceReader {
    private let script: ManualScript<Element>
    private let context: SourceReaderContext
    private var splits: [AssignedSplit<ManualSplit>] = []
    private var paused: Set<Int32> = []
    private var isComplete = false
    private var next = 0

    init(_ script: ManualScript<Element>, _ context: SourceReaderContext) {
        self.script = script
        self.context = context
        script.contents.withLock { $0.wakes.append(context.wake) }
    }

    public func addSplits(_ splits: [AssignedSplit<ManualSplit>]) { self.splits += splits }
    public func noMoreSplits() { isComplete = true }
    public func pause(_ splits: Set<Int32>) { paused = splits }
    public func snapshot() -> [ManualSplit] { splits.map(\.split) }

    public func poll(into batch: Batch<Element>) throws -> ReadStatus {
        if splits.isEmpty { return isComplete ? .finished : .nothing }
        for _ in splits.indices {
            next = next >= splits.count ? 0 : next
            if !paused.contains(splits[next].number), let status = try take(next, into: batch) { return status }
            next += 1
        }
        return .nothing
    }

    /// Takes the next step of a split; nil when it has nothing now.
    private func take(_ at: Int, into batch: Batch<Element>) throws -> ReadStatus? {
        let (number, split) = (splits[at].number, splits[at].split)
        let step = script.contents.withLock { contents -> ManualScript<Element>.Step? in
            guard split.position < contents.steps[split.index].count else { return nil }
            return contents.steps[split.index][split.position]
        }
        switch step {
        case nil: return nil
        case .emit(let elements):
            precondition(elements.count <= batch.capacity, "a step may emit one batch at most")
            script.contents.withLock { contents in
                for element in elements { contents.emitted.append((split.index, element)) }
            }
            splits[at].split.position += 1
            if elements.isEmpty { return nil }
            for element in elements { batch.append(element, time: .min) }
            batch.isTimed = false
            batch.split = number
            next += 1
            return .records
        case .waitUntil(let time):
            guard context.processingTime.now >= time else {
                context.processingTime.schedule(at: time) {}
                return nil
            }
            splits[at].split.position += 1
            return try take(at, into: batch)
        case .fail(let error):
            throw error
        case .end:
            splits.remove(at: at)
            return .splitFinished(number)
        }
    }
}
