// SPDX-License-Identifier: Apache-2.0
//  Where streams begin (FLIP-27): source, split, reader.

import ThalwegBase
import ThalwegData

/// Whether a source ends by itself.
@frozen
public enum Boundedness: String, Codable, Sendable, Hashable {
    case bounded, unbounded
}

/// A unit of work of a source: a file, a range of a file, a log partition. Its value says where to go on reading.
public protocol SourceSplit: Codable, Sendable {
    /// Unique within the source and the same for ever.
    var id: String { get }
}

/// A split handed to a reader, with the number under which the reader and the engine speak of it.
@frozen
public struct AssignedSplit<Split: SourceSplit>: Sendable {
    public let number: Int32
    public var split: Split

    @inlinable
    public init(number: Int32, split: Split) {
        self.number = number
        self.split = split
    }
}

/// An assigned split seen without its type.
public protocol AnyAssignedSplit: Sendable {
    var number: Int32 { get }
    var id: String { get }
}
extension AssignedSplit: AnyAssignedSplit {
    public var id: String { split.id }
}

/// A stream's origin. A value: one enumerator is made per job, one reader per subtask.
///
/// The same source serves bounded and unbounded runs. Event time is not its business: timestamps and watermarks are
/// given per split by the engine (see `timestamps(by:watermark:)`).
public protocol Source<Element>: Sendable {
    associatedtype Element: Sendable
    associatedtype Split
    associatedtype Enumerator: SplitEnumerator<Split>
    associatedtype Reader: SourceReader<Element, Split>
    /// A short name of the kind for plans: `files`, `nexmark`.
    var kind: String { get }
    var boundedness: Boundedness { get }
    /// The most subtasks that make sense; nil when any number does.
    var parallelismMax: Int? { get }
    func makeEnumerator() throws -> Enumerator
    func makeReader(_ context: SourceReaderContext) throws -> Reader
}

extension Source {
    @inlinable public var parallelismMax: Int? { nil }
}

/// What a reader may use.
public struct SourceReaderContext {
    /// The operator's name.
    public let name: String
    public let subtask: Int
    public let parallelism: Int
    public let processingTime: any ProcessingTimeService
    /// Deals with records that cannot be read.
    public let errors: RecordErrorHandler
    public let metrics: OperatorMetrics
    /// Asks the enumerator for one more split.
    public let requestSplit: () throws -> Void
    /// Makes the runtime poll the reader again, from any thread.
    public let wake: @Sendable () -> Void

    public init(
        name: String, subtask: Int, parallelism: Int, processingTime: any ProcessingTimeService,
        errors: RecordErrorHandler, metrics: OperatorMetrics, requestSplit: @escaping () throws -> Void,
        wake: @escaping @Sendable () -> Void
    ) {
        self.name = name
        self.subtask = subtask
        self.parallelism = parallelism
        self.processingTime = processingTime
        self.errors = errors
        self.metrics = metrics
        self.requestSplit = requestSplit
        self.wake = wake
    }
}

/// What a poll of a reader gave.
@frozen
public enum ReadStatus: Sendable, Hashable {
    /// The batch holds records of one split, whose number is set on it.
    case records
    /// Nothing now. The reader calls `wake` when there is something.
    case nothing
    /// This split has been read to its end.
    case splitFinished(Int32)
    /// All splits have been read and no more will come.
    case finished
}

/// Reads the splits assigned to one subtask.
///
/// Called by the task's thread only and never blocks: a reader whose reads block keeps a thread of its own and hands
/// over (see `BlockingReader`). Its state is exactly its splits with their positions.
public protocol SourceReader<Element, Split>: AnyObject {
    associatedtype Element
    associatedtype Split: SourceSplit
    /// How many splits the reader reads side by side. Further ones wait until one is finished; meanwhile another
    /// subtask that has none may take them over, unless the source's event time is aligned. Never changes.
    var openSplitsMax: Int { get }
    func start() throws
    func addSplits(_ splits: [AssignedSplit<Split>]) throws
    /// No further split will be assigned.
    func noMoreSplits()
    /// Fills an empty batch with records of one split and sets `batch.split`.
    func poll(into batch: Batch<Element>) throws -> ReadStatus
    /// Reads none of these splits until told otherwise (watermark alignment).
    func pause(_ splits: Set<Int32>)
    /// The assigned splits with the positions of the next unread records: all for which `poll` has not given
    /// `splitFinished`, each once.
    func snapshot() -> [Split]
    func close()
}

extension SourceReader {
    /// Any number.
    @inlinable
    public var openSplitsMax: Int { .max }
    @inlinable
    public func start() throws {}
    @inlinable
    public func close() {}
}
