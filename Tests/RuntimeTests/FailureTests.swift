// SPDX-License-Identifier: Apache-2.0
//  Failures of sources, functions, timers and sinks: named, not hanging, nothing published.

import Testing
import Thalweg
import ThalwegTesting

@Suite struct FailureTests {
    /// Runs a job that has to fail and returns its error; checks that nothing was published.
    private func failure(
        _ schedule: Schedule, parallelism: Int = 2, _ valve: Valve = Valve(),
        _ build: (StreamEnvironment, Valve) throws -> Void
    ) async throws -> any Error {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.batchCapacity = 10
        // A second pipeline that would run for ever: one failing task has to stop it too.
        let other = Valve()
        env.read(GeneratedSource(0..<Int64.max) { $0 }, name: "endless").rebalance().map { $0 }.write(
            to: ValveSink<Int64>(other))
        try build(env, valve)
        do {
            try await env.run(schedule)
            Issue.record("the job should have failed")
            return Timeout()
        } catch {
            for valve in [valve, other] {
                #expect(valve.now.published == 0 && valve.now.closed >= valve.now.opened, "\(schedule)")
            }
            return error
        }
    }

    @Test(arguments: Schedule.all)
    func everyRecordFunctionNamesOperatorPositionAndCause(_ schedule: Schedule) async throws {
        struct Thrower: ProcessFunction {
            mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) throws {
                out.emit(try refusing(25, value))
            }
        }
        struct KeyedThrower: KeyedProcessFunction {
            mutating func process(_ value: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Int64>) throws {
                out.emit(try refusing(25, value))
            }
        }
        let steps: [@Sendable (DataStream<Int64>) throws -> DataStream<Int64>] = [
            { $0.map(name: "step") { try refusing(25, $0) } },
            { $0.filter(name: "step") { try refusing(25, $0) >= 0 } },
            { $0.compactMap(name: "step") { try refusing(25, $0) } },
            { $0.flatMap(Int64.self, name: "step") { value, out in out.emit(try refusing(25, value)) } },
            { $0.process(Thrower(), name: "step") },
            { try $0.keyed(by: { $0 % 3 }).process(KeyedThrower(), name: "step") },
            {
                $0.timestamps(
                    by: { EventTime(milliseconds: try refusing(25, $0)) }, watermark: .ascending, name: "step")
            },
        ]
        for (number, step) in steps.enumerated() {
            let error = try await failure(schedule, parallelism: 1) { env, valve in
                try step(env.numbers(0...99)).write(to: ValveSink<Int64>(valve))
            }
            let text = (error as? ThalwegError)?.description ?? "\(error)"
            #expect(text.contains("operator \"step\"") && text.contains("25 is bad"), "step \(number): \(text)")
            #expect(text.contains("record 25"), "step \(number): \(text)")
            #expect((error as? ThalwegError)?.hint?.contains("onError") == true)
        }
    }

    @Test(arguments: Schedule.all)
    func failuresInParallelTasksStopTheJob(_ schedule: Schedule) async throws {
        for seed in 0..<5 as Range<Int64> {
            let error = try await failure(schedule, parallelism: 3) { env, valve in
                env.numbers(0...100_000).rebalance().map(name: "deep") { value in
                    if value == 777 * (seed + 1) { throw Mishap() }
                    return value
                }.rebalance().map { $0 }.write(to: ValveSink<Int64>(valve))
            }
            #expect("\(error)".contains("deep"))
        }
    }

    @Test(arguments: Schedule.all)
    func sourceErrorsFailTheJob(_ schedule: Schedule) async throws {
        let error = try await failure(schedule) { env, valve in
            let script = ManualScript<Int64>([[.emit([1, 2]), .fail(Mishap(text: "the broker is gone"))], []])
            env.read(ManualSource(script), name: "broker").write(to: ValveSink<Int64>(valve))
        }
        #expect("\(error)".contains("the broker is gone"))
        let made = try await failure(schedule) { env, valve in
            env.read(GeneratedSource(0..<10) { try refusing(3, $0) }, name: "gen")
                .write(to: ValveSink<Int64>(valve))
        }
        let text = "\(made)"
        #expect(text.contains("\"gen\"") && text.contains("record 3") && text.contains("3 is bad"), "\(text)")
    }

    @Test(arguments: Schedule.all)
    func sinkErrorsFailTheJob(_ schedule: Schedule) async throws {
        for change: @Sendable (inout Valve.State) -> Void in [{ $0.failsAfter = 500 }, { $0.failsAfter = 0 }] {
            let error = try await failure(schedule, Valve(change)) { env, valve in
                env.numbers(1...10_000).rebalance().map { $0 }.write(to: ValveSink<Int64>(valve))
            }
            #expect("\(error)".contains("the sink broke"))
        }
        let valve = Valve { $0.failsFinish = true }
        let error = try await failure(schedule, valve) { env, valve in
            let fine = Valve()
            env.numbers(1...10).write(to: ValveSink<Int64>(fine))
            env.numbers(1...10).write(to: ValveSink<Int64>(valve))
        }
        #expect("\(error)".contains("finish failed"))
    }

    @Test(arguments: Schedule.all)
    func timerErrorsNameOperatorTimeAndKey(_ schedule: Schedule) async throws {
        struct Bomb: KeyedProcessFunction {
            mutating func process(_ value: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Int64>) {
                context.registerEventTimeTimer(at: EventTime(milliseconds: 5000))
            }
            mutating func onTimer(
                at time: EventTime, _ domain: TimeDomain, _ context: KeyedContext<Int64>, _ out: Collector<Int64>
            ) throws { throw Mishap(text: "boom") }
        }
        let error = try await failure(schedule) { env, valve in
            try env.read(.elements([42])).timestamps(by: { EventTime(milliseconds: $0) }, watermark: .ascending)
                .keyed(by: { $0 }).process(Bomb(), name: "bomb").write(to: ValveSink<Int64>(valve))
        }
        let text = "\(error)"
        #expect(text.contains("\"bomb\"") && text.contains("key 42") && text.contains("boom"), "\(text)")
        #expect(text.contains("1970-01-01T00:00:05"))
    }

    @Test func aFactoryThatThrowsLeavesNothingOpen() async throws {
        struct Unopenable: Source {
            typealias Element = Int64
            typealias Reader = ManualReader<Int64>
            let kind = "unopenable"
            let boundedness = Boundedness.bounded
            func makeEnumerator() throws -> FixedSplits<ManualSplit> { try FixedSplits([]) }
            func makeReader(_ context: SourceReaderContext) throws -> ManualReader<Int64> {
                throw Mishap(text: "no reader")
            }
        }
        let disk = MemoryFileSystem()
        let env = StreamEnvironment()
        env.settings.parallelism = 2
        env.numbers(1...10).write(to: FileSink("out/a/", format: try .json(), fileSystem: disk))
        env.read(Unopenable()).write(to: FileSink("out/b/", format: try .json(), fileSystem: disk))
        await #expect(throws: Mishap.self) { try await env.run() }
        #expect(disk.paths == [])
    }

    @Test(arguments: Schedule.all)
    func skipAndDeadLetterGoOn(_ schedule: Schedule) async throws {
        let tag = OutputTag<DeadLetter>("dead")
        for capacity in [1, 7, 1024] {
            let env = StreamEnvironment()
            env.settings.batchCapacity = capacity
            let (out, letters) = (Collected<Int64>(), Collected<DeadLetter>())
            @Sendable func check(_ value: Int64) throws -> Int64 {
                if value % 10 == 0 { throw Mishap(text: "bad \(value)") }
                return value
            }
            let mapped = env.numbers(1...1000)
                .timestamps(by: { EventTime(milliseconds: $0 * 1000) }, watermark: .ascending)
                .map(name: "checked", onError: .deadLetter(tag)) { try check($0) }
            let filtered = mapped.filter(onError: .skip()) { value in
                if value % 7 == 0 { throw Mishap() }
                return true
            }
            filtered.write(to: CollectSink(out))
            try mapped.sideOutput(tag).write(to: CollectSink(letters))
            let execution = try await env.run(schedule)
            #expect(out.elements == (1...1000).filter { $0 % 10 != 0 && $0 % 7 != 0 })
            #expect(out.timed.allSatisfy { $0.time.milliseconds == $0.element * 1000 })
            #expect(letters.count == 100 && execution.total("checked") { $0.rejected } == 100)
            // A dead letter names record and cause and keeps the record's time (FLIP-13).
            for (index, letter) in letters.timed.enumerated() {
                let number = Int64(index + 1) * 10
                #expect(letter.element.record == "\(number)" && letter.element.error == "bad \(number)")
                #expect(letter.element.position == "record \(number - 1)" && letter.element.operatorName == "checked")
                #expect(letter.time.milliseconds == number * 1000)
            }
        }
    }

    @Test(arguments: [0, 1, 99, 100])
    func skipHasALimit(_ limit: Int) async throws {
        let env = StreamEnvironment()
        env.settings.batchCapacity = 13
        env.numbers(1...100).map(name: "m", onError: .skip(limit: limit)) { _ in throw Mishap() }
            .write(to: ValveSink<Int64>(Valve()))
        if limit == 100 {
            try await env.run()
        } else {
            let error = await #expect(throws: ThalwegError.self) { try await env.run() }
            #expect(error?.detail == "the limit is \(limit); this one is at record \(limit)")
        }
    }
}

extension FailureTests {
    /// A sequence that is as good as endless begins with its first number in every subtask.
    @Test func aSequenceToTheLastNumberBeginsAtItsFirst() async throws {
        let env = StreamEnvironment()
        env.settings.parallelism = 3
        env.read(GeneratedSource(0..<Int64.max) { $0 })
            .map { number in
                if number < 0 { throw Mishap(text: "\(number) is before the first") }
                return try refusing(5000, number)
            }
            .write(to: BlackHoleSink<Int64>())
        let error = await #expect(throws: ThalwegError.self) { try await env.run() }
        #expect(error?.description.contains("5000 is bad") == true, "\(error?.description ?? "")")
    }
}
