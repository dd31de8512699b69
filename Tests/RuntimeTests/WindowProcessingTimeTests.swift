// SPDX-License-Identifier: Apache-2.0
//  Windows by the time of day, on a clock that leaps.

import Testing
import Thalweg

struct WindowProcessingTimeTests {
    /// Moves the clock on after each step, by an amount that follows from where it stands.
    @Sendable
    static func leap(_ clock: ManualClock) { clock.advance(by: .milliseconds(distance(clock.now))) }

    static func distance(_ now: Int64) -> Int64 {
        let drawn = Int64(StableHash.mix(UInt64(bitPattern: now)) % 1_000)
        return drawn < 900 ? drawn % 90 + 1 : drawn
    }

    /// The records as the engine sees them: stamped with the time at which they are processed.
    static func stamped(_ samples: [Sample]) -> [Sample] {
        var now: Int64 = 0
        return samples.map { sample in
            var sample = sample
            sample.time = now
            now += distance(now)
            return sample
        }
    }

    @Test(arguments: 0..<20 as Range<UInt64>, [false, true])
    func agreeWithModel(seed: UInt64, isTriggered: Bool) async throws {
        var random = SeededRandom(seed: seed)
        let samples = random.samples(SampleShape(count: 200))
        let (size, slide) = (random.draw(1...300), random.draw(1...300))
        let job = SampleJob(capacity: 1, delay: 0, seed: seed)
        let cases: [(WindowAssigner, WindowModel.Shape)] = [
            (.processingTimeTumbling(size: .milliseconds(size)), .grid(size: size, slide: size, offset: 0)),
            (
                .processingTimeSliding(size: .milliseconds(size), slide: .milliseconds(slide)),
                .grid(size: size, slide: slide, offset: 0)
            ),
            (.processingTimeSession(gap: .milliseconds(size)), .session(gap: size)),
        ]
        for (assigner, shape) in cases {
            let env = job.environment()
            let out = Collected<Firing>()
            let windowed = try env.read(.elements(samples)).keyed(by: \.key).window(assigner)
                .allowedLateness(.seconds(3))
            let stream = isTriggered
                ? try windowed.trigger(ProcessingTimeTrigger()).aggregate(Elements(), WindowTests.firing)
                : try windowed.aggregate(Elements(), WindowTests.firing)
            stream.write(to: .collect(out))
            let execution = try env.makeExecution()
            try await execution.run(on: StepScheduler(seed: seed, afterStep: Self.leap))
            let model = WindowModel.run(Self.stamped(samples), shape, lateness: 0, job: job)
            #expect(out.elements.sorted() == model.firings, "seed \(seed) \(shape)")
            let ends = out.elements.map(\.end)
            #expect(ends == ends.sorted(), "seed \(seed) \(shape): windows fire in order of their ends")
        }
    }

    /// A window fires when its time has come, not when the next record comes.
    @Test
    func firesBetweenRecords() async throws {
        let env = SampleJob(capacity: 1).environment()
        let fired = Collected<Int64>()
        let samples = (0..<3).map { Sample(key: 1, number: $0, time: 0) }
        try env.read(.elements(samples)).keyed(by: \.key)
            .window(.processingTimeSliding(size: .milliseconds(30), slide: .milliseconds(10)))
            .aggregate(Count<Sample>()) { _, _, window in window.end.milliseconds }.write(to: .collect(fired))
        let clock = ManualClock()
        try await env.makeExecution().run(
            on: StepScheduler(clock: clock, afterStep: { $0.advance(by: .milliseconds(1_000)) }))
        #expect(fired.elements == [10, 20, 30, 1_010, 1_020, 1_030, 2_010, 2_020, 2_030])
    }
}
