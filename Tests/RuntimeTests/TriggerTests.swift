// SPDX-License-Identifier: Apache-2.0
//  Triggers and global windows.

import Testing
import Thalweg

struct TriggerTests {
    @Test(arguments: 0..<40 as Range<UInt64>)
    func countTriggerAgreesWithModel(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let shape = WindowTests.shape(&random)
        let lateness: Int64 = random.draw(0...1) == 0 ? 0 : 5_000
        let every = Int(random.draw(1...4))
        let samples = random.samples(SampleShape(keys: random.draw(1...4), step: random.draw(1...40), strays: 6))
        for (capacity, parallelism) in [(1, 1), (7, 2), (1024, 3)] {
            let job = SampleJob(capacity: capacity, parallelism: parallelism, delay: 300, seed: seed)
            let engine = try await WindowTests.outcome(job, samples) { keyed in
                try WindowTests.windowed(keyed, shape, lateness: lateness).trigger(CountTrigger(every))
                    .aggregate(Elements(), WindowTests.firing)
            }
            let model = WindowModel.run(samples, shape, lateness: lateness, job: job, every: every)
            #expect(engine == model, "seed \(seed) \(shape) lateness \(lateness) every \(every) capacity \(capacity)")
        }
    }

    /// A job over one key and a list of times, its results in order.
    static func run<Trigger: WindowTrigger>(
        _ times: [Int64], _ assigner: WindowAssigner, _ trigger: Trigger, lateness: Duration = .zero
    ) async throws -> [[Int64]] where Trigger.Element == Sample {
        let samples = times.enumerated().map { Sample(key: 1, number: Int64($0), time: $1) }
        let job = SampleJob(capacity: 1, delay: 0)
        let env = job.environment()
        let out = Collected<[Int64]>()
        try job.read(samples, in: env).keyed(by: \.key).window(assigner).allowedLateness(lateness).trigger(trigger)
            .process([Int64].self) { _, _, records, out in out.emit(records.map(\.number)) }.write(to: .collect(out))
        try await job.run(env)
        return out.elements
    }

    @Test
    func globalWindowsCountAndPurge() async throws {
        let times = (0..<7).map { Int64($0) }
        let purged = try await Self.run(times, .global, PurgingTrigger(of: CountTrigger(3)))
        #expect(purged == [[0, 1, 2], [3, 4, 5]])
        let kept = try await Self.run(times, .global, CountTrigger(3))
        #expect(kept == [[0, 1, 2], [0, 1, 2, 3, 4, 5]])
        #expect(try await Self.run(times, .global, NeverTrigger()) == [])
        #expect(try await Self.run(times, .global, EventTimeTrigger()) == [[0, 1, 2, 3, 4, 5, 6]])
    }

    @Test
    func continuousEventTimeFiresEveryInterval() async throws {
        let times: [Int64] = [1, 5, 12, 13, 31, 101]
        let trigger = ContinuousEventTimeTrigger<Sample>(every: .milliseconds(10))
        // Watermarks stand 1 ms behind: 10 passes with the record at 12, 20 and 30 with that at 31, 40 ... with 101.
        let fired = try await Self.run(times, .tumbling(.milliseconds(100)), trigger)
        let early: [[Int64]] = [[0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
        let rest = Array(repeating: [0, 1, 2, 3, 4] as [Int64], count: 7)
        #expect(fired == early + rest + [[5]] + Array(repeating: [5] as [Int64], count: 9))
        let purged = try await Self.run(times, .tumbling(.milliseconds(100)), PurgingTrigger(of: trigger))
        #expect(purged == [[0, 1, 2], [3, 4], [5]])
        // Sessions merge under it; the global window ends with the input.
        let sessions = try await Self.run([0, 8, 4, 30], .session(gap: .milliseconds(5)), PurgingTrigger(of: trigger))
        #expect(sessions.flatMap { $0 }.sorted() == [0, 1, 2, 3])
        let global = try await Self.run(times, .global, PurgingTrigger(of: trigger))
        #expect(global == [[0, 1, 2], [3, 4], [5]])
    }

    /// A trigger of a user: fires on a mark in the record, and takes back a timer.
    struct Marked: WindowTrigger {
        func makeState() -> EventTime? { nil }
        func onElement(
            _ element: Sample, at time: EventTime, _ state: inout EventTime?, _ context: TriggerContext
        ) -> TriggerResult {
            // Each record moves the deadline on.
            if let state { context.deleteEventTimeTimer(at: state) }
            state = time + .milliseconds(10)
            if let state { context.registerEventTimeTimer(at: state) }
            return element.number == 2 ? .fireAndPurge : .continue
        }
        func onEventTime(_ time: EventTime, _ state: inout EventTime?, _ context: TriggerContext) -> TriggerResult {
            state = nil
            return .fireAndPurge
        }
    }

    @Test
    func userTriggers() async throws {
        let fired = try await Self.run([0, 5, 6, 12, 30, 50], .global, Marked())
        // A record is seen before the watermark that follows from it, so 30 and 50 still move the deadline on.
        #expect(fired == [[0, 1, 2], [3, 4, 5]])
        let env = SampleJob().environment()
        let windowed = try SampleJob().read([], in: env).keyed(by: \.key).window(.session(gap: .seconds(1)))
        #expect(throws: ThalwegError.self) {
            try windowed.trigger(Marked()).aggregate(Count()) { _, count, _ in count }
        }
        let global = try SampleJob().read([], in: env).keyed(by: \.key).window(.global)
        #expect(throws: ThalwegError.self) { try global.aggregate(Count()) { _, count, _ in count } }
    }

    @Test
    func continuousProcessingTime() async throws {
        let samples = (0..<10).map { Sample(key: 1, number: $0, time: 0) }
        for assigner in [WindowAssigner.global, .processingTimeTumbling(size: .milliseconds(100))] {
            let env = SampleJob(capacity: 1).environment()
            let out = Collected<[Int64]>()
            try env.read(.elements(samples)).keyed(by: \.key).window(assigner)
                .trigger(PurgingTrigger(of: ContinuousProcessingTimeTrigger(every: .milliseconds(25))))
                .process([Int64].self) { _, _, records, out in out.emit(records.map(\.number)) }
                .write(to: .collect(out))
            try await env.makeExecution().run(on: StepScheduler(afterStep: { $0.advance(by: .milliseconds(10)) }))
            #expect(out.elements == [[0, 1, 2], [3, 4], [5, 6, 7], [8, 9]])
        }
    }
}
