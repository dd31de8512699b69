// SPDX-License-Identifier: Apache-2.0
//  Lists of subtasks through jobs that end and start again at another parallelism (A8.1, A8.2, A8.5).

import Testing
import Thalweg
import ThalwegTesting

@Suite struct OperatorListTests {
    private func keep(_ env: StreamEnvironment, _ count: Int64, _ sightings: Sightings) {
        let numbers = env.numbers(1...count, name: "numbers").parallelism(1)
        numbers.rebalance().process(Keeper(sightings: sightings), name: "keeper").write(to: BlackHoleSink())
    }

    private func spread(_ lists: [[Int64]]) -> Int { (lists.map(\.count).max() ?? 0) - (lists.map(\.count).min() ?? 0) }

    @Test(arguments: 0..<(isFull ? 100 : 12) as Range<UInt64>)
    func nothingIsLostAndAllIsEven(_ seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        let count = Int64.random(in: 1...400, using: &random)
        let batch = Int.random(in: 1...40, using: &random)
        let job = OperatorStateJob()
        try await job.run(Int.random(in: 1...9, using: &random), seed: seed, batch: batch) {
            keep($0, count, Sightings())
        }
        var before: [[Int64]]?
        for _ in 0..<3 {
            let parallelism = Int.random(in: 1...9, using: &random)
            let was = try job.state(of: "keeper").parallelism
            let seen = Sightings()
            try await job.run(parallelism, seed: seed, batch: batch) { keep($0, count, seen) }
            let context: Comment = "seed \(seed), \(was) to \(parallelism)"
            let plain = seen.lists(of: "plain", parallelism)
            let other = seen.lists(of: "other", parallelism)
            #expect(plain.joined().sorted() == Array(1...count), context)
            #expect(other.joined().sorted() == (1...count).filter { $0 % 3 == 0 }, context)
            if was != parallelism {
                #expect(spread(plain) <= 1 && spread(other) <= 1, context)
                // The larger shares go round, over all states that are divided.
                let states = [plain, other] + ["even", "all"].map { seen.lists(of: $0, parallelism) }
                let sums = (0..<parallelism).map { subtask in states.reduce(0) { $0 + $1[subtask].count } }
                #expect((sums.max() ?? 0) - (sums.min() ?? 0) <= 1, context)
                if let before { #expect(Array(plain.joined()) == Array(before.joined()), context) }
            } else if let before {
                #expect(plain == before, context)
            }
            #expect(spread(seen.lists(of: "even", parallelism)) <= 1, context)
            for list in seen.lists(of: "restored", parallelism) {
                #expect(list.sorted() == Array(1...count), context)
            }
            #expect(seen.lists(of: "all", parallelism).joined().sorted() == Array(1...count), context)
            before = plain
        }
    }

    @Test func anIdentityGoesToItsOwner() async throws {
        let job = OperatorStateJob()
        let first = Sightings()
        try await job.run(3, batch: 1) { keep($0, 40, first) }
        var contents: [Int64]?
        for parallelism in [5, 2, 7] {
            let seen = Sightings()
            try await job.run(parallelism) { keep($0, 40, seen) }
            let lists = seen.lists(of: "owned", parallelism)
            for (subtask, list) in lists.enumerated() {
                let owner = list.map { id in
                    OperatorRedistribution.keyedList(
                        id: UInt64(bitPattern: id), maxParallelism: 128, parallelism: parallelism)
                }
                #expect(owner.allSatisfy { $0 == subtask })
            }
            let all = lists.joined().sorted()
            #expect(Set(all).count == all.count && all.count > 100)
            #expect(contents == nil || contents == all)
            contents = all
        }
    }

    /// A8.2, scaled: who opens reads everything, and the metadata knows files only.
    @Test func unionAtScale() async throws {
        let (old, new, each) = (16, 8, isFull ? 10_000 : 1000)
        let job = OperatorStateJob()
        try await job.run(old) { env in
            env.numbers(0...Int64(old) - 1).parallelism(1).broadcast()
                .process(Positions(count: each, sightings: Sightings()), name: "positions").write(to: BlackHoleSink())
        }
        #expect(try job.state(of: "positions").entryCount(of: "positions") == old * each)
        let metadata = try #require(job.disk["snapshots/chk-1/_metadata"])
        #expect(metadata.count <= 64 << 10)
        let seen = Sightings()
        try await job.run(new) { env in
            env.numbers(0...Int64(old) - 1).parallelism(1).broadcast()
                .process(Positions(count: each, sightings: seen), name: "positions").write(to: BlackHoleSink())
        }
        let expected = Array(0..<Int64(old * each))
        for list in seen.lists(of: "restored", new) { #expect(list == expected) }
    }

    private struct Positions: ProcessFunction {
        @State var positions = OperatorListState<Int64>(.union)
        let count: Int
        let sightings: Sightings

        mutating func open(_ context: ProcessContext) throws {
            if context.isRestored {
                var seen: [Int64] = []
                try positions.forEachRestored { seen.append($0) }
                sightings.add(seen, of: "restored", in: context.subtask)
            } else {
                let first = Int64(context.subtask * count)
                positions.replace(with: Array(first..<first + Int64(count)))
            }
        }
        mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {}
    }

    /// Leaves what it got alone, or adds its own again without clearing.
    private struct Careless: ProcessFunction {
        @State var positions = OperatorListState<Int64>(.union)
        let addsAgain: Bool

        mutating func open(_ context: ProcessContext) {
            if addsAgain || !context.isRestored { positions.append(Int64(context.subtask)) }
        }
        mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {}
    }

    /// A8.5.
    @Test(arguments: [false, true])
    func nothingPilesUp(_ addsAgain: Bool) async throws {
        let job = OperatorStateJob()
        for restart in 0...10 {
            try await job.run(32) { env in
                env.numbers(1...32).parallelism(1).rebalance()
                    .process(Careless(addsAgain: addsAgain), name: "careless").write(to: BlackHoleSink())
            }
            let state = try job.state(of: "careless")
            #expect(try state.entryCount(of: "positions") == 32, "restart \(restart)")
            #expect(try state.elements(of: "positions", as: Int64.self).joined().sorted() == Array(0..<32))
        }
    }

    // MARK: One operator

    private struct Lists: ProcessFunction {
        @State var list: OperatorListState<Int64>
        init(_ mode: OperatorListMode<Int64>) { _list = State(wrappedValue: OperatorListState(mode)) }
        mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) throws {
            if value < 0 { try list.forEachRestored { _ in } }
            list.append(value)
            out.emit(Int64(list.count))
        }
    }

    private func harness(
        _ mode: OperatorListMode<Int64>, from state: MemorySnapshot? = nil, subtask: Int = 0, of parallelism: Int = 1
    ) throws -> OperatorHarness<Int64, Int64> {
        try OperatorHarness(restoring: state, subtask: subtask, parallelism: parallelism) { context in
            OperatorInstance(try ProcessOperator(Lists(mode), onError: .fail, in: context), in: context)
        }
    }

    /// The kinds of a list can follow each other.
    @Test func aListMayChangeItsKind() throws {
        let modes: [OperatorListMode<Int64>] = [.split, .union, .keyedList(by: { $0 })]
        for first in modes {
            let before = try harness(first)
            for value in [3, 1, 2] as [Int64] { try before.push(value) }
            let snapshot = try before.snapshot()
            for second in modes {
                let after = try (0..<2).map { try harness(second, from: snapshot, subtask: $0, of: 2) }
                let parts = try MemorySnapshot(after.map { try $0.freeze() })
                var stored: [Int64] = []
                try parts.entries(of: "list", keyGroups: nil) { _, value in
                    stored.append(try RecordCodec(RecordType<Int64>.learn()).decode(value))
                }
                #expect(stored.sorted() == [1, 2, 3])
            }
        }
    }

    @Test func theSnapshotIsOfItsBarrier() throws {
        let harness = try harness(.split)
        try harness.push(1, 2)
        let frozen = try harness.freeze()
        try harness.push(3)
        #expect(try MemorySnapshot([frozen]).count(of: "list") == 2)
        #expect(try harness.snapshot().count(of: "list") == 3)
    }

    @Test func anIdentityIsHeldOnceAndByItsOwnerOnly() throws {
        let one = try harness(.keyedList(by: { $0 % 10 }))
        try one.push(1, 11, 2)
        #expect(one.outputs == [1, 1, 2])
        let two = try harness(.keyedList(by: { $0 }), subtask: 1, of: 2)
        for id in 0..<20 as Range<Int64> { try two.push(id) }
        let error = try #require(throws: ThalwegError.self) { try two.snapshot() }
        #expect(error.kind == .job && error.detail?.contains("\"list\"") == true)
    }

    @Test func restoredElementsAreReadInTimeOnly() throws {
        let harness = try harness(.union)
        let error = #expect(throws: ThalwegError.self) { try harness.push(-1) }
        #expect("\(try #require(error))".contains("open"))
    }

    @Test func otherTypesAreRefused() throws {
        struct Texts: ProcessFunction {
            @State var list = OperatorListState<String>()
            mutating func process(_ value: Int64, _ context: ProcessContext, _ out: Collector<Int64>) {}
        }
        let before = try harness(.split)
        try before.push(1)
        let snapshot = try before.snapshot()
        let error = #expect(throws: ThalwegError.self) {
            _ = try OperatorHarness<Int64, Int64>(restoring: snapshot) { context in
                OperatorInstance(try ProcessOperator(Texts(), onError: .fail, in: context), in: context)
            }
        }
        #expect(error?.detail?.contains("element was") == true)
    }
}
