// SPDX-License-Identifier: Apache-2.0
//  Whole jobs: shapes, partitionings, back-pressure, ends.

import Foundation
import Synchronization
import Testing
import Thalweg
import ThalwegTesting

struct Sum: AggregateFunction {
    func makeAccumulator() -> Int64 { 0 }
    func add(_ value: Int64, to sum: inout Int64) { sum += value }
    func merge(_ other: Int64, into sum: inout Int64) { sum += other }
    func result(_ sum: Int64) -> Int64 { sum }
}

@Suite struct JobTests {
    @Test(arguments: Schedule.all, 1...4)
    func diamond(_ schedule: Schedule, _ parallelism: Int) async throws {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.batchCapacity = 7
        let out = Collected<Int64>()
        let numbers = env.numbers(1...1000)
        let even = numbers.filter { $0 % 2 == 0 }.rebalance().map { $0 * 10 }
        let odd = numbers.filter { $0 % 2 == 1 }.map { -$0 }.startNewChain()
        even.union(odd, numbers).write(to: .collect(out))
        try await env.run(schedule)
        var expected: [Int64] = []
        for number in 1...1000 as ClosedRange<Int64> {
            expected += [number, number % 2 == 0 ? number * 10 : -number]
        }
        #expect(out.elements.sorted() == expected.sorted())
    }

    @Test(arguments: [Partitioning.rebalance, .rescale, .broadcast, .global, .forward, .hash], Schedule.all)
    func everyWayBetweenEveryParallelism(_ way: Partitioning, _ schedule: Schedule) async throws {
        for producers in 1...4 {
            for consumers in 1...4 {
                let env = StreamEnvironment()
                env.settings.batchCapacity = 5
                let out = Collected<Int64>()
                let source = env.numbers(1...200).parallelism(producers)
                let stream: DataStream<Int64>
                switch way {
                case .rebalance: stream = source.rebalance().map { $0 }
                case .rescale: stream = source.rescale().map { $0 }
                case .broadcast: stream = source.broadcast().map { $0 }
                case .global: stream = source.global().map { $0 }
                case .forward: stream = source.map { $0 }.startNewChain()
                case .hash: stream = try source.keyed(by: { $0 % 17 }).aggregate(Sum()) { key, _ in key }
                }
                stream.parallelism(consumers).map { $0 }.parallelism(consumers).startNewChain()
                    .write(to: .collect(out)).parallelism(consumers)
                try await env.run(schedule)
                let copies = way == .broadcast ? consumers : 1
                let expected = (1...200 as ClosedRange<Int64>).flatMap { number in
                    Array(repeating: way == .hash ? number % 17 : number, count: copies)
                }
                #expect(out.elements.sorted() == expected.sorted(), "\(way) \(producers) to \(consumers)")
            }
        }
    }

    @Test(arguments: Schedule.all)
    func oneProducersOrderIsKept(_ schedule: Schedule) async throws {
        let env = StreamEnvironment()
        env.settings.batchCapacity = 3
        let out = Collected<[Int64]>()
        struct InOrder: KeyedProcessFunction {
            @State var last = ValueState<Int64>()
            mutating func process(_ value: Int64, _ context: KeyedContext<Int64>, _ out: Collector<[Int64]>) {
                if let last = last.value, last >= value { out.emit([last, value]) }
                last.value = value
            }
        }
        try env.numbers(1...3000).parallelism(1).keyed(by: { $0 % 50 }).process(InOrder()).parallelism(4)
            .write(to: .collect(out))
        try await env.run(schedule)
        #expect(out.count == 0)
    }

    @Test(arguments: Schedule.all)
    func batchesOfEverySizeThroughFanOutAndExchanges(_ schedule: Schedule) async throws {
        // Batches of one capacity circulate everywhere: flatMap behind a recycled batch must not overflow.
        for capacity in [1, 16, 1024, 3000] {
            let env = StreamEnvironment()
            env.settings.batchCapacity = capacity
            env.settings.parallelism = 2
            let (left, right) = (Collected<Int64>(), Collected<Int64>())
            let numbers = env.numbers(1...4000)
            func spread(_ stream: DataStream<Int64>, _ out: Collected<Int64>) throws {
                try stream.rebalance().flatMap(Int64.self) { value, out in
                    for copy in 0..<3 { out.emit(value * 3 + Int64(copy)) }
                }.map { $0 }.rebalance().filter { _ in true }.keyed(by: { $0 % 100 }).aggregate(Sum()) { key, _ in key }
                    .write(to: .collect(out))
            }
            try spread(numbers, left)
            try spread(numbers, right)
            try await env.run(schedule)
            #expect(left.count == 12_000 && right.count == 12_000, "capacity \(capacity)")
            #expect(left.elements.sorted() == right.elements.sorted())
        }
    }

    @Test(arguments: Schedule.all)
    func emptySourcesEnd(_ schedule: Schedule) async throws {
        for parallelism in 1...3 {
            let env = StreamEnvironment()
            env.settings.parallelism = parallelism
            let out = Collected<Int64>()
            let valve = Valve()
            let empty = env.read(.elements([] as [Int64]))
            let stream = try empty.timestamps(by: { EventTime(milliseconds: $0) }, watermark: .ascending)
                .keyed(by: { $0 }).window(.tumbling(.seconds(1))).aggregate(Sum()) { _, sum, _ in sum }
            stream.union(empty.global()).write(to: .collect(out))
            stream.write(to: ValveSink<Int64>(valve))
            try await env.run(schedule)
            #expect(out.count == 0 && valve.now.published == parallelism)
        }
    }

    /// A subtask that nobody sends to must still end, or everything behind it waits for ever.
    @Test(arguments: Schedule.all)
    func subtasksBehindGlobalEnd(_ schedule: Schedule) async throws {
        let env = StreamEnvironment()
        env.settings.parallelism = 3
        let out = Collected<Int64>()
        let valve = Valve()
        env.numbers(1...100).global().map { $0 }.rebalance().map { $0 }.write(to: .collect(out))
        env.numbers(1...10).global().write(to: ValveSink<Int64>(valve))
        try await env.run(schedule)
        #expect(out.elements.sorted() == Array(1...100))
        #expect(valve.now.published == 3, "every subtask of the sink publishes, also those without input")
    }

    @Test func backPressureBoundsWhatIsInFlight() async throws {
        for workers in [1, 2] {
            let env = StreamEnvironment()
            env.settings.batchCapacity = 10
            let valve = Valve { $0.isShut = true }
            env.numbers(1...1_000_000, name: "numbers").map { $0 }.startNewChain().map { $0 }.startNewChain()
                .write(to: ValveSink<Int64>(valve))
            let execution = try env.makeExecution()
            let run = Task { try await execution.run(on: WorkerPool(workers: workers)) }
            var read = -1
            while true {
                try await Task.sleep(for: .milliseconds(30))
                let now = execution.total("numbers") { $0.recordsOut }
                if now == read && now > 0 { break }
                read = now
            }
            // Three tasks in a row: two channels of 8 packets, and what one poll makes.
            #expect(read <= 10 * (2 * 8 + 4), "\(read) records were read although nothing was taken")
            #expect(valve.now.written == 0)
            valve.open()
            try await within { try await run.value }
            #expect(valve.now.written == 1_000_000)
        }
    }

    @Test func cancellationStopsEverything() async throws {
        for schedule in [Schedule.steps(1), .pool(2)] {
            let env = StreamEnvironment()
            env.settings.parallelism = 2
            let valve = Valve()
            env.read(GeneratedSource(0..<Int64.max) { $0 }).rebalance().map { $0 }.write(to: ValveSink<Int64>(valve))
            let execution = try env.makeExecution()
            let run = Task { try await execution.run(on: schedule.scheduler) }
            while valve.now.written < 5000 { try await Task.sleep(for: .milliseconds(2)) }
            run.cancel()
            await #expect(throws: CancellationError.self) { try await within { try await run.value } }
            #expect(valve.now.published == 0 && valve.now.closed == valve.now.opened)
        }
    }

    @Test func cancellationOfAJobThatIsHeldUp() async throws {
        let env = StreamEnvironment()
        let valve = Valve { $0.isShut = true }
        env.numbers(1...1000).write(to: ValveSink<Int64>(valve))
        let execution = try env.makeExecution()
        let run = Task { try await execution.run(on: WorkerPool(workers: 1)) }
        try await Task.sleep(for: .milliseconds(50))
        run.cancel()
        await #expect(throws: CancellationError.self) { try await within { try await run.value } }
        #expect(valve.now.closed == 1 && valve.now.published == 0)
    }

    @Test func theSameSeedGivesTheSameRun() async throws {
        func once(_ seed: UInt64) async throws -> [Int64] {
            let env = StreamEnvironment()
            env.settings.parallelism = 3
            env.settings.batchCapacity = 4
            let out = Collected<Int64>()
            env.numbers(1...500).rebalance().map { $0 }.global().map { $0 }.write(to: .collect(out))
            try await env.run(.steps(seed))
            return out.elements
        }
        let first = try await once(5)
        #expect(try await once(5) == first)
        #expect(try await once(6) != first)
    }

    /// What a timer emits in a quiet job reaches the sink at once, also across an exchange.
    @Test func processingTimersAreNotStuckInBuffers() async throws {
        struct Later: KeyedProcessFunction {
            mutating func process(_ value: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Int64>) {
                context.registerProcessingTimeTimer(at: context.processingTime + .milliseconds(100))
            }
            mutating func onTimer(
                at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<Int64>
            ) { out.emit(context.key) }
        }
        let env = StreamEnvironment()
        let script = ManualScript<Int64>([[.emit([1, 2, 3])]])
        let out = Collected<Int64>()
        try env.read(ManualSource(script, boundedness: .unbounded)).keyed(by: { $0 }).process(Later())
            .map { $0 }.startNewChain().write(to: .collect(out))
        let execution = try env.makeExecution()
        let run = Task { try await execution.run(on: WorkerPool(workers: 2)) }
        defer { run.cancel() }
        try await within { while out.count < 3 { try await Task.sleep(for: .milliseconds(5)) } }
        #expect(out.elements.sorted() == [1, 2, 3])
        script.endAll()
        try await within { try await run.value }
    }

    @Test(arguments: [0, -1, 129])
    func absurdParallelismIsRefused(_ parallelism: Int) throws {
        let env = StreamEnvironment()
        env.numbers(1...10).map { $0 }.parallelism(parallelism).write(to: .blackHole())
        let error = #expect(throws: ThalwegError.self) { try env.makeExecution() }
        #expect(error?.kind == .job && error?.detail?.contains("\"map\"") == true)
    }
}
