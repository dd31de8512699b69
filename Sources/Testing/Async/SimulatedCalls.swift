// SPDX-License-Identifier: Apache-2.0
//  Asynchronous calls on virtual time, under a seed.

import Synchronization
import Thalweg

/// Runs asynchronous calls on the job's own thread, each after a latency drawn from a seed, on the job's virtual time:
/// the same seed gives the same run. For `StepScheduler` and harnesses.
///
/// The body of a call runs when its latency is over, in no time; a cancelled one runs too, late. A body that waits for
/// something outside goes on when that comes, which is not deterministic.
public final class SimulatedCalls: AsyncCallExecutor {
    private let random: Guarded<SeededRandom>
    private let latency: @Sendable (inout SeededRandom) -> Int64
    private let executor = SingleThreadExecutor()
    private let counts = Guarded((started: 0, cancelled: 0))

    /// - Parameter latency: milliseconds from the start of a call to its end.
    public init(seed: UInt64 = 0, latency: @escaping @Sendable (inout SeededRandom) -> Int64) {
        random = Guarded(SeededRandom(seed: seed))
        self.latency = latency
    }

    /// Calls that all take from `range.lowerBound` to `range.upperBound` milliseconds, all equally likely.
    public convenience init(seed: UInt64 = 0, milliseconds range: ClosedRange<Int64>) {
        let span = UInt64(range.upperBound - range.lowerBound) + 1
        self.init(seed: seed) { range.lowerBound + Int64($0.next() % span) }
    }

    public var started: Int { counts.withLock { $0.started } }
    public var cancelled: Int { counts.withLock { $0.cancelled } }

    public func start(
        _ body: @escaping @Sendable () async -> Void, on time: any ProcessingTimeService
    ) -> AsyncCallHandle {
        counts.withLock { $0.started += 1 }
        let delay = random.withLock { latency(&$0) }
        time.schedule(at: time.now + delay) { [executor] in executor.run(body) }
        return AsyncCallHandle { [self] in counts.withLock { $0.cancelled += 1 } }
    }
}
