// SPDX-License-Identifier: Apache-2.0
//  Random graphs against a naive evaluation: same records, no deadlock.

import Testing
import Thalweg

@Suite struct RandomGraphTests {
    /// Counts a key's records and emits (record, how many so far) folded into one number; independent of order.
    private struct Tally: KeyedProcessFunction {
        @State var sum = ValueState<Int64>()
        mutating func process(_ value: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Int64>) {
            sum[default: 0] += 1
            out.emit(context.key * 1_000_000 + (sum.value ?? 0))
        }
    }

    private static func naiveTally(_ records: [Int64], keys: Int64) -> [Int64] {
        var counts: [Int64: Int64] = [:]
        return records.map { record in
            let key = record % keys
            counts[key, default: 0] += 1
            return key * 1_000_000 + (counts[key] ?? 0)
        }
    }

    /// Builds a random graph; beside each stream stands the multiset that it must carry.
    private func build(_ env: StreamEnvironment, _ random: inout SeededRandom) throws -> [(Collected<Int64>, [Int64])] {
        var streams: [(stream: DataStream<Int64>, records: [Int64])] = []
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            let count = Int64.random(in: 0...150, using: &random)
            let stream = env.read(GeneratedSource(0..<count) { $0 })
            streams.append((place(stream, &random), Array(0..<count)))
        }
        for _ in 0..<Int.random(in: 2...8, using: &random) {
            let (stream, records) = streams[Int.random(in: 0..<streams.count, using: &random)]
            if records.count > 4000 { continue }
            let input = route(stream, &random)
            switch random.next() % 7 {
            case 0: streams.append((place(input.map { $0 &* 7 % 100_003 }, &random), records.map { $0 &* 7 % 100_003 }))
            case 1: streams.append((place(input.filter { $0 % 3 != 0 }, &random), records.filter { $0 % 3 != 0 }))
            case 2:
                let twice = input.flatMap(Int64.self) { value, out in
                    out.emit(value)
                    out.emit(value + 1)
                }
                streams.append((place(twice, &random), records.flatMap { [$0, $0 + 1] }))
            case 3, 4:
                let (other, more) = streams[Int.random(in: 0..<streams.count, using: &random)]
                streams.append((place(input.union(route(other, &random)), &random), records + more))
            default:
                let tally = try stream.keyed(by: { $0 % 13 }).process(Tally())
                streams.append((place(tally, &random), Self.naiveTally(records, keys: 13)))
            }
        }
        return streams.suffix(3).map { stream, records in
            let out = Collected<Int64>()
            stream.write(to: CollectSink(out))
            return (out, records)
        }
    }

    private func place(_ stream: DataStream<Int64>, _ random: inout SeededRandom) -> DataStream<Int64> {
        var stream = stream
        if random.next() % 3 == 0 { stream = stream.parallelism(Int.random(in: 1...4, using: &random)) }
        if random.next() % 4 == 0 { stream = stream.startNewChain() }
        return stream
    }

    private func route(_ stream: DataStream<Int64>, _ random: inout SeededRandom) -> DataStream<Int64> {
        switch random.next() % 6 {
        case 0: stream.rebalance()
        case 1: stream.rescale()
        case 2: stream.global()
        default: stream
        }
    }

    @Test(arguments: 0..<(isFull ? 2000 : 250) as Range<UInt64>)
    func carriesTheRightRecords(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let env = StreamEnvironment()
        env.settings.parallelism = Int.random(in: 1...3, using: &random)
        env.settings.batchCapacity = [1, 3, 16, 1024][Int(random.next() % 4)]
        env.settings.objectReuse = ObjectReuseMode.allCases[Int(random.next() % 3)]
        let outputs = try build(env, &random)
        do {
            try await env.run(seed % 5 == 0 ? .pool(2) : .steps(seed))
        } catch {
            Issue.record("seed \(seed): \(error)\n\(try env.makePlan().text)")
        }
        for (out, expected) in outputs where out.elements.sorted() != expected.sorted() {
            Issue.record("seed \(seed): \(out.count) records, not \(expected.count)\n\(try env.makePlan().text)")
        }
    }
}
