// SPDX-License-Identifier: Apache-2.0
//  A log in partitions to read from, as a message broker keeps it.

import Synchronization
import Thalweg

/// A partition of a ``SimulatedLog`` with the place to go on from.
public struct LogSplit: SourceSplit {
    public var partition: Int
    /// The records already read.
    public var position = 0
    public var id: String { "partition-\(partition)" }

    public init(partition: Int) { self.partition = partition }
}

/// A bounded source whose record number n is a function of n; record n lies in partition n mod `partitions`.
/// Readers ask for one partition after another, and read a batch of each of theirs in turn.
public struct SimulatedLog<Element: Sendable>: Source {
    public typealias Split = LogSplit
    public let kind = "simulatedLog"
    public let boundedness = Boundedness.bounded
    public let world: SimulatedWorld
    public let partitions: Int
    let make: @Sendable (Int) -> Element

    public init(_ world: SimulatedWorld, partitions: Int = 4, make: @escaping @Sendable (Int) -> Element) {
        self.world = world
        self.partitions = partitions
        self.make = make
    }

    public func makeEnumerator() throws -> FixedSplits<LogSplit> {
        try FixedSplits((0..<partitions).map(LogSplit.init))
    }

    public func makeReader(_ context: SourceReaderContext) -> LogReader<Element> { LogReader(self, context) }
}

/// Reads a ``SimulatedLog``.
public final class LogReader<Element: Sendable>: SourceReader {
    private let log: SimulatedLog<Element>
    private let context: SourceReaderContext
    private var splits: [AssignedSplit<LogSplit>] = []
    private var paused: Set<Int32> = []
    private var isComplete = false
    private var hasAsked = false
    private var polls = 0
    private var next = 0

    init(_ log: SimulatedLog<Element>, _ context: SourceReaderContext) {
        self.log = log
        self.context = context
    }

    public func start() throws { try ask() }

    private func ask() throws {
        guard !hasAsked, !isComplete else { return }
        hasAsked = true
        try context.requestSplit()
    }

    public func addSplits(_ splits: [AssignedSplit<LogSplit>]) {
        self.splits += splits
        hasAsked = false
    }
    public func noMoreSplits() { isComplete = true }
    public func pause(_ splits: Set<Int32>) { paused = splits }
    public func snapshot() -> [LogSplit] { splits.map(\.split) }

    public func poll(into batch: Batch<Element>) throws -> ReadStatus {
        // Now and then only, so that checkpoints find partitions that nobody has.
        if splits.isEmpty || polls % 3 == 0 { try ask() }
        polls += 1
        if splits.isEmpty { return isComplete ? .finished : .nothing }
        let open = splits.indices.filter { !paused.contains(splits[$0].number) }
        guard !open.isEmpty else { return .nothing }
        next += 1
        let at = open[next % open.count]
        let (partition, first) = (splits[at].split.partition, splits[at].split.position)
        let (total, width) = (log.world.records, log.partitions)
        let count = min(batch.capacity, max(0, (total - partition + width - 1) / width - first))
        if count == 0 {
            let number = splits.remove(at: at).number
            if splits.isEmpty { try ask() }
            return .splitFinished(number)
        }
        for index in first..<first + count { batch.append(log.make(partition + index * width), time: .min) }
        batch.isTimed = false
        batch.split = splits[at].number
        splits[at].split.position += count
        let read = log.world.state.withLock { state in
            state.records += count
            return state.records
        }
        log.world.fire(.record, read)
        return .records
    }
}
