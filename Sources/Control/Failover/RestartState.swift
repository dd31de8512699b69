// SPDX-License-Identifier: Apache-2.0
//  Counts failures and decides on the restart after each (FLIP-1).

import ThalwegBase

/// What follows a failure.
public enum RestartDecision: Hashable, Sendable {
    /// Start the region again at this moment, in milliseconds; `attempt` counts from one.
    case restart(region: Int, at: Int64, attempt: Int)
    /// The region restarts already, at this moment: the failure joins it and is not counted.
    case merged(region: Int, at: Int64)
    /// The job has failed, with the reason.
    case failJob(reason: String)
}

/// The failures of one job so far: a value. The strategy counts the failures of the whole job, the limit per task
/// those of each task. Failures of a region whose restart is pending belong to that restart.
public struct RestartState: Sendable {
    public let strategy: RestartStrategy
    /// How many failures of one task are borne; the next one fails the job. Nil for no limit.
    public let failuresPerTaskMax: Int?
    private var random: SeededRandom
    private var attempts = 0
    private var failuresByTask: [TaskID: Int] = [:]
    /// Times of counted failures, for the rate; at most `max` + 1 of them.
    private var recent: [Int64] = []
    private var currentDelay: Double = 0
    private var lastRestart: Int64?
    private var pending: [Int: Int64] = [:]
    private var failedReason: String?

    /// - Parameters:
    ///   - failuresPerTaskMax: with `strategy` `.none` it has no effect, as the first failure ends the job.
    ///   - seed: of the jitter.
    public init(strategy: RestartStrategy, failuresPerTaskMax: Int? = nil, seed: UInt64) {
        self.strategy = strategy
        self.failuresPerTaskMax = failuresPerTaskMax
        random = SeededRandom(seed: seed)
    }

    /// A task has failed at `now`, in milliseconds. Give the failures of one cause (a lost process) for the same region
    /// one after another: they count as one.
    ///
    /// - Parameters:
    ///   - region: what will restart; -1 for the whole job, which takes in every pending restart.
    ///   - canRecover: false when no restart can help: the job fails at once.
    public mutating func failed(
        _ task: TaskID, region: Int, reason: String, canRecover: Bool = true, now: Int64
    ) -> RestartDecision {
        if let failedReason { return .failJob(reason: failedReason) }
        guard canRecover else { return giveUp("\(task) failed and no restart can help: \(reason)") }
        if let moment = pending[region] ?? pending[-1] { return .merged(region: region, at: moment) }
        let failures = failuresByTask[task, default: 0] + 1
        if strategy != .none, let limit = failuresPerTaskMax, failures > limit {
            return giveUp("\(task) failed \(failures) times, the limit per task is \(limit): \(reason)")
        }
        failuresByTask[task] = failures
        switch delay(now: now) {
        case .failure(let refusal): return giveUp("\(task) failed, \(refusal.text): \(reason)")
        case .success(let delay):
            attempts += 1
            let (sum, overflows) = now.addingReportingOverflow(delay)
            let moment = overflows ? .max : sum
            if region == -1 { pending = [:] }
            pending[region] = moment
            return .restart(region: region, at: moment, attempt: attempts)
        }
    }

    /// The region runs again: its next failure counts anew.
    public mutating func restarted(region: Int, now: Int64) {
        pending[region] = nil
        lastRestart = now
    }

    /// The moments of pending restarts by region.
    public var pendingRestarts: [(region: Int, at: Int64)] {
        pending.map { (region: $0.key, at: $0.value) }.sorted { ($0.at, $0.region) < ($1.at, $1.region) }
    }

    /// How often the task has failed, merged failures not counted.
    public func failures(of task: TaskID) -> Int { failuresByTask[task] ?? 0 }

    private struct Refusal: Error { let text: String }

    private mutating func giveUp(_ reason: String) -> RestartDecision {
        failedReason = reason
        pending = [:]
        return .failJob(reason: reason)
    }

    private mutating func delay(now: Int64) -> Result<Int64, Refusal> {
        switch strategy {
        case .none: return .failure(Refusal(text: "restarts are off"))
        case .fixedDelay(let limit, let delay):
            guard attempts < limit else { return .failure(Refusal(text: "all \(limit) restarts are used up")) }
            return .success(delay)
        case .failureRate(let limit, let interval, let delay):
            recent.removeAll { now - $0 >= interval }
            recent.append(now)
            guard recent.count <= limit else {
                return .failure(Refusal(text: "\(recent.count) failures in \(interval) ms, \(limit) are borne"))
            }
            return .success(delay)
        case .exponentialDelay(let settings): return grow(settings, now: now)
        }
    }

    private mutating func grow(_ settings: ExponentialDelay, now: Int64) -> Result<Int64, Refusal> {
        if let lastRestart, pending.isEmpty, now - lastRestart >= settings.resetAfter {
            currentDelay = 0
            attempts = 0
        }
        if let limit = settings.attemptsMax, attempts >= limit {
            return .failure(Refusal(text: "\(limit) restarts in a row did not help"))
        }
        let grown = currentDelay == 0 ? Double(settings.initial) : currentDelay * settings.multiplier
        currentDelay = min(grown, Double(settings.max))
        let share = Double(random.next() >> 11) / Double(1 << 53)
        let delay = currentDelay * (1 + settings.jitter * (2 * share - 1))
        return .success(Int64(delay.rounded()))
    }
}
