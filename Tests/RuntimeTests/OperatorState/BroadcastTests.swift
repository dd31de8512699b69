// SPDX-License-Identifier: Apache-2.0
//  Broadcast streams and the map that every subtask has of them (A8.3).

import Testing
import Thalweg
import ThalwegTesting

@Suite struct BroadcastTests {
    struct Entry: Codable, Sendable, Hashable {
        var key: Int64
        var text: String
    }

    /// Keeps what it is told and says what it got back.
    struct Table: BroadcastProcessFunction {
        @State var table = BroadcastState<Int64, String>()
        let sightings: Sightings
        var differsIn: Int?
        var subtask = 0

        init(_ sightings: Sightings, differsIn: Int? = nil) {
            self.sightings = sightings
            self.differsIn = differsIn
        }

        mutating func open(_ context: ProcessContext) {
            subtask = context.subtask
            if context.isRestored { sightings.add(table.entries.keys.sorted(), of: "keys", in: context.subtask) }
        }
        mutating func processElement(_ value: Int64, _ context: ProcessContext, _ out: Collector<String>) {
            out.emit(table[value] ?? "none")
        }
        mutating func processBroadcast(_ entry: Entry, _ context: BroadcastContext, _ out: Collector<String>) {
            let text = subtask == differsIn && entry.key == 5 ? "otherwise" : entry.text
            context.update(table) { $0[entry.key] = text }
        }
    }

    private func run(
        _ job: OperatorStateJob, _ parallelism: Int, _ keys: ClosedRange<Int64>, _ seen: Sightings,
        differsIn: Int? = nil
    ) async throws {
        try await job.run(parallelism, batch: 256) { env in
            let table = env.numbers(keys, name: "entries").map { Entry(key: $0, text: "text \($0)") }
            env.numbers(1...20, name: "numbers").connect(broadcast: table)
                .process(Table(seen, differsIn: differsIn), name: "table").write(to: BlackHoleSink())
        }
    }

    @Test func theSameEverywhereAndStoredOnce() async throws {
        let count: Int64 = isFull ? 100_000 : 2000
        let job = OperatorStateJob()
        try await run(job, 4, 1...count, Sightings())
        for parallelism in [4, 7, 2] {
            let state = try job.state(of: "table")
            #expect(try state.entryCount(of: "table") == Int(count))
            let seen = Sightings()
            try await run(job, parallelism, 1...count, seen)
            for keys in seen.lists(of: "keys", parallelism) { #expect(keys == Array(1...count)) }
        }
    }

    @Test(arguments: [0, 2])
    func aDifferenceFailsTheJob(_ culprit: Int) async throws {
        let job = OperatorStateJob()
        let error = await #expect(throws: ThalwegError.self) {
            try await run(job, 4, 1...20, Sightings(), differsIn: culprit)
        }
        #expect(error?.primary == "broadcast state table differs between subtasks 0 and \(culprit == 0 ? 1 : 2)")
        #expect(try job.store.list().isEmpty)
    }

    /// Rules come first, then actions; matches are found by rule and by key.
    struct Match: KeyedBroadcastProcessFunction {
        @State var rules = BroadcastState<String, String>()
        @State var last = ValueState<String>()

        mutating func processElement(_ action: [String], _ context: KeyedContext<String>, _ out: Collector<String>) {
            if let before = last.value, rules[before] == action[1] {
                out.emit("\(context.key): \(before) \(action[1])")
            }
            last.value = action[1]
        }
        mutating func processBroadcast(_ rule: [String], _ context: BroadcastContext, _ out: Collector<String>) {
            context.update(rules) { $0[rule[0]] = rule[1] }
        }
    }

    @Test(arguments: [1, 3])
    func rulesMeetKeys(_ parallelism: Int) async throws {
        let rules = ManualScript<[String]>([[.emit([["add", "pay"], ["login", "logout"]]), .end]])
        let actions = ManualScript<[String]>([
            [
                .waitUntil(1000), .emit([["ann", "add"], ["bob", "login"], ["ann", "pay"]]),
                .emit([["bob", "add"], ["bob", "logout"], ["eve", "login"], ["eve", "logout"]]), .end,
            ]
        ])
        let output = Collected<String>()
        var settings = ExecutionSettings()
        settings.parallelism = parallelism
        let env = StreamEnvironment(settings: settings)
        let told = env.read(ManualSource(rules), name: "rules")
        try env.read(ManualSource(actions), name: "actions").keyed(by: { $0[0] }).connect(broadcast: told)
            .process(Match()).write(to: CollectSink(output))
        try await env.run()
        #expect(output.elements.sorted() == ["ann: add pay", "eve: login logout"])
    }

    @Test func broadcastStateNeedsABroadcastInput() throws {
        struct Alone: ProcessFunction {
            @State var rules = BroadcastState<String, String>()
            mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {}
        }
        let error = #expect(throws: ThalwegError.self) {
            _ = try OperatorHarness<Int64, Int64> { context in
                OperatorInstance(try ProcessOperator(Alone(), onError: .fail, in: context), in: context)
            }
        }
        #expect(error?.detail?.contains("\"rules\"") == true)
    }
}
