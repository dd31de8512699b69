// SPDX-License-Identifier: Apache-2.0
//  Where asynchronous calls run.

import ThalwegBase
import ThalwegOperator

/// Runs the bodies of asynchronous calls: for real on Swift's own threads, in tests one by one on virtual time.
///
/// A body must never run inside `start`, which is called on the job's thread. It is run once, also after it has been
/// cancelled: how it reacts is its own affair. Whatever it does later than its cancellation is ignored.
public protocol AsyncCallExecutor: Sendable {
    /// Has a call run.
    ///
    /// - Parameter time: the processing time of the task, for executors that keep virtual time; used on the calling
    ///   thread only.
    func start(_ body: @escaping @Sendable () async -> Void, on time: any ProcessingTimeService) -> AsyncCallHandle
}

/// A call under way.
public struct AsyncCallHandle {
    /// Asks the call to end early. Nobody waits for it to do so.
    public let cancel: () -> Void

    public init(cancel: @escaping () -> Void) { self.cancel = cancel }
}

/// Runs each call as a Swift task.
///
/// A call that blocks its thread takes it away from all others: give clients that block a task executor with threads
/// of its own.
public struct ConcurrentCalls: AsyncCallExecutor {
    private let executor: (any TaskExecutor)?

    /// - Parameter executor: where the calls prefer to run; nil is the shared pool of the process.
    public init(on executor: (any TaskExecutor)? = nil) { self.executor = executor }

    public func start(
        _ body: @escaping @Sendable () async -> Void, on time: any ProcessingTimeService
    ) -> AsyncCallHandle {
        // A preference costs something even if it is for none.
        let task = executor.map { Task(executorPreference: $0) { await body() } } ?? Task { await body() }
        return AsyncCallHandle { task.cancel() }
    }
}

extension AsyncCallExecutor where Self == ConcurrentCalls {
    /// Calls run as Swift tasks.
    public static var concurrent: ConcurrentCalls { ConcurrentCalls() }
}
