// SPDX-License-Identifier: Apache-2.0
//  The generator as a source: events dealt to the subtasks in turn.

public import Thalweg

/// A bounded source of generated events, in the form of the rows that a query reads.
///
/// The epochs of 50 events are dealt to the subtasks in turn, so that event time advances evenly in all of them. Events
/// of kinds that the row does not know cost one step of the walk.
public struct NexmarkSource<Row: NexmarkInputRow>: Source {
    public typealias Split = NumberSplit
    public var kind: String { "nexmark" }
    public var boundedness: Boundedness { .bounded }
    @usableFromInline let generator: NexmarkGenerator
    @usableFromInline let events: Int64
    @usableFromInline let fullRows: Bool

    /// - Parameter fullRows: computes every field of every event before it makes the row of those that are read.
    @inlinable
    public init(_ generator: NexmarkGenerator, events: Int64, fullRows: Bool = false) {
        self.generator = generator
        self.events = events
        self.fullRows = fullRows
    }

    @inlinable
    public func makeEnumerator() -> NexmarkEnumerator {
        NexmarkEnumerator(seed: generator.seed, events: events, block: 50)
    }

    @inlinable
    public func makeReader(_ context: SourceReaderContext) -> NexmarkReader<Row> {
        NexmarkReader(generator, fullRows: fullRows, context.metrics)
    }
}

/// Reads a ``NexmarkSource``.
public final class NexmarkReader<Row: NexmarkInputRow>: SourceReader {
    @usableFromInline let generator: NexmarkGenerator
    @usableFromInline let fullRows: Bool
    @usableFromInline let metrics: OperatorMetrics
    // Used by one task alone.
    @exclusivity(unchecked) @usableFromInline var splits: [AssignedSplit<NumberSplit>] = []
    @exclusivity(unchecked) @usableFromInline var paused: Set<Int32> = []
    @exclusivity(unchecked) @usableFromInline var isComplete = false
    /// One is read after the other.
    public var openSplitsMax: Int { 1 }

    @inlinable
    init(_ generator: NexmarkGenerator, fullRows: Bool, _ metrics: OperatorMetrics) {
        self.generator = generator
        self.fullRows = fullRows
        self.metrics = metrics
    }

    public func addSplits(_ splits: [AssignedSplit<NumberSplit>]) { self.splits += splits }
    public func noMoreSplits() { isComplete = true }
    public func pause(_ splits: Set<Int32>) { paused = splits }
    public func snapshot() -> [NumberSplit] { splits.map(\.split) }

    @inlinable
    public func poll(into batch: Batch<Row>) throws -> ReadStatus {
        guard let current = splits.firstIndex(where: { !paused.contains($0.number) }) else {
            return splits.isEmpty && isComplete ? .finished : .nothing
        }
        let (number, split) = (splits[current].number, splits[current].split)
        try split.check(from: 0)
        if split.next >= split.limit {
            splits.remove(at: current)
            return .splitFinished(number)
        }
        var next = split.next
        let (rows, capacity) = (batch.rows, batch.capacity)
        var (made, walked) = (0, 0)
        // Walks over as many events as there are places left, until the batch is well filled.
        while next < split.limit && made <= capacity - capacity / 4 {
            let isWhole = split.step == split.block
            let end = isWhole ? split.limit : min(split.limit, next - next % split.block + split.block)
            let count = min(Int(end - next), capacity - made)
            var cursor = generator.cursor(at: next)
            if fullRows {
                cursor.forEach(next: count) { event in
                    NexmarkReader.use(event.event)
                    if let row = Row(event) {
                        (rows + made).initialize(to: row)
                        made &+= 1
                    }
                }
            } else {
                cursor.forEach(next: count) { event in
                    if let row = Row(event) {
                        (rows + made).initialize(to: row)
                        made &+= 1
                    }
                }
            }
            walked += count
            next += Int64(count)
            if !isWhole && next == end { next += split.step - split.block }
        }
        metrics.passedOver.add(walked - made)
        batch.count = made
        batch.split = number
        splits[current].split.next = next
        return .records
    }

    /// Keeps the compiler from leaving out the fields that nobody reads.
    @inlinable @inline(never)
    static func use(_ event: NexmarkEvent) {}
}
