// SPDX-License-Identifier: Apache-2.0
//  Jobs that are interrupted, and what they must have committed in the end.

import Synchronization
import Thalweg
import ThalwegTesting

/// Throws at chosen moments, counted over all subtasks and attempts.
final class Mishaps: Sendable {
    private let state: Mutex<(seen: Int, at: Set<Int>)>

    init(at moments: Set<Int>) { state = Mutex((0, moments)) }

    var left: Int { state.withLock { $0.at.count } }

    func pass() throws {
        let fails = state.withLock { state in
            state.seen += 1
            return state.at.remove(state.seen) != nil
        }
        if fails { throw Mishap(text: "a planted failure") }
    }
}

/// A keyed count over numbers, windowed and not, with everything that can be lost or doubled on the way: splits in the
/// readers, records in channels, keyed state, panes, timers, output.
struct CountingJob {
    var numbers: Int64 = 3_000
    var parallelism = 2
    var mishaps = Mishaps(at: [])
    var isUnaligned = false
    var disk: any FileSystem = MemoryFileSystem()
    var restart: RestartStrategy? = .fixedDelay(attempts: 1000, delay: 1)
    var interval: Int64? = 40
    var from: String?
    var batchCapacity = 16
    var concurrentMax = 1

    struct Row: Hashable, Codable, Sendable {
        var kind: String
        var key: Int64
        var value: Int64
        var time: Int64
    }

    /// The rows that an undisturbed run gives.
    var expected: [Row: Int] {
        var rows: [Row: Int] = [:]
        var counts: [Int64: Int64] = [:]
        var windows: [Int64: [Int64: Int64]] = [:]
        for number in 0..<numbers {
            let key = number % 17
            counts[key, default: 0] += 1
            windows[number / 100, default: [:]][key, default: 0] += 1
        }
        for (key, count) in counts {
            for value in 1...count { rows[Row(kind: "count", key: key, value: value, time: 0), default: 0] += 1 }
        }
        for (window, keys) in windows {
            for (key, count) in keys {
                rows[Row(kind: "window", key: key, value: count, time: window * 100), default: 0] += 1
            }
        }
        return rows
    }

    func build(_ collected: Collected<Row>) throws -> StreamEnvironment {
        let env = StreamEnvironment()
        // Time is moved on while tasks are held up.
        env.settings.cancellationTimeout = .seconds(Int64.max)
        env.settings.parallelism = parallelism
        env.settings.batchCapacity = batchCapacity
        env.settings.restart = restart
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: disk, from: from)
        options.settings.interval = interval
        options.settings.alignmentTimeout = isUnaligned ? 0 : nil
        options.settings.toleratedFailures = 1000
        options.settings.concurrentMax = concurrentMax
        env.settings.checkpoints = options
        let mishaps = mishaps
        let source = env.read(GeneratedSource(0..<numbers) { $0 }, name: "numbers")
            .map { number in
                try mishaps.pass()
                return number
            }
            .timestamps(by: { EventTime(milliseconds: $0) }, watermark: .boundedOutOfOrderness(.milliseconds(20)))
        let keyed = try source.keyed { $0 % 17 }
        let counts = keyed.aggregate(Count(), name: "counts") { Row(kind: "count", key: $0, value: $1, time: 0) }
        let windows = try keyed.window(.tumbling(.milliseconds(100))).aggregate(Count(), name: "windows") {
            Row(kind: "window", key: $0, value: $1, time: $2.start.milliseconds)
        }
        counts.union(windows).write(to: .collect(collected, visible: .whenCommitted), name: "rows")
        return env
    }

    /// Virtual time moves with every step, so that checkpoints come while records flow.
    static func scheduler(_ seed: UInt64) -> StepScheduler {
        StepScheduler(seed: seed, afterStep: { $0.advance(to: $0.now + 1) })
    }
}

/// How often each row was committed.
func tally<Row: Hashable>(_ rows: [Row]) -> [Row: Int] { rows.reduce(into: [:]) { $0[$1, default: 0] += 1 } }
