// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check async`: calls of 10 milliseconds, one by one and many at a time (A12.1).

import ArgumentParser
import Synchronization
import Thalweg

/// Measures how many calls a second a subtask makes to a service that takes 10 ms. Fails when a limit is missed.
struct AsyncCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "async", abstract: "Measure asynchronous calls to a service that takes 10 ms.")

    @Option(help: "How many calls, a hundredth of it with capacity 1.")
    var calls: Int64 = 50_000

    func run() async throws {
        let ordered = try await measure(.ordered(capacity: 100), calls)
        let unordered = try await measure(.unordered(capacity: 100), calls)
        let single = try await measure(.ordered(capacity: 1), max(1, calls / 100))
        let wide = try await measure(.unordered(capacity: 1000), calls)
        let verdicts = [
            report("ordered, capacity 100", ordered, holds: ordered.rate >= 9000),
            report("unordered, capacity 100", unordered, holds: unordered.rate >= 9000),
            report("capacity 1", single, holds: single.rate <= 100),
            report("of CPU at capacity 100", ordered, holds: ordered.load <= 0.3 && unordered.load <= 0.3),
            report("unordered, capacity 1000", wide, holds: wide.rate >= 45_000),
        ]
        if verdicts.contains(false) { throw ExitCode.failure }
    }

    private struct Measure {
        var rate: Double
        var load: Double
    }

    private func measure(_ order: AsyncOrder, _ count: Int64) async throws -> Measure {
        let service = SlowService()
        service.start()
        let env = StreamEnvironment()
        env.settings.parallelism = 1
        try env.read(GeneratedSource(0..<count) { $0 })
            .asyncMap(order, timeout: .seconds(5)) { number in
                await service.answer()
                return [number]
            }
            .write(to: BlackHoleSink<Int64>())
        let (before, start) = (ProcessUsage(), MonotonicTime.now)
        try await env.execute()
        let seconds = start.secondsSince
        let load = (ProcessUsage().cpuSeconds - before.cpuSeconds) / seconds
        service.stop()
        return Measure(rate: Double(count) / seconds, load: load)
    }

    private func report(_ text: String, _ measure: Measure, holds: Bool) -> Bool {
        let (rate, load) = (Int(measure.rate.rounded()), Int((measure.load * 100).rounded()))
        print("A12.1  \(holds ? "holds " : "MISSED")  \(text): \(rate) calls a second, \(load) % of a core")
        return holds
    }
}

/// A service that answers each request after 10 ms, as seen from a client without threads of its own: one ticking
/// thread for all requests, so that the measure is of the engine and not of ten thousand timers.
private final class SlowService: Sendable {
    private struct Waiting {
        var now = 0
        var queue: [(due: Int, waiter: CheckedContinuation<Void, Never>)] = []
    }
    private let waiting = Guarded(Waiting())
    private let ticker = Ticker()
    private static let latencyTicks = 10

    func start() {
        ticker.start(every: .milliseconds(1)) { [self] in
            let due = waiting.withLock { waiting in
                waiting.now += 1
                let count = waiting.queue.prefix { $0.due <= waiting.now }.count
                defer { waiting.queue.removeFirst(count) }
                return waiting.queue.prefix(count)
            }
            for request in due { request.waiter.resume() }
        }
    }

    func stop() { ticker.stop() }

    func answer() async {
        await withCheckedContinuation { waiter in
            waiting.withLock { $0.queue.append(($0.now + Self.latencyTicks, waiter)) }
        }
    }
}
