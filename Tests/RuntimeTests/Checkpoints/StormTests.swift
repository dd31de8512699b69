// SPDX-License-Identifier: Apache-2.0
//  A minute of virtual time in which tasks fail all the while, also in restarts and in checkpoints (A1.5).

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct StormTests {
    private struct Weather {
        var random: SeededRandom
        var next: Int64
        var failures = 0
        var inCheckpoints = 0
        var inRestarts = 0
        var isBegun = false
    }

    /// Every 1 to 3 seconds the next task whose turn it is fails; a third of the failures wait until a checkpoint is
    /// under way, and a third are followed by another while the first is being mended.
    @Test(arguments: 1..<(isFull ? 9 : 2) as Range<UInt64>)
    func resultsAreExact(_ seed: UInt64) async throws {
        var job = CountingJob()
        job.numbers = 40_000
        job.parallelism = 3
        job.isUnaligned = seed % 2 == 1
        job.interval = 250
        job.restart = .fixedDelay(attempts: 1000, delay: 40)
        let collected = Collected<CountingJob.Row>()
        let execution = try job.build(collected).makeExecution()
        let clock = ManualClock()
        let weather = Mutex(Weather(random: SeededRandom(seed: seed), next: 1_000))
        let observer = Holdup(
            hear: { text in
                weather.withLock { weather in
                    if text.contains("acknowledged") { weather.isBegun = true }
                    if text.hasSuffix(": committed") { weather.isBegun = false }
                }
            },
            decide: { turn in
                guard case .task = turn else { return .go }
                return weather.withLock { Self.strikes(&$0, at: clock.now) } ? .fail(Mishap(text: "a storm")) : .go
            })
        let pace = Int64(6)
        try await execution.run(
            on: StepScheduler(
                seed: seed, clock: clock, afterStep: { $0.advance(to: $0.now + pace) }, observer: observer))
        let seen = weather.withLock { $0 }
        #expect(clock.now >= 60_000, "the storm lasts a minute, not \(clock.now) ms")
        #expect(seen.failures >= 20 && seen.inCheckpoints > 3 && seen.inRestarts > 3, "\(seen)")
        #expect(execution.checkpoints.failovers.value >= 15)
        #expect(tally(collected.elements) == job.expected)
    }

    private static func strikes(_ weather: inout Weather, at now: Int64) -> Bool {
        guard now >= weather.next else { return false }
        // The number of the failure says of which kind it is.
        if weather.failures % 3 == 1 && !weather.isBegun { return false }
        if weather.failures % 3 == 1 { weather.inCheckpoints += 1 }
        if weather.failures % 3 == 0 && weather.failures > 0 { weather.inRestarts += 1 }
        weather.failures += 1
        // After every third failure the next comes before the restart is over.
        weather.next =
            now
            + (weather.failures % 3 == 0
                ? Int64.random(in: 5...45, using: &weather.random)
                : Int64.random(in: 1_000...3_000, using: &weather.random))
        return true
    }
}
