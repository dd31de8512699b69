// SPDX-License-Identifier: Apache-2.0
//  Random streams for window and join tests, and jobs that run them.

import Testing
import Thalweg

/// A record of the tests: `number` tells it from all others.
struct Sample: Codable, Sendable, Hashable {
    var key: Int64
    var number: Int64
    var time: Int64
    var isFirst = true
}

/// How a random stream looks.
struct SampleShape: Sendable {
    var count = 200
    var keys: Int64 = 4
    /// The first timestamp.
    var start: Int64 = -3_000
    /// The mean step forward, in milliseconds.
    var step: Int64 = 40
    /// How far a record may lie behind the stream's progress.
    var disorder: Int64 = 600
    /// How often a record lies far behind: one in so many; 0 for never.
    var strays: Int64 = 0
    var strayDistance: Int64 = 8_000
}

extension SeededRandom {
    /// A number in a range, by remainder: uniform enough for tests.
    mutating func draw(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + Int64(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    mutating func samples(_ shape: SampleShape) -> [Sample] {
        var progress = shape.start
        return (0..<Int64(shape.count)).map { number in
            progress += draw(0...(2 * shape.step))
            var time = progress - draw(0...shape.disorder)
            if shape.strays > 0 && draw(1...shape.strays) == 1 { time = progress - draw(0...shape.strayDistance) }
            return Sample(key: draw(0...(shape.keys - 1)), number: number, time: time, isFirst: draw(0...1) == 0)
        }
    }
}

/// The watermarks that a single-split source makes: after each batch the greatest timestamp less the delay less 1.
struct WatermarkModel {
    let capacity: Int
    let delay: Int64
    private var seen = 0
    private var latest = Int64.min
    /// The watermark that the operator has when it sees the next record.
    private(set) var watermark = Int64.min

    init(capacity: Int, delay: Int64) {
        self.capacity = capacity
        self.delay = delay
    }

    /// Notes a record; returns the new watermark when a batch has ended with it.
    mutating func pass(_ time: Int64) -> Int64? {
        seen += 1
        latest = max(latest, time)
        guard seen % capacity == 0 else { return nil }
        watermark = max(watermark, latest - delay - 1)
        return watermark
    }
}

/// A job under test: one source subtask, `parallelism` subtasks behind the key.
struct SampleJob {
    var capacity = 1024
    var parallelism = 1
    var delay: Int64 = 600
    var seed: UInt64 = 0

    func environment() -> StreamEnvironment {
        var settings = ExecutionSettings()
        settings.batchCapacity = capacity
        settings.parallelism = parallelism
        return StreamEnvironment(settings: settings)
    }

    func read(_ samples: [Sample], in env: StreamEnvironment) -> DataStream<Sample> {
        env.read(.elements(samples)).parallelism(1).timestamps(
            by: { EventTime(milliseconds: $0.time) }, watermark: .boundedOutOfOrderness(.milliseconds(delay))
        ).parallelism(1)
    }

    /// Runs the job and returns the metrics of all steps.
    @discardableResult
    func run(_ env: StreamEnvironment, clock: ManualClock = ManualClock()) async throws -> JobMetrics {
        let execution = try env.makeExecution()
        try await execution.run(on: StepScheduler(seed: seed, clock: clock))
        return execution.metrics
    }
}
