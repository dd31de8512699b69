// SPDX-License-Identifier: Apache-2.0
//  Restart strategies: when the next attempt begins, when the job gives up, and their text.

import Testing
import ThalwegBase
import ThalwegStorage
import ThalwegControl

private let task = TaskID(vertex: 2, subtask: 1)

extension RestartDecision {
    /// The moment of a restart; nil when the job failed or the failure was merged.
    fileprivate var moment: Int64? { if case .restart(_, let at, _) = self { at } else { nil } }
    fileprivate var refusal: String? { if case .failJob(let reason) = self { reason } else { nil } }
}

extension RestartState {
    /// Fails and restarts at once when allowed.
    fileprivate mutating func cycle(_ task: TaskID, region: Int = 0, now: Int64) -> RestartDecision {
        let decision = failed(task, region: region, reason: "boom", now: now)
        if let moment = decision.moment { restarted(region: region, now: moment) }
        return decision
    }
}

@Test func noneGivesUpAtOnce() {
    var state = RestartState(strategy: .none, failuresPerTaskMax: 3, seed: 1)
    #expect(state.cycle(task, now: 0) == .failJob(reason: "task 2.1 failed, restarts are off: boom"))
}

@Test func fixedDelayCountsAttempts() {
    var state = RestartState(strategy: .fixedDelay(attempts: 2, delay: 10), seed: 1)
    #expect(state.cycle(task, now: 5) == .restart(region: 0, at: 15, attempt: 1))
    #expect(state.cycle(task, now: 20) == .restart(region: 0, at: 30, attempt: 2))
    #expect(state.cycle(task, now: 40) == .failJob(reason: "task 2.1 failed, all 2 restarts are used up: boom"))
    #expect(state.cycle(task, now: 99).refusal?.contains("used up") == true)
}

@Test func failureRateForgets() {
    var state = RestartState(strategy: .failureRate(max: 2, interval: 100, delay: 1), seed: 1)
    #expect(state.cycle(task, now: 0).moment == 1)
    #expect(state.cycle(task, now: 50).moment == 51)
    #expect(state.cycle(task, now: 100).moment == 101)
    #expect(state.cycle(task, now: 149).refusal == "task 2.1 failed, 3 failures in 100 ms, 2 are borne: boom")
}

@Test func exponentialDelayGrowsAndStartsOver() {
    let delay = ExponentialDelay(initial: 10, max: 50, multiplier: 2, resetAfter: 1_000, jitter: 0, attemptsMax: 6)
    var state = RestartState(strategy: .exponentialDelay(delay), seed: 1)
    var delays: [Int64] = []
    for now in [0, 100, 200, 300, 1_400, 1_500] as [Int64] {
        delays.append((state.cycle(task, now: now).moment ?? -1) - now)
    }
    #expect(delays == [10, 20, 40, 50, 10, 20])
    for now in 0..<4 as Range<Int64> { #expect(state.cycle(task, now: 1_600 + now * 100).moment != nil) }
    #expect(state.cycle(task, now: 2_100).refusal?.contains("6 restarts in a row did not help") == true)
}

@Test func jitterIsBoundedAndSeeded() {
    let strategy = RestartStrategy.exponentialDelay(
        ExponentialDelay(initial: 1_000, max: 1_000, multiplier: 1, jitter: 0.1))
    func delays(_ seed: UInt64) -> [Int64] {
        var state = RestartState(strategy: strategy, seed: seed)
        return (0..<200).map { (state.cycle(task, now: $0 * 10_000).moment ?? -1) - $0 * 10_000 }
    }
    #expect(delays(1) == delays(1))
    #expect(delays(1) != delays(2))
    #expect(delays(1).allSatisfy { (900...1_100).contains($0) })
    #expect(Set(delays(1)).count > 50)
}

@Test func limitPerTaskLooksAtEachTask() {
    var state = RestartState(
        strategy: .fixedDelay(attempts: .max, delay: 1), failuresPerTaskMax: 3, seed: 1)
    var now: Int64 = 0
    for round in 1...2 {
        for subtask in 0..<16 as Range<Int32> {
            now += 10
            let decision = state.cycle(TaskID(vertex: 0, subtask: subtask), region: Int(subtask), now: now)
            #expect(decision.moment == now + 1, "round \(round), subtask \(subtask)")
        }
    }
    let unlucky = TaskID(vertex: 0, subtask: 7)
    #expect(state.cycle(unlucky, region: 7, now: now + 10).moment != nil)
    #expect(
        state.cycle(unlucky, region: 7, now: now + 20).refusal
            == "task 0.7 failed 4 times, the limit per task is 3: boom")
}

@Test func failuresOfAPendingRestartMerge() {
    var state = RestartState(strategy: .fixedDelay(attempts: 2, delay: 100), failuresPerTaskMax: 1, seed: 1)
    #expect(state.failed(task, region: 3, reason: "lost", now: 0) == .restart(region: 3, at: 100, attempt: 1))
    for now in 1...50 as ClosedRange<Int64> {
        #expect(state.failed(task, region: 3, reason: "lost", now: now) == .merged(region: 3, at: 100))
    }
    #expect(state.failures(of: task) == 1)
    let other = TaskID(vertex: 0, subtask: 0)
    // The whole job restarts: the region's own restart is part of it.
    #expect(state.failed(other, region: -1, reason: "x", now: 60) == .restart(region: -1, at: 160, attempt: 2))
    #expect(state.failed(task, region: 3, reason: "x", now: 70) == .merged(region: 3, at: 160))
    #expect(state.pendingRestarts.map(\.region) == [-1])
    #expect(state.failed(task, region: 3, reason: "y", canRecover: false, now: 80).refusal?.contains("y") == true)
}

@Test(arguments: [
    ("none", RestartStrategy.none), ("fixed-delay:3:10s", .fixedDelay(attempts: 3, delay: 10_000)),
    ("failure-rate:3:5min:10s", .failureRate(max: 3, interval: 300_000, delay: 10_000)),
    ("exponential-delay", .standard),
    ("exponential-delay:1s:2h", .exponentialDelay(ExponentialDelay(initial: 1_000, max: 7_200_000))),
    (
        "exponential-delay:5ms:1d:2:3h:0.5:9",
        .exponentialDelay(
            ExponentialDelay(
                initial: 5, max: 86_400_000, multiplier: 2, resetAfter: 10_800_000, jitter: 0.5, attemptsMax: 9))
    ),
]) func textIsRead(text: String, strategy: RestartStrategy) throws {
    #expect(try RestartStrategy(text: text) == strategy)
    #expect(try RestartStrategy(text: strategy.text) == strategy)
}

@Test(arguments: [
    ("", "'' is no strategy"), ("never", "'never' is no strategy"), ("none:1", "'1' is one part too many"),
    ("fixed-delay", "attempts is missing"), ("fixed-delay:x:1s", "attempts 'x' is no count"),
    ("fixed-delay:-1:1s", "attempts '-1' is no count"), ("fixed-delay:3:10", "delay '10' is no duration"),
    ("fixed-delay:3:10parsec", "delay '10parsec' is no duration"),
    ("fixed-delay:3:9223372036854775807d", "is too long"), ("failure-rate:1:0s:1s", "out of range"),
    ("exponential-delay:2s:1s", "out of range"), ("exponential-delay:1s:2s:nan", "is no number"),
    ("exponential-delay:1s:2s:2:1h:1.5", "out of range"),
]) func badTextIsNamed(text: String, problem: String) {
    let error = #expect(throws: ThalwegError.self) { try RestartStrategy(text: text) }
    #expect(error?.detail?.contains(problem) == true, "\(error?.description ?? "")")
    #expect(error?.kind == .job)
}
