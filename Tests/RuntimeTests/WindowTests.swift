// SPDX-License-Identifier: Apache-2.0
//  Tumbling, sliding and session windows against their naive twin.

import Testing
import Thalweg

struct WindowTests {
    static let late = OutputTag<Sample>("late")

    /// What a run of a windowed stream gave.
    static func outcome(
        _ job: SampleJob, _ samples: [Sample],
        _ make: (KeyedStream<Int64, Sample>) throws -> DataStream<Firing>
    ) async throws -> WindowOutcome {
        let env = job.environment()
        let stream = try make(try job.read(samples, in: env).keyed(by: \.key))
        let (firings, lateOnes) = (Collected<Firing>(), Collected<Sample>())
        stream.write(to: .collect(firings))
        try stream.sideOutput(late).write(to: .collect(lateOnes))
        let metrics = try await job.run(env)
        for (firing, time) in firings.timed { #expect(time.milliseconds == firing.end - 1) }
        if job.parallelism == 1 && job.delay >= 600 {
            let ends = firings.elements.map(\.end)
            #expect(ends == ends.sorted(), "seed \(job.seed): windows fire in order of their ends")
        }
        #expect(metrics.total(of: stream.node, \.lateDropped) == 0)
        return WindowOutcome(
            firings: firings.elements, late: lateOnes.elements.map(\.number),
            partial: metrics.total(of: stream.node, \.latePartial),
            outside: metrics.total(of: stream.node, \.rejected)
        ).sorted()
    }

    static func windowed(
        _ keyed: KeyedStream<Int64, Sample>, _ shape: WindowModel.Shape, lateness: Int64
    ) -> WindowedStream<Int64, Sample> {
        keyed.window(shape.assigner).allowedLateness(.milliseconds(lateness)).lateRecords(to: late)
    }

    @Sendable
    static func firing(_ key: Int64, _ samples: [Sample], _ window: TimeWindow) -> Firing {
        Firing(
            key: key, start: window.start.milliseconds, end: window.end.milliseconds,
            numbers: samples.map(\.number).sorted())
    }

    static func shape(_ random: inout SeededRandom) -> WindowModel.Shape {
        switch random.draw(0...5) {
        case 0: return .session(gap: random.draw(1...900))
        case 1:
            let size = random.draw(1...2_000)
            return .grid(size: size, slide: size, offset: random.draw(0...(size - 1)))
        case 2:  // slide > size
            let size = random.draw(1...300)
            return .grid(size: size, slide: size + random.draw(1...400), offset: random.draw(-size...size))
        case 3:  // slide divides size
            let slide = random.draw(50...400)
            return .grid(size: slide * random.draw(2...5), slide: slide, offset: random.draw(0...(slide - 1)))
        case 4: return .grid(size: 1_000, slide: 300, offset: random.draw(-299...299))
        default:
            let slide = random.draw(60...500)
            return .grid(size: slide + random.draw(1...900), slide: slide, offset: 0)
        }
    }

    static func check(seed: UInt64, isTriggered: Bool, strays: Int64) async throws {
        var random = SeededRandom(seed: seed)
        let shape = shape(&random)
        let lateness: Int64 = random.draw(0...1) == 0 ? 0 : 5_000
        var form = SampleShape(count: Int(random.draw(1...250)), keys: random.draw(1...5), step: random.draw(1...60))
        form.strays = strays
        let samples = random.samples(form)
        for capacity in [1, 7, 1024] {
            for parallelism in 1...3 {
                let delay = strays == 0 ? 600 : random.draw(0...400)
                let job = SampleJob(capacity: capacity, parallelism: parallelism, delay: delay, seed: seed)
                let engine = try await outcome(job, samples) { keyed in
                    let stream = windowed(keyed, shape, lateness: lateness)
                    return isTriggered
                        ? try stream.trigger(EventTimeTrigger()).aggregate(Elements(), firing)
                        : try stream.aggregate(Elements(), firing)
                }
                let model = WindowModel.run(samples, shape, lateness: lateness, job: job)
                #expect(
                    engine == model,
                    "seed \(seed) \(shape) lateness \(lateness) capacity \(capacity) parallelism \(parallelism)")
                let contributing = Set(engine.firings.flatMap { $0.numbers })
                #expect(contributing.count + engine.late.count + engine.outside == samples.count, "seed \(seed)")
            }
        }
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func agreeWithModel(seed: UInt64) async throws {
        try await Self.check(seed: seed, isTriggered: false, strays: 0)
    }

    @Test(arguments: 200..<260 as Range<UInt64>)
    func accountForLateRecords(seed: UInt64) async throws {
        try await Self.check(seed: seed, isTriggered: false, strays: 5)
    }

    @Test(arguments: 400..<440 as Range<UInt64>)
    func underTheEventTimeTriggerAreTheSame(seed: UInt64) async throws {
        try await Self.check(seed: seed, isTriggered: true, strays: seed % 2 == 0 ? 5 : 0)
    }

    // MARK: What went wrong once

    static func run(
        _ times: [Int64], _ shape: WindowModel.Shape, lateness: Int64 = 0, delay: Int64 = 0
    ) async throws -> (WindowOutcome, [Firing]) {
        let samples = times.enumerated().map { Sample(key: 1, number: Int64($0), time: $1) }
        let job = SampleJob(capacity: 1, delay: delay)
        let order = Collected<Firing>()
        let outcome = try await outcome(job, samples) { keyed in
            let stream = try windowed(keyed, shape, lateness: lateness).aggregate(Elements(), firing)
            stream.write(to: .collect(order))
            return stream
        }
        return (outcome, order.elements)
    }

    /// A session that has fired and grows again fires at its new end, not at the end of its lateness.
    @Test
    func aSessionThatGrowsAgainFiresInTime() async throws {
        let (_, order) = try await Self.run([0, 12, 8, 40, 60], .session(gap: 10), lateness: 100)
        #expect(order.map(\.numbers) == [[0], [0, 1, 2], [3], [4]])
    }

    /// When time leaps, the sessions of different keys still fire in order of their ends.
    @Test
    func sessionsFireInOrderOfTheirEnds() async throws {
        let samples = [(1, 0), (2, 5), (1, 100), (2, 105), (3, 10_000)].enumerated().map {
            Sample(key: $1.0, number: Int64($0), time: $1.1)
        }
        let job = SampleJob(capacity: 5, delay: 1_000)
        let env = job.environment()
        let out = Collected<Int64>()
        try job.read(samples, in: env).keyed(by: \.key).window(.session(gap: .milliseconds(10)))
            .aggregate(Count<Sample>()) { _, _, window in window.end.milliseconds }.write(to: .collect(out))
        try await job.run(env)
        #expect(out.elements == [10, 15, 110, 115, 10_010])
    }

    @Test
    func timestampsNearTheLimits() async throws {
        let limit = TimestampRange.limit
        for shape in [
            WindowModel.Shape.grid(size: 10, slide: 10, offset: 3), .grid(size: 25, slide: 10, offset: 0),
            .grid(size: 1 << 49, slide: 1 << 49, offset: 0), .session(gap: 10),
        ] {
            let times = [-limit, -limit + 5, 0, limit - 5, limit]
            let samples = times.enumerated().map { Sample(key: 1, number: Int64($0), time: $1) }
            let (outcome, _) = try await Self.run(times, shape, lateness: 1 << 58)
            #expect(outcome == WindowModel.run(samples, shape, lateness: 1 << 58, job: SampleJob(capacity: 1, delay: 0)))
        }
        #expect(throws: ThalwegError.self) {
            try WindowGrid(size: .seconds(1), slide: .seconds(1), offset: .seconds(Int64.min))
        }
    }

    /// Late records are found on the side output of `process` and `reduce` too.
    @Test
    func processHasTheLateOutput() async throws {
        let job = SampleJob(capacity: 1, delay: 0)
        let env = job.environment()
        let samples = [0, 2_000, 1].enumerated().map { Sample(key: 1, number: Int64($0), time: $1) }
        let windowed = try job.read(samples, in: env).keyed(by: \.key).window(.tumbling(.seconds(1)))
            .lateRecords(to: Self.late)
        let processed = try windowed.process(Int.self) { _, _, records, out in out.emit(records.count) }
        let reduced = try windowed.reduce { first, _ in first }
        let (counts, firsts, lateOnes) = (Collected<Int>(), Collected<Sample>(), Collected<Sample>())
        processed.write(to: .collect(counts))
        reduced.write(to: .collect(firsts))
        try processed.sideOutput(Self.late).union(try reduced.sideOutput(Self.late)).write(to: .collect(lateOnes))
        try await job.run(env)
        #expect(counts.elements == [1, 1])
        #expect(firsts.elements.map(\.number) == [0, 1])
        #expect(lateOnes.elements.map(\.number) == [2, 2])
    }
}
