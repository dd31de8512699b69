// SPDX-License-Identifier: Apache-2.0
//  Processing-time timers of one task.

import ThalwegBase
import ThalwegOperator

/// Callbacks of one task, run on its thread between batches.
final class TaskTimers: ProcessingTimeService {
    private let clock: any ThalwegClock
    private var queue: [(time: Int64, order: Int, action: () throws -> Void)] = []
    private var scheduled = 0

    init(clock: any ThalwegClock) { self.clock = clock }

    var now: Int64 { clock.now }

    /// When the next callback is due; nil when there is none.
    var nextTime: Int64? { queue.first?.time }

    func schedule(at time: Int64, _ action: @escaping () throws -> Void) {
        scheduled += 1
        // Few callbacks per task: an ordered array is enough.
        let index = queue.firstIndex { $0.time > time } ?? queue.count
        queue.insert((time, scheduled, action), at: index)
    }

    /// Runs what is due; returns whether anything was. What is scheduled meanwhile waits for the next turn, so that
    /// work that goes on in pieces leaves room for records.
    func fireDue() throws -> Bool {
        guard let first = queue.first, first.time <= clock.now else { return false }
        let now = clock.now
        let dueCount = queue.prefix { $0.time <= now }.count
        for _ in 0..<dueCount {
            guard let first = queue.first, first.time <= now else { break }
            queue.removeFirst()
            try first.action()
        }
        return true
    }

    func removeAll() { queue = [] }
}
