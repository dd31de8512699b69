// SPDX-License-Identifier: Apache-2.0
//  All that an operator may touch.

import ThalwegBase
import ThalwegState
import ThalwegData
import ThalwegState

/// Calls back on the task's thread when processing time has come far enough.
public protocol ProcessingTimeService: AnyObject {
    /// Milliseconds since 1970 UTC.
    var now: Int64 { get }
    /// Runs `action` on the task once `now >= time`. Not called after the task has ended.
    func schedule(at time: Int64, _ action: @escaping () throws -> Void)
}

/// Declares the states of a step without making its operator.
public typealias StateDeclaring = @Sendable (inout StateDeclarations) throws -> Void

/// What is declared of earlier forms of the keys of a step.
public typealias KeyEvolution = DeclaredEvolution

/// The counters of one operator in one subtask.
public final class OperatorMetrics: Sendable {
    public let recordsIn = Counter()
    public let recordsOut = Counter()
    /// The current watermark in milliseconds of event time.
    public let watermark = Counter()
    /// Records left out or sent to the dead letters.
    public let rejected = Counter()
    /// Records emitted to a side output that nobody reads.
    public let droppedNoConsumer = Counter()
    /// Records dropped because all their windows had closed.
    public let lateDropped = Counter()
    /// Windows that an accepted record came too late for.
    public let latePartial = Counter()
    /// Deep copies made by `COPY_PER_OPERATOR` (FLIP-21).
    public let deepCopies = Counter()
    /// Bytes read (sources).
    public let bytesIn = Counter()
    /// Records of the input that the job has no use for and that were never made (sources).
    public let passedOver = Counter()
    /// Of steps with asynchronous calls.
    public let async = AsyncMetrics()
    /// Of state with a time to live.
    public let ttl = TTLMetrics()

    public init() { watermark.set(.min) }
}

/// What state with a time to live counts in one operator and subtask (FLIP-25).
public final class TTLMetrics: Sendable {
    /// Expired entries that a read met.
    public let expiredOnRead = Counter()
    /// Entries removed because their time had passed, without a read.
    public let sweptEntries = Counter()

    public init() {}
}

/// How records are handed from operator to operator inside a chain (FLIP-21).
public enum ObjectReuseMode: String, Codable, Sendable, Hashable, CaseIterable {
    /// No copies: records are values, so nobody can change another's.
    case `default`
    /// A deep copy at every hop, as Flink does by default; only for measuring and for doubtful reference types.
    case copyPerOperator
    /// As `default`, and sources decode into the same memory again and again.
    case fullReuse
}

/// One operator in one subtask: who it is, its time, its counters.
public final class OperatorContext {
    public let name: String
    /// This subtask's number, from 0.
    public let subtask: Int
    public let parallelism: Int
    public let maxParallelism: Int
    public let processingTime: any ProcessingTimeService
    public let metrics: OperatorMetrics
    public let objectReuse: ObjectReuseMode
    /// The number of records in a batch.
    public let batchCapacity: Int
    /// What sources need from the runtime; nil for other operators.
    public let sourceLink: (any SourceLink)?
    /// The timestamp of the record being processed.
    public let recordClock = RecordClock()
    /// The outlets that read this operator's outputs: `nil` is the main output, others by tag id.
    public let outlets: [String?: Any]
    /// Makes the runtime poll this task again, from any thread.
    public let wake: @Sendable () -> Void
    /// Where sinks leave what is to be committed when the job has succeeded.
    public let commits: CommitLedger
    /// Whether the job takes checkpoints, so that what is unfinished must survive a crash.
    public let isRecoverable: Bool
    /// Where snapshots of keyed state lie, which hold only what has changed, over those before; nil: each holds all.
    public let layering: RowLayering?
    /// Where rows of keyed state rest that memory has no room for; nil: all stay in memory.
    public let rowPlace: RowPlace?
    /// Whether sinks may write output again that a later checkpoint of the job had published.
    public let repeatsOutput: Bool

    public init(
        name: String, subtask: Int, parallelism: Int, maxParallelism: Int,
        processingTime: any ProcessingTimeService, metrics: OperatorMetrics, objectReuse: ObjectReuseMode,
        batchCapacity: Int,
        outlets: [String?: Any], sourceLink: (any SourceLink)? = nil, wake: @escaping @Sendable () -> Void,
        commits: CommitLedger, isRecoverable: Bool = false, layering: RowLayering? = nil,
        rowPlace: RowPlace? = nil, repeatsOutput: Bool = false
    ) {
        self.repeatsOutput = repeatsOutput
        self.isRecoverable = isRecoverable
        self.layering = layering
        self.rowPlace = rowPlace
        self.name = name
        self.subtask = subtask
        self.parallelism = parallelism
        self.maxParallelism = maxParallelism
        self.processingTime = processingTime
        self.metrics = metrics
        self.objectReuse = objectReuse
        self.batchCapacity = batchCapacity
        self.outlets = outlets
        self.sourceLink = sourceLink
        self.wake = wake
        self.commits = commits
    }

    /// Whose rows and panes the operator's are.
    public var rowOwner: RowOwner {
        RowOwner(
            operatorName: name, subtask: subtask,
            keyGroups: KeyGroup.range(subtask: subtask, maxParallelism: maxParallelism, parallelism: parallelism),
            maxParallelism: maxParallelism)
    }

    /// The typed main output; one that swallows everything when nobody reads it.
    @inlinable
    public func mainOutlet<Element>(of type: Element.Type = Element.self) -> Inlet<Element> {
        outlets[nil].map { connected($0, to: Inlet<Element>.self) } ?? .drain
    }

    /// The collector for the main output.
    @inlinable
    public func mainCollector<Element>(of type: Element.Type = Element.self) -> Collector<Element> {
        Collector(mainOutlet(), clock: recordClock, capacity: batchCapacity)
    }

    /// The handler for records that make this operator fail.
    public func errorHandler(_ policy: RecordErrorPolicy) -> RecordErrorHandler {
        var letters: Collector<DeadLetter>?
        if case .deadLetter(let tag) = policy, let outlet = outlets[tag.id] as? Inlet<DeadLetter> {
            letters = Collector(outlet, clock: recordClock, capacity: batchCapacity)
        }
        return RecordErrorHandler(
            operatorName: name, policy: policy, letters: letters, rejected: metrics.rejected,
            unread: metrics.droppedNoConsumer)
    }
}
