// SPDX-License-Identifier: Apache-2.0
//  Asynchronous calls that a test completes one by one.

import Synchronization
import Thalweg

/// Holds asynchronous calls until the test runs them, on its own thread, in the order it likes.
public final class ManualCalls: AsyncCallExecutor {
    private let bodies = Guarded<[(number: Int, body: @Sendable () async -> Void)]>([])
    private let counts = Guarded((started: 0, cancelled: 0))
    private let executor = SingleThreadExecutor()

    public init() {}

    /// The calls made so far.
    public var started: Int { counts.withLock { $0.started } }
    /// The calls that were asked to end.
    public var cancelled: Int { counts.withLock { $0.cancelled } }
    /// The numbers of the calls that hang, from 0 in the order in which they were made.
    public var pending: [Int] { bodies.withLock { $0.map(\.number) } }

    public func start(
        _ body: @escaping @Sendable () async -> Void, on time: any ProcessingTimeService
    ) -> AsyncCallHandle {
        let number = counts.withLock { counts in
            counts.started += 1
            return counts.started - 1
        }
        bodies.withLock { $0.append((number, body)) }
        return AsyncCallHandle { [self] in counts.withLock { $0.cancelled += 1 } }
    }

    /// Lets a call run to its end; does nothing when it has.
    public func run(_ number: Int) {
        let body = bodies.withLock { bodies in
            bodies.firstIndex { $0.number == number }.map { bodies.remove(at: $0).body }
        }
        if let body { executor.run(body) }
    }

    /// Lets all calls run that were made so far, in order.
    public func runAll() {
        for number in pending { run(number) }
    }
}
