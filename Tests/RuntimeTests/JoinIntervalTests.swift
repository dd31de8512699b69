// SPDX-License-Identifier: Apache-2.0
//  The interval join against a naive one.

import Testing
import Thalweg

struct JoinIntervalTests {
    struct Pair: Hashable, Comparable, Codable, Sendable {
        var first: Int64
        var second: Int64
        var time: Int64 = 0

        static func < (left: Pair, right: Pair) -> Bool {
            (left.first, left.second) < (right.first, right.second)
        }
    }

    struct Word: Codable, Sendable {
        var key: String
        var time: Int64
        var parts: [String]
    }

    struct Outcome: Equatable {
        var pairs: [Pair] = []
        var late: [Int64] = []
    }

    /// Every pair of records that were not late when they came and lie within the bounds.
    static func model(_ samples: [Sample], _ bounds: ClosedRange<Int64>, job: SampleJob) -> Outcome {
        var outcome = Outcome()
        var time = WatermarkModel(capacity: job.capacity, delay: job.delay)
        var accepted: [Sample] = []
        for sample in samples {
            if sample.time < time.watermark { outcome.late.append(sample.number) } else { accepted.append(sample) }
            _ = time.pass(sample.time)
        }
        for left in accepted where left.isFirst {
            for right in accepted where !right.isFirst && right.key == left.key {
                guard bounds.contains(right.time - left.time) else { continue }
                outcome.pairs.append(
                    Pair(first: left.number, second: right.number, time: max(left.time, right.time)))
            }
        }
        outcome.pairs.sort()
        outcome.late.sort()
        return outcome
    }

    static func engine(_ samples: [Sample], _ bounds: ClosedRange<Int64>, job: SampleJob) async throws -> Outcome {
        let env = job.environment()
        let all = job.read(samples, in: env)
        let pairs = Collected<Pair>()
        let late = Collected<Sample>()
        let tag = OutputTag<Sample>("late")
        let joined = try all.filter { $0.isFirst }.parallelism(1).keyed(by: \.key).intervalJoin(
            all.filter { !$0.isFirst }.parallelism(1).keyed(by: \.key), lower: .milliseconds(bounds.lowerBound),
            upper: .milliseconds(bounds.upperBound), lateFirst: tag, lateSecond: tag
        ) { Pair(first: $0.number, second: $1.number) }
        joined.write(to: .collect(pairs))
        try joined.sideOutput(tag).write(to: .collect(late))
        let metrics = try await job.run(env)
        #expect(metrics.total(of: joined.node, \.lateDropped) == 0)
        let timed = pairs.timed.map { Pair(first: $0.element.first, second: $0.element.second, time: $0.time.milliseconds) }
        return Outcome(pairs: timed.sorted(), late: late.elements.map(\.number).sorted())
    }

    static let bounds: [ClosedRange<Int64>] = [
        -100...100, 0...0, 0...500, -700 ... -200, 200...900, -5_000...0, 1...1, -30...2_000,
    ]

    @Test(arguments: 0..<24 as Range<UInt64>)
    func agreesWithModel(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        var shape = SampleShape(count: Int(random.draw(1...600)), keys: random.draw(1...20), step: random.draw(0...30))
        shape.disorder = random.draw(0...600)
        let samples = random.samples(shape)
        let bounds = Self.bounds[Int(random.draw(0...7))]
        for capacity in [1, 7, 1024] {
            for parallelism in 1...3 {
                let job = SampleJob(capacity: capacity, parallelism: parallelism, seed: seed)
                let outcome = try await Self.engine(samples, bounds, job: job)
                #expect(
                    outcome == Self.model(samples, bounds, job: job),
                    "seed \(seed) capacity \(capacity) parallelism \(parallelism) bounds \(bounds)")
            }
        }
    }

    @Test(arguments: 100..<124 as Range<UInt64>)
    func countsLateRecords(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let shape = SampleShape(count: 400, keys: random.draw(1...6), step: random.draw(5...60), strays: 4)
        let samples = random.samples(shape)
        let bounds = Self.bounds[Int(random.draw(0...7))]
        for capacity in [1, 7, 64] {
            let job = SampleJob(capacity: capacity, delay: random.draw(0...300), seed: seed)
            let outcome = try await Self.engine(samples, bounds, job: job)
            #expect(
                outcome == Self.model(samples, bounds, job: job), "seed \(seed) capacity \(capacity) bounds \(bounds)")
            #expect(!outcome.late.isEmpty)
        }
    }

    @Test
    func dropsAndCountsLateRecordsWithoutTag() async throws {
        let job = SampleJob(capacity: 1, delay: 0)
        let env = job.environment()
        let times: [Int64] = [0, 1_000, 100, 998, 999]
        let samples = times.enumerated().map { Sample(key: 1, number: Int64($0), time: $1, isFirst: $0 % 2 == 0) }
        let all = job.read(samples, in: env)
        let joined = try all.filter { $0.isFirst }.keyed(by: \.key).intervalJoin(
            all.filter { !$0.isFirst }.keyed(by: \.key), lower: .seconds(-1), upper: .seconds(1)
        ) { Pair(first: $0.number, second: $1.number) }
        let pairs = Collected<Pair>()
        joined.write(to: .collect(pairs))
        let metrics = try await job.run(env)
        #expect(metrics.total(of: joined.node, \.lateDropped) == 2)
        #expect(pairs.elements.sorted() == [Pair(first: 0, second: 1), Pair(first: 4, second: 1)])
    }

    /// Slots of silent keys are given back: strings and arrays as values show leaks and double frees.
    @Test
    func keysThatFallSilentGoAway() async throws {
        let job = SampleJob(capacity: 64, delay: 10)
        let env = job.environment()
        let words = env.read(
            .generated(count: 20_000) { @Sendable (n: Int64) -> Word in
                Word(key: "a key that is not small \(n / 2)", time: n, parts: [String(n)])
            }
        ).timestamps(by: { EventTime(milliseconds: $0.time) }, watermark: .boundedOutOfOrderness(.milliseconds(10)))
        let joined = try words.filter { $0.time % 2 == 0 }.keyed(by: \.key).intervalJoin(
            words.filter { $0.time % 2 == 1 }.keyed(by: \.key), lower: .milliseconds(-3), upper: .milliseconds(3)
        ) { (first: Word, second: Word) -> [String] in first.parts + second.parts }
        let out = Collected<[String]>()
        joined.write(to: .collect(out))
        try await job.run(env)
        let expected = (0..<10_000).map { (n: Int) -> [String] in [String(2 * n), String(2 * n + 1)] }
        #expect(out.elements == expected)
    }

    @Test
    func aFailingResultFollowsThePolicy() async throws {
        struct Odd: Error {}
        let samples = (0..<10).map { Sample(key: 0, number: $0, time: $0, isFirst: $0 % 2 == 0) }
        let job = SampleJob(capacity: 4)
        for policy in [RecordErrorPolicy.fail, .skip()] {
            let env = job.environment()
            let all = job.read(samples, in: env)
            let out = Collected<Int64>()
            try all.filter { $0.isFirst }.keyed(by: \.key).intervalJoin(
                all.filter { !$0.isFirst }.keyed(by: \.key), lower: .milliseconds(1), upper: .milliseconds(1),
                onError: policy
            ) { first, _ in
                if first.number == 4 { throw Odd() }
                return first.number
            }.write(to: .collect(out))
            if case .fail = policy {
                await #expect(throws: ThalwegError.self) { try await job.run(env) }
            } else {
                try await job.run(env)
                #expect(out.elements.sorted() == [0, 2, 6, 8])
            }
        }
    }

    @Test
    func boundsAndTimestampsAreChecked() async throws {
        let job = SampleJob()
        let env = job.environment()
        let keyed = try job.read([], in: env).keyed(by: \.key)
        #expect(throws: ThalwegError.self) {
            try keyed.intervalJoin(keyed, lower: .seconds(1), upper: .zero) { first, _ in first.number }
        }
        let untimed = try env.read(.elements([Sample(key: 0, number: 0, time: 0)])).keyed(by: \.key)
        try untimed.intervalJoin(untimed, lower: .zero, upper: .zero) { first, _ in first.number }
            .write(to: .collect(Collected()))
        await #expect(throws: ThalwegError.self) { try await job.run(env) }
    }
}
