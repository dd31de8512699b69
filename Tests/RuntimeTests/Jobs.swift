// SPDX-License-Identifier: Apache-2.0
//  What the job tests share: schedulers, a deadline, awkward sinks.

import Foundation
import Synchronization
import Testing
import Thalweg

/// Whether the full-size versions of the tests run.
let isFull = ProcessInfo.processInfo.environment["THALWEG_FULL"] == "1"

struct Timeout: Error {}
struct Mishap: Error, CustomStringConvertible {
    var text = "mishap"
    var description: String { text }
}

/// Fails instead of hanging.
@discardableResult
func within<Value: Sendable>(
    _ limit: Duration = .seconds(3600), _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw Timeout()
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw Timeout() }
        return value
    }
}

/// How a job is scheduled in a test.
enum Schedule: Sendable, CustomStringConvertible {
    case steps(UInt64), pool(Int)
    var scheduler: any TaskScheduler {
        switch self {
        case .steps(let seed): StepScheduler(seed: seed)
        case .pool(let workers): WorkerPool(workers: workers)
        }
    }
    var description: String {
        switch self {
        case .steps(let seed): "steps, seed \(seed)"
        case .pool(let workers): "pool of \(workers)"
        }
    }
    static let all: [Schedule] = [.steps(1), .steps(2), .steps(3), .pool(1), .pool(3)]
}

/// Gives the value back unless it is the bad one.
@Sendable func refusing(_ bad: Int64, _ value: Int64) throws -> Int64 {
    if value == bad { throw Mishap(text: "\(bad) is bad") }
    return value
}

extension StreamEnvironment {
    func numbers(_ range: ClosedRange<Int64>, name: String? = nil) -> DataStream<Int64> {
        read(GeneratedSource(range.lowerBound..<range.upperBound + 1) { $0 }, name: name)
    }

    /// Runs the job; fails instead of hanging. Returns the execution for its metrics.
    @discardableResult
    func run(_ schedule: Schedule = .steps(0), limit: Duration = .seconds(3600)) async throws -> JobExecution {
        let execution = try makeExecution()
        let scheduler = schedule.scheduler
        try await within(limit) { try await execution.run(on: scheduler) }
        return execution
    }
}

extension JobExecution {
    func total(_ name: String, _ counter: (OperatorMetrics) -> Counter) -> Int {
        let node = graph.streamGraph.nodes.first { $0.name == name }
        return node.map { metrics.total(of: $0.id, counter) } ?? -1
    }
}

/// A sink whose test says when it takes records and when it fails; counts what is published.
final class Valve: Sendable {
    struct State {
        var isShut = false
        var failsAfter = Int.max
        var failsFinish = false
        var written = 0
        var published = 0
        var aborted = 0
        var opened = 0
        var closed = 0
        var wakes: [@Sendable () -> Void] = []
    }
    let state: Guarded<State>

    init(_ change: (inout State) -> Void = { _ in }) {
        var initial = State()
        change(&initial)
        let made = initial
        state = Guarded(made)
    }

    var now: State { state.withLock { $0 } }

    func open() {
        let wakes = state.withLock { state in
            state.isShut = false
            return state.wakes
        }
        for wake in wakes { wake() }
    }
}

struct ValveSink<Element: Sendable>: Sink {
    let kind = "valve"
    let valve: Valve
    init(_ valve: Valve, of _: Element.Type = Element.self) { self.valve = valve }

    func makeWriter(_ context: SinkContext) -> Writer {
        valve.state.withLock { state in
            state.opened += 1
            state.wakes.append(context.wake)
        }
        return Writer(valve: valve)
    }

    final class Writer: SinkWriter {
        let valve: Valve
        init(valve: Valve) { self.valve = valve }
        var isHeldUp: Bool { valve.state.withLock { $0.isShut } }

        func write(_ batch: Batch<Element>) throws {
            let fails = valve.state.withLock { state in
                state.written += batch.count
                return state.written > state.failsAfter
            }
            if fails { throw Mishap(text: "the sink broke") }
        }

        func prepare(_ request: PrepareRequest) throws -> PreparedOutput<NoCommittable, NoWriterState> {
            if valve.now.failsFinish { throw Mishap(text: "finish failed") }
            let valve = valve
            return PreparedOutput(
                publish: SinkCommit(
                    "valve", commit: { valve.state.withLock { $0.published += 1 } },
                    abort: { valve.state.withLock { $0.aborted += 1 } }))
        }

        func close() { valve.state.withLock { $0.closed += 1 } }
    }
}
