// SPDX-License-Identifier: Apache-2.0
//  Event time advances behind every step, also behind those that forget which split a record came from.

import Testing
import Thalweg

@Suite struct SplitEventTimeTests {
    /// Records the watermark that each record meets.
    struct Watermarks: ProcessFunction {
        func process(_ number: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {
            out.emit(context.watermark.time.milliseconds)
        }
    }

    struct Same: ProcessFunction {
        func process(_ number: Int64, _ context: ProcessContext, _ out: Collector<Int64>) { out.emit(number) }
    }

    struct SameByKey: KeyedProcessFunction {
        func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Int64>) { out.emit(number) }
    }

    /// The greatest watermark that a record met, of 0...9,999 in batches of 100.
    private func greatest(
        splits: Int = 1, _ steps: (DataStream<Int64>) throws -> DataStream<Int64>
    ) async throws -> Int64? {
        let seen = Collected<Int64>()
        let env = StreamEnvironment()
        env.settings.batchCapacity = 100
        env.settings.parallelism = splits
        try steps(env.read(.sequence(from: 0, through: 9_999)))
            .timestamps(by: { EventTime(milliseconds: $0) }, watermark: .ascending)
            .process(Watermarks())
            .write(to: .collect(seen))
        try await env.execute()
        #expect(seen.count == 10_000)
        return seen.elements.max()
    }

    @Test func behindTheSource() async throws {
        #expect(try await greatest { $0.map { $0 } } == 9_898)
    }

    @Test func behindFlatMap() async throws {
        #expect(try await greatest { $0.flatMap(Int64.self) { number, out in out.emit(number) } } == 9_898)
    }

    @Test func behindAProcessFunction() async throws {
        #expect(try await greatest { $0.process(Same()) } == 9_898)
    }

    @Test(arguments: 1...3)
    func behindAKeyedFunction(parallelism: Int) async throws {
        let greatest = try await greatest(splits: parallelism) { try $0.keyed { $0 % 7 }.process(SameByKey()) }
        #expect(try #require(greatest) > 5_000)
    }

    @Test func behindAWindow() async throws {
        let greatest = try await greatest { numbers in
            try numbers.timestamps(by: { EventTime(milliseconds: $0) }, watermark: .ascending)
                .keyed { $0 }.window(.tumbling(.milliseconds(10)))
                .aggregate(Count()) { number, _, _ in number }
        }
        #expect(try #require(greatest) > 5_000)
    }

    @Test func windowsRefuseRecordsWithoutTimestampsBehindFlatMap() async throws {
        let env = StreamEnvironment()
        try env.read(.sequence(from: 1, through: 10))
            .flatMap(Int64.self) { number, out in out.emit(number) }
            .keyed { $0 }.window(.tumbling(.seconds(1)))
            .aggregate(Count()) { number, _, _ in number }
            .write(to: .blackHole())
        let error = await #expect(throws: ThalwegError.self) { try await env.execute() }
        #expect(error?.primary == "an event-time window has records without timestamps")
    }
}
