// SPDX-License-Identifier: Apache-2.0
//  Window joins against the naive twin of windows.

import Testing
import Thalweg

struct JoinWindowTests {
    struct Pair: Hashable, Comparable, Codable, Sendable {
        var first: Int64
        var second: Int64

        static func < (left: Pair, right: Pair) -> Bool {
            (left.first, left.second) < (right.first, right.second)
        }
    }

    /// The order in which the join sees records: of each batch the first stream's, then the second's.
    static func seen(_ samples: [Sample], capacity: Int) -> [Sample] {
        stride(from: 0, to: samples.count, by: capacity).flatMap { start in
            let batch = samples[start..<min(samples.count, start + capacity)]
            return batch.filter(\.isFirst) + batch.filter { !$0.isFirst }
        }
    }

    static func pair(
        _ job: SampleJob, _ samples: [Sample], in env: StreamEnvironment, _ assigner: WindowAssigner
    ) throws -> WindowedPair<Int64, Sample, Sample> {
        let all = job.read(samples, in: env)
        return try all.filter { $0.isFirst }.parallelism(1).keyed(by: \.key).windowed(
            with: all.filter { !$0.isFirst }.parallelism(1).keyed(by: \.key), assigner)
    }

    static func check(seed: UInt64, strays: Int64, capacity: Int, parallelism: Int) async throws {
        var random = SeededRandom(seed: seed)
        let shape = WindowTests.shape(&random)
        let lateness: Int64 = random.draw(0...1) == 0 ? 0 : 5_000
        var form = SampleShape(count: Int(random.draw(1...200)), keys: random.draw(1...5), step: random.draw(1...40))
        form.strays = strays
        let samples = random.samples(form)
        let job = SampleJob(
            capacity: capacity, parallelism: parallelism, delay: strays == 0 ? 600 : random.draw(0...400), seed: seed)
        let env = job.environment()
        let windows = try pair(job, samples, in: env, shape.assigner).allowedLateness(.milliseconds(lateness))
            .lateFirst(to: WindowTests.late).lateSecond(to: WindowTests.late)
        let grouped = try windows.coGroup(Firing.self) { key, window, firsts, seconds, out in
            #expect(firsts.allSatisfy { $0.isFirst } && seconds.allSatisfy { !$0.isFirst })
            out.emit(WindowTests.firing(key, firsts + seconds, window))
        }
        let joined = try windows.join { Pair(first: $0.number, second: $1.number) }
        let (firings, pairs, lateOnes) = (Collected<Firing>(), Collected<Pair>(), Collected<Sample>())
        grouped.write(to: .collect(firings))
        joined.write(to: .collect(pairs))
        try grouped.sideOutput(WindowTests.late).write(to: .collect(lateOnes))
        let metrics = try await job.run(env)
        let model = WindowModel.run(seen(samples, capacity: capacity), shape, lateness: lateness, job: job)
        let outcome = WindowOutcome(
            firings: firings.elements, late: lateOnes.elements.map(\.number),
            partial: metrics.total(of: grouped.node, \.latePartial),
            outside: metrics.total(of: grouped.node, \.rejected)
        ).sorted()
        let about: Comment = "seed \(seed) \(shape) lateness \(lateness) capacity \(capacity) parallelism \(parallelism)"
        #expect(outcome == model, about)
        let isFirst = Dictionary(uniqueKeysWithValues: samples.map { ($0.number, $0.isFirst) })
        let expected = model.firings.flatMap { firing -> [Pair] in
            let firsts = firing.numbers.filter { isFirst[$0] == true }
            let seconds = firing.numbers.filter { isFirst[$0] == false }
            return firsts.flatMap { first in seconds.map { Pair(first: first, second: $0) } }
        }
        #expect(pairs.elements.sorted() == expected.sorted(), about)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func agreesWithModel(seed: UInt64) async throws {
        for capacity in [1, 7, 1024] {
            for parallelism in 1...3 {
                try await Self.check(seed: seed, strays: 0, capacity: capacity, parallelism: parallelism)
            }
        }
    }

    @Test(arguments: 100..<130 as Range<UInt64>)
    func accountsForLateRecords(seed: UInt64) async throws {
        for capacity in [1, 7] { try await Self.check(seed: seed, strays: 5, capacity: capacity, parallelism: 1) }
    }

    @Test
    func tagsOfOneIdNeedOneType() throws {
        let job = SampleJob()
        let env = job.environment()
        let keyed = try job.read([], in: env).keyed(by: \.key)
        let numbers = try job.read([], in: env).map { $0.number }.keyed(by: { $0 })
        let windows = keyed.windowed(with: numbers, .tumbling(.seconds(1))).lateFirst(to: OutputTag("late"))
            .lateSecond(to: OutputTag("late"))
        #expect(throws: ThalwegError.self) { try windows.join { first, _ in first.number } }
    }
}
