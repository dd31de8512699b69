// SPDX-License-Identifier: Apache-2.0
//  Where streams end.

import Synchronization
import ThalwegBase
import ThalwegData

/// A place records are written to. A value: `makeWriter` is called once per subtask.
public protocol Sink<Element>: Sendable {
    associatedtype Element: Sendable
    associatedtype Writer: SinkWriter<Element>
    /// A short name of the kind for plans: `files`, `print`.
    var kind: String { get }
    /// The most subtasks that make sense; nil when any number does.
    var parallelismMax: Int? { get }
    func makeWriter(_ context: SinkContext) throws -> Writer
}

extension Sink {
    @inlinable public var parallelismMax: Int? { nil }
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
    /// Makes the runtime look again at a writer that was held up, from any thread.
    public let wake: @Sendable () -> Void

    public init(name: String, subtask: Int, parallelism: Int, wake: @escaping @Sendable () -> Void) {
        self.name = name
        self.subtask = subtask
        self.parallelism = parallelism
        self.wake = wake
    }
}

/// Writes the records of one subtask.
///
/// Nothing that is written may be visible as output before it is committed: `finish` returns the steps that make it so,
/// and the runtime runs them when every task of the job has succeeded. `close` without `finish` discards.
public protocol SinkWriter<Element>: AnyObject {
    associatedtype Element
    /// Takes the records of a batch; the batch is only lent.
    func write(_ batch: Batch<Element>) throws
    /// Nothing is coming for the moment: hand buffered records to the outside if they may be seen.
    func flush() throws
    /// Whether the writer cannot take more for now; the runtime then polls nothing that would write to it.
    var isHeldUp: Bool { get }
    /// All input has come: makes everything durable and returns what publishes it.
    func finish() throws -> [SinkCommit]
    /// Releases everything; what was not committed is discarded.
    func close()
}

extension SinkWriter {
    @inlinable
    public func flush() throws {}
    @inlinable public var isHeldUp: Bool { false }
    @inlinable
    public func close() {}
}

/// A step that publishes prepared output. Must be idempotent.
public struct SinkCommit: Sendable {
    public let label: String
    public let commit: @Sendable () throws -> Void
    public let abort: @Sendable () -> Void

    public init(
        _ label: String, commit: @escaping @Sendable () throws -> Void, abort: @escaping @Sendable () -> Void = {}
    ) {
        self.label = label
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

    /// Discards everything.
    public func abortAll() {
        let steps = pending.withLock { steps in
            defer { steps = [] }
            return steps
        }
        for step in steps { step.abort() }
    }
}
