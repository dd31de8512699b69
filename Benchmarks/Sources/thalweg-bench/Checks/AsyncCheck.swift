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
            // The service's latency is 10 ms in the mean of many calls only: with one at a time, never more than one is
            // under way.
            report("capacity 1", single, holds: single.rate * single.latency <= 1000),
            report("of CPU at capacity 100", ordered, holds: ordered.load <= 0.3 && unordered.load <= 0.3),
            report("unordered, capacity 1000", wide, holds: wide.rate >= 45_000),
        ]
        if verdicts.contains(false) { throw ExitCode.failure }
    }

    private struct Measure {
        var rate: Double
        var load: Double
        var latency: Double
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
        return Measure(rate: Double(count) / seconds, load: load, latency: service.stop())
    }

    private func report(_ text: String, _ measure: Measure, holds: Bool) -> Bool {
        let (rate, load) = (Int(measure.rate.rounded()), Int((measure.load * 100).rounded()))
        let latency = (measure.latency * 100).rounded() / 100
        print(
            "A12.1  \(holds ? "holds " : "MISSED")  \(text): \(rate) calls a second of \(latency) ms, "
                + "\(load) % of a core")
        return holds
    }
}

/// A service that answers each request after 10 ms, as seen from a client without threads of its own: one ticking
/// thread for all requests, so that the measure is of the engine and not of ten thousand timers. Answers come at the
/// tick that is nearest to their time: 9.5 to 10.5 ms after the request, 10 in the mean.
private final class SlowService: Sendable {
    private struct Request {
        let start: MonotonicTime
        let waiter: CheckedContinuation<Void, Never>
    }
    private struct Contents {
        var queue: [Request] = []
        var answered = 0
        var seconds = 0.0
    }
    private let contents = Guarded(Contents())
    private let ticker = Ticker()

    func start() {
        ticker.start(every: .milliseconds(1)) { [self] in
            let due = contents.withLock { contents in
                let ages = contents.queue.prefix { $0.start.secondsSince >= 0.0095 }.map(\.start.secondsSince)
                let count = ages.count
                contents.seconds += ages.reduce(0, +)
                contents.answered += count
                defer { contents.queue.removeFirst(count) }
                return contents.queue.prefix(count)
            }
            for request in due { request.waiter.resume() }
        }
    }

    /// Returns the mean latency in milliseconds.
    func stop() -> Double {
        ticker.stop()
        return contents.withLock { $0.seconds / Double(max(1, $0.answered)) * 1000 }
    }

    func answer() async {
        await withCheckedContinuation { waiter in
            contents.withLock { $0.queue.append(Request(start: .now, waiter: waiter)) }
        }
    }
}
