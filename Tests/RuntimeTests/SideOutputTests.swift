// SPDX-License-Identifier: Apache-2.0
//  Side outputs (FLIP-13) and hand-over between operators (FLIP-21).

import Testing
import Thalweg
import ThalwegTesting

@Suite struct SideOutputTests {
    static let odd = OutputTag<Int64>("odd")
    static let text = OutputTag<String>("text")

    struct Split: ProcessFunction {
        @Side var odd = SideOutput(SideOutputTests.odd)
        @Side var text = SideOutput(SideOutputTests.text)
        mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {
            if value % 2 == 1 { odd.emit(value) } else { out.emit(value) }
            if value % 100 == 0 { text.emit("n\(value)") }
        }
    }

    // MARK: A13.1

    @Test func undeclaredAndMistypedTagsAreRefusedWhenTheGraphIsBuilt() throws {
        let env = StreamEnvironment()
        let split = env.numbers(1...10).process(Split(), name: "split")
        let undeclared = #expect(throws: ThalwegError.self) { try split.sideOutput(OutputTag<Int64>("even")) }
        #expect(undeclared?.kind == .job && "\(undeclared!)".contains("\"split\""))  // thrown above
        let mistyped = #expect(throws: ThalwegError.self) { try split.sideOutput(OutputTag<Double>("odd")) }
        #expect("\(mistyped!)".contains("Int64") && "\(mistyped!)".contains("Double"))  // thrown above
        // Behind another step the tag is not there any more (a trap in Flink).
        #expect(throws: ThalwegError.self) { try split.map { $0 }.sideOutput(Self.odd) }
    }

    @Test func oneIdWithTwoTypesIsRefusedNamingBoth() throws {
        struct Torn: ProcessFunction {
            @Side var first = SideOutput(OutputTag<Int64>("same"))
            @Side var second = SideOutput(OutputTag<String>("same"))
            mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {}
        }
        let env = StreamEnvironment()
        env.numbers(1...10).process(Torn(), name: "torn").write(to: .blackHole())
        let error = #expect(throws: ThalwegError.self) { try env.makeExecution() }
        let text = error.map { "\($0)" } ?? ""
        #expect(text.contains("\"torn\"") && text.contains("Int64") && text.contains("String"), "\(text)")
    }

    // MARK: Meaning

    @Test(arguments: Schedule.all, 1...3)
    func severalReadersTimestampsAndUnions(_ schedule: Schedule, _ parallelism: Int) async throws {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.batchCapacity = 16
        let (main, first, second, text) = (
            Collected<Int64>(), Collected<Int64>(), Collected<Int64>(), Collected<String>()
        )
        let split = env.numbers(1...1000)
            .timestamps(by: { EventTime(milliseconds: $0) }, watermark: .ascending).process(Split(), name: "split")
        split.write(to: CollectSink(main))
        try split.sideOutput(Self.odd).write(to: CollectSink(first))
        try split.sideOutput(Self.odd).rebalance().map { $0 }.union(split).write(to: CollectSink(second))
        try split.sideOutput(Self.text).write(to: CollectSink(text))
        let execution = try await env.run(schedule)
        #expect(main.elements.sorted() == (1...1000).filter { $0 % 2 == 0 })
        #expect(first.elements.sorted() == (1...1000).filter { $0 % 2 == 1 })
        #expect(second.elements.sorted() == Array(1...1000))
        #expect(Set(text.elements) == Set((1...10).map { "n\($0 * 100)" }))
        #expect((first.timed + main.timed).allSatisfy { $0.element == $0.time.milliseconds })
        #expect(execution.total("split") { $0.droppedNoConsumer } == 0)
    }

    @Test func watermarksReachSideOutputs() async throws {
        let env = StreamEnvironment()
        let out = Collected<Int64>()
        let split = env.numbers(1...1000)
            .timestamps(by: { EventTime(milliseconds: $0) }, watermark: .ascending).process(Split())
        try split.sideOutput(Self.odd).keyed(by: { _ in 0 }).window(.tumbling(.milliseconds(100)))
            .aggregate(Count()) { _, count, _ in Int64(count) }.write(to: CollectSink(out))
        try await env.run()
        #expect(out.elements == Array(repeating: 50, count: 10))
    }

    // MARK: A13.4, A13.6 (counts)

    @Test(arguments: Schedule.all)
    func unreadOutputIsCounted(_ schedule: Schedule) async throws {
        let env = StreamEnvironment()
        env.settings.parallelism = 2
        let out = Collected<Int64>()
        env.numbers(1...1000).process(Split(), name: "split").write(to: CollectSink(out))
        let execution = try await env.run(schedule)
        #expect(out.count == 500 && execution.total("split") { $0.droppedNoConsumer } == 510)
        let tag = OutputTag<DeadLetter>("dead")
        let other = StreamEnvironment()
        other.numbers(1...10).map(name: "m", onError: .deadLetter(tag)) { _ -> Int64 in throw Mishap() }
            .write(to: .blackHole())
        let counts = try await other.run(schedule)
        #expect(counts.total("m") { $0.droppedNoConsumer } == 10 && counts.total("m") { $0.rejected } == 10)
    }

    @Test func splittingByTagsEqualsFilters() async throws {
        struct Five: ProcessFunction {
            @Side var one = SideOutput(OutputTag<Int64>("1"))
            @Side var two = SideOutput(OutputTag<Int64>("2"))
            @Side var three = SideOutput(OutputTag<Int64>("3"))
            @Side var four = SideOutput(OutputTag<Int64>("4"))
            mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {
                switch value % 5 {
                case 1: one.emit(value)
                case 2: two.emit(value)
                case 3: three.emit(value)
                case 4: four.emit(value)
                default: out.emit(value)
                }
            }
        }
        let env = StreamEnvironment()
        let numbers = env.numbers(1...5000)
        let five = numbers.process(Five())
        var results: [(Collected<Int64>, Collected<Int64>)] = []
        for part in 0..<5 as Range<Int64> {
            let (tagged, filtered) = (Collected<Int64>(), Collected<Int64>())
            let side = part == 0 ? five : try five.sideOutput(OutputTag<Int64>("\(part)"))
            side.write(to: CollectSink(tagged))
            numbers.filter { $0 % 5 == part }.write(to: CollectSink(filtered))
            results.append((tagged, filtered))
        }
        try await env.run()
        for (tagged, filtered) in results {
            #expect(tagged.elements == filtered.elements && tagged.count == 1000)
        }
    }
}

@Suite struct ReuseTests {
    struct Row: Codable, Sendable, Equatable {
        var id: Int64
        var name: String
        var values: [Double]
    }

    private func rows(_ env: StreamEnvironment) -> DataStream<Row> {
        env.read(GeneratedSource(0..<500) { Row(id: $0, name: "name of \($0)", values: [3, 1, 2, Double($0)]) })
    }

    /// A21.2: what was emitted stays as it was, whatever its maker does with its own variable afterwards.
    @Test(arguments: ObjectReuseMode.allCases, Schedule.all)
    func emittedRecordsDoNotChange(_ mode: ObjectReuseMode, _ schedule: Schedule) async throws {
        struct Mutator: ProcessFunction {
            var mine = Row(id: 0, name: "", values: [])
            mutating func process(_ value: Row, _ context: ProcessContext, _ out: Collector<Row>) {
                mine.id = value.id
                mine.name += "x"
                mine.values.append(Double(value.id))
                out.emit(mine)
                mine.values[0] = -1
            }
        }
        let env = StreamEnvironment()
        env.settings.objectReuse = mode
        env.settings.batchCapacity = 32
        let out = Collected<Row>()
        rows(env).process(Mutator()).map { $0 }.write(to: CollectSink(out))
        try await env.run(schedule)
        #expect(out.count == 500)
        for (index, row) in out.elements.enumerated() {
            #expect(row.id == Int64(index) && row.name.count == index + 1 && row.values.count == index + 1)
            #expect(row.values.last == Double(index))
        }
    }

    /// A21.3: two consumers in one chain, one sorts in place.
    @Test(arguments: ObjectReuseMode.allCases, Schedule.all)
    func consumersDoNotSeeEachOther(_ mode: ObjectReuseMode, _ schedule: Schedule) async throws {
        let env = StreamEnvironment()
        env.settings.objectReuse = mode
        let (sorted, plain, last) = (Collected<Row>(), Collected<Row>(), Collected<Row>())
        let source = rows(env)
        source.map { row -> Row in
            var row = row
            row.values.sort()
            return row
        }.write(to: CollectSink(sorted))
        source.map { $0 }.write(to: CollectSink(plain))
        source.filter { $0.id % 2 == 0 }.write(to: CollectSink(last))
        try await env.run(schedule)
        #expect(plain.elements.allSatisfy { $0.values == [3, 1, 2, Double($0.id)] })
        #expect(sorted.elements.allSatisfy { $0.values == [3, 1, 2, Double($0.id)].sorted() })
        #expect(last.count == 250 && last.elements.allSatisfy { $0.values[0] == 3 })
    }

    /// A21.1, functional part: copies are made at each hop when asked for, never otherwise, and never of plain memory.
    @Test func copiesAreCounted() async throws {
        for mode in ObjectReuseMode.allCases {
            let env = StreamEnvironment()
            env.settings.objectReuse = mode
            let out = Collected<Row>()
            var stream = rows(env)
            for hop in 0..<6 { stream = stream.map(name: "hop \(hop)") { $0 } }
            stream.write(to: CollectSink(out))
            env.numbers(1...100).map(name: "plain") { $0 }.write(to: .blackHole())
            let execution = try await env.run()
            #expect(
                out.elements == (0..<500).map { Row(id: $0, name: "name of \($0)", values: [3, 1, 2, Double($0)]) })
            for hop in 0..<6 {
                #expect(execution.total("hop \(hop)") { $0.deepCopies } == (mode == .copyPerOperator ? 500 : 0))
            }
            #expect(execution.total("plain") { $0.deepCopies } == 0)
        }
    }

    /// A21.2: the copies are deep: a class that a user promises to be `Sendable` is another object behind each hop.
    @Test func sharedObjectsAreCopiedInCopyMode() async throws {
        final class Box: Codable, @unchecked Sendable {
            // Unchecked: the doubtful kind of record that the copying mode is for.
            var value: Int64
            init(_ value: Int64) { self.value = value }
        }
        struct Holder: Codable, Sendable { let box: Box }
        for mode in [ObjectReuseMode.default, .copyPerOperator] {
            let env = StreamEnvironment()
            env.settings.objectReuse = mode
            let (left, right) = (Collected<Int64>(), Collected<Int64>())
            let boxes = env.read(GeneratedSource(0..<100) { Holder(box: Box($0)) })
            boxes.map { holder -> Int64 in
                holder.box.value += 1000
                return holder.box.value
            }.write(to: CollectSink(left))
            boxes.map { $0.box.value }.write(to: CollectSink(right))
            try await env.run()
            #expect(left.elements == (1000..<1100).map { $0 })
            #expect(right.elements == (mode == .copyPerOperator ? Array(0..<100) : Array(1000..<1100)))
        }
    }

    /// A21.4, functional part: windows and state keep copies of their own.
    @Test func everyModeGivesTheSameResults() async throws {
        var results: [[String]] = []
        for mode in ObjectReuseMode.allCases {
            let env = StreamEnvironment()
            env.settings.objectReuse = mode
            env.settings.batchCapacity = 16
            let out = Collected<String>()
            try rows(env).timestamps(by: { EventTime(milliseconds: $0.id) }, watermark: .ascending)
                .keyed(by: { $0.id % 7 }).window(.tumbling(.milliseconds(50)))
                .process(String.self) { key, window, rows, out in
                    out.emit("\(key) \(window.end) \(rows.map(\.name).joined(separator: ","))")
                }.write(to: CollectSink(out))
            try await env.run()
            results.append(out.elements.sorted())
        }
        #expect(results[0] == results[1] && results[1] == results[2] && results[0].count == 70)
    }
}
