// SPDX-License-Identifier: Apache-2.0
//  Where streams end.

import Synchronization
import ThalwegBase
import ThalwegData

/// A place records are written to. A value: `makeWriter` is called once per subtask.
///
/// Output becomes visible in two phases. At each barrier, and at the end of the input, the writer *prepares* what was
/// written since the last one; when the checkpoint is complete (without checkpoints: when the whole job has succeeded),
/// the sink *commits* it. What was prepared lies in the checkpoint, so a commit that a crash cut short is done again.
public protocol Sink<Element>: Sendable {
    associatedtype Element: Sendable
    associatedtype Writer: SinkWriter<Element>
    /// A short name of the kind for plans: `files`, `print`.
    var kind: String { get }
    /// The most subtasks that make sense; nil when any number does.
    var parallelismMax: Int? { get }
    func makeWriter(_ context: SinkContext) throws -> Writer
    /// Makes prepared output visible. Idempotent: after a crash it is called again with the same values, also by a
    /// process that knows nothing of the first call. Called off the tasks' threads, one call at a time.
    func commit(_ committables: [Writer.Committable]) throws
    /// Discards prepared output that will never be committed, because the job has failed or goes back to an older
    /// checkpoint. What a completed checkpoint needs to go on must stay. Not called for a checkpoint that is given up
    /// while the job goes on: its output is committed with the next one.
    func abort(_ committables: [Writer.Committable])
}

extension Sink {
    @inlinable public var parallelismMax: Int? { nil }
    @inlinable
    public func commit(_ committables: [Writer.Committable]) throws {}
    @inlinable
    public func abort(_ committables: [Writer.Committable]) {}
}

/// A sink that writes to a place of its own: two sinks of a job must not name the same one.
public protocol LocatedSink {
    /// Where it writes, such as a path.
    var location: String { get }
}

/// Who is writing.
public struct SinkContext: Sendable {
    public let name: String
    public let subtask: Int
    public let parallelism: Int
    /// Whether the job goes on from a checkpoint after a failure: what is unfinished then has to outlive the writer.
    public let isRecoverable: Bool
    /// Whether output that was published after the point where the job starts may be written again. If not, a sink that
    /// finds such output refuses to start.
    public let repeatsOutput: Bool
    /// Makes the runtime look again at a writer that was held up, from any thread.
    public let wake: @Sendable () -> Void

    public init(
        name: String, subtask: Int, parallelism: Int, isRecoverable: Bool = false, repeatsOutput: Bool = false,
        wake: @escaping @Sendable () -> Void
    ) {
        self.repeatsOutput = repeatsOutput
        self.name = name
        self.subtask = subtask
        self.parallelism = parallelism
        self.isRecoverable = isRecoverable
        self.wake = wake
    }
}

/// Writes the records of one subtask.
///
/// Nothing that is written may be visible as output before it is committed. `close` discards what was not prepared.
public protocol SinkWriter<Element>: AnyObject {
    associatedtype Element
    /// What stands for prepared output in a checkpoint: enough for another process to commit it.
    associatedtype Committable: Codable & Sendable = NoCommittable
    /// What a writer needs to go on after a restart.
    associatedtype State: Codable & Sendable = NoWriterState
    /// Takes over what the writers of a checkpoint kept, by old subtask; called once, before the first record. Every
    /// writer sees all of it: what must be dealt out is dealt by `subtask` and `parallelism` of the context.
    func restore(_ states: [[State]]) throws
    /// Takes the records of a batch; the batch is only lent.
    func write(_ batch: Batch<Element>) throws
    /// Nothing is coming for the moment: hand buffered records to the outside if they may be seen.
    func flush() throws
    /// Whether the writer cannot take more for now; the runtime then polls nothing that would write to it.
    var isHeldUp: Bool { get }
    /// A barrier has come, or the end of the input: says what stands for all that was written since the last call.
    /// Must not wait for a disk or a network; what has to is left to ``PreparedOutput/persist``.
    func prepare(_ request: PrepareRequest) throws -> PreparedOutput<Committable, State>
    /// Releases everything; what was not prepared is discarded.
    func close()
}

extension SinkWriter {
    @inlinable
    public func restore(_ states: [[State]]) throws {}
    @inlinable
    public func flush() throws {}
    @inlinable public var isHeldUp: Bool { false }
    @inlinable
    public func close() {}
}

extension SinkWriter where Committable == NoCommittable, State == NoWriterState {
    /// For sinks whose output is visible as soon as it is written.
    @inlinable
    public func prepare(_ request: PrepareRequest) throws -> PreparedOutput<NoCommittable, NoWriterState> {
        PreparedOutput()
    }
}

/// Why a writer has to prepare its output.
public struct PrepareRequest: Sendable, Hashable {
    /// The checkpoint that the output belongs to; rises from call to call, also over restarts.
    public let checkpoint: Int64
    /// Whether all input has come.
    public let isFinal: Bool
    /// When the checkpoint was triggered, in milliseconds of processing time.
    public let time: Int64

    public init(checkpoint: Int64, isFinal: Bool, time: Int64 = 0) {
        self.checkpoint = checkpoint
        self.isFinal = isFinal
        self.time = time
    }
}

/// Output that waits to be committed.
public struct PreparedOutput<Committable: Codable & Sendable, State: Codable & Sendable>: Sendable {
    /// Stored in the checkpoint and handed to ``Sink/commit(_:)`` when it is complete.
    public var committables: [Committable]
    /// Stored in the checkpoint and handed to ``SinkWriter/restore(_:)`` after a restart.
    public var state: [State]
    /// Makes what was prepared survive a loss of power; runs off the task's thread before the checkpoint completes.
    public var persist: (@Sendable () throws -> Void)?
    /// For output that lives in this process only and needs no trace in the checkpoint.
    public var publish: SinkCommit?

    public init(
        committables: [Committable] = [], state: [State] = [], persist: (@Sendable () throws -> Void)? = nil,
        publish: SinkCommit? = nil
    ) {
        self.committables = committables
        self.state = state
        self.persist = persist
        self.publish = publish
    }
}

/// Of sinks that have nothing to commit.
public enum NoCommittable: String, Codable, Sendable { case none }
/// Of writers that keep nothing.
public enum NoWriterState: String, Codable, Sendable { case none }

/// A step that publishes prepared output. Must be idempotent.
public struct SinkCommit: Sendable {
    public let label: String
    public let commit: @Sendable () throws -> Void
    public let abort: @Sendable () -> Void
    /// Whether a start from the checkpoint can do it as well: then it is left to that after a cancel.
    public let isInCheckpoint: Bool

    public init(
        _ label: String, isInCheckpoint: Bool = false, commit: @escaping @Sendable () throws -> Void,
        abort: @escaping @Sendable () -> Void = {}
    ) {
        self.label = label
        self.isInCheckpoint = isInCheckpoint
        self.commit = commit
        self.abort = abort
    }
}

/// What the sinks of a job have prepared, published together at the end.
public final class CommitLedger: Sendable {
    private let pending = Guarded<[SinkCommit]>([])
    public init() {}

    public func add(_ commits: [SinkCommit]) { pending.withLock { $0 += commits } }

    /// Publishes everything in the order it was prepared. If a step fails, it and those after it are discarded.
    ///
    /// - Throws: the step's error; when other steps had been published before, an error that names them.
    public func commitAll() throws {
        let steps = pending.withLock { steps in
            defer { steps = [] }
            return steps
        }
        for (index, step) in steps.enumerated() {
            do { try step.commit() } catch {
                for rest in steps[index...] { rest.abort() }
                if index == 0 { throw error }
                throw ThalwegError(
                    .task, "a part of the output could not be published",
                    detail: "\(step.label) failed; published before it: "
                        + steps[..<index].map(\.label).joined(separator: ", "),
                    hint: "remove what was published, mend the cause and run the job again", cause: error)
            }
        }
    }
}
