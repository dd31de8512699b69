// SPDX-License-Identifier: Apache-2.0
//  All entries of a state changed by expressions and in Swift (FLIP-43 d6).

import Testing
import Thalweg
import ThalwegSavepoint
import ThalwegTesting

private struct Before: Codable, Hashable, Sendable {
    var count: Int64
    var last: Int64
    var note: String?
}

private struct After: Codable, Hashable, Sendable {
    var count: String
    var last: Int64
    var twice: Int64
}

/// Counts by key; the type of what it keeps is a parameter.
private struct Counting<Kept: Codable & Sendable & CountKeeper>: KeyedProcessFunction {
    @State var kept = ValueState<Kept>()

    mutating func process(_ number: Int64, _ context: KeyedContext<Int64>, _ out: Collector<Row>) {
        let next = Kept(after: kept.value, number)
        kept.value = next
        out.emit(Row(kind: "count", key: context.key, value: next.number))
    }
}

private protocol CountKeeper {
    init(after: Self?, _ number: Int64)
    var number: Int64 { get }
}

extension Before: CountKeeper {
    init(after: Before?, _ number: Int64) {
        self.init(count: (after?.count ?? 0) + 1, last: number, note: number % 2 == 0 ? "even" : nil)
    }
    var number: Int64 { count }
}

extension After: CountKeeper {
    init(after: After?, _ number: Int64) {
        let count = (after.flatMap { Int64($0.count) } ?? 0) + 1
        self.init(count: "\(count)", last: number, twice: 2 * number)
    }
    var number: Int64 { Int64(count) ?? -1 }
}

@Suite struct TransformTests {
    private static let numbers: Int64 = 400

    /// The rows that a job with this type gives, from a snapshot or from the beginning.
    private func run<Kept: Codable & Sendable & CountKeeper>(
        _: Kept.Type, _ disk: MemoryFileSystem, from path: String?, failsAfter: Int? = nil
    ) async throws -> [Row: Int] {
        let env = StreamEnvironment()
        env.settings.parallelism = 2
        env.settings.batchCapacity = 8
        env.settings.restart = RestartStrategy.none
        let directory = path.map { "run-\($0)" } ?? "checkpoints"
        var options = CheckpointOptions(directory: directory, fileSystem: disk, from: path)
        options.settings.interval = 20
        env.settings.checkpoints = options
        let collected = Collected<Row>()
        let passed = Counter()
        let numbers = env.read(GeneratedSource(0..<Self.numbers) { $0 }, name: "numbers").map { number in
            passed.add(1)
            if let failsAfter, passed.value > failsAfter { throw Mishap() }
            return number
        }
        try numbers.keyed { $0 % 17 }.process(Counting<Kept>(), name: "counting")
            .write(to: .collect(collected, visible: .atOnce), name: "rows")
        let execution = try env.makeExecution()
        let scheduler = StepScheduler(seed: 5, afterStep: { $0.advance(to: $0.now + 1) })
        if failsAfter != nil {
            await #expect(throws: (any Error).self) { try await execution.run(on: scheduler) }
        } else {
            try await execution.run(on: scheduler)
        }
        return collected.elements.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }

    /// A field's type is changed and fields come and go: the job with the new type goes on as the old one would have.
    @Test func aJobWithANewTypeGoesOn() async throws {
        let disk = MemoryFileSystem()
        _ = try await run(Before.self, disk, from: nil, failsAfter: 300)
        let reader = try SavepointReader("checkpoints", fileSystem: disk)
        let expected = try await run(Before.self, disk, from: reader.path)
        #expect(!expected.isEmpty)
        await #expect(throws: ThalwegError.self) { try await run(After.self, disk, from: reader.path) }

        var writer = SavepointWriter(reader)
        var edit = EntryEdit()
        edit.assignments = ["count = string(count)", "twice = value.last * 2"]
        edit.dropped = ["note"]
        let new = try writer.transform("kept", in: "counting", edit)
        #expect(new.value?.description == "{count: string, last: int64, twice: int64}")
        try writer.write(to: "by-text")
        #expect(try await run(After.self, disk, from: "by-text") == expected)

        var typed = SavepointWriter(reader)
        try typed.transform("kept", in: "counting", as: Before.self) { old in
            After(count: "\(old.count)", last: old.last, twice: 2 * old.last)
        }
        try typed.write(to: "in-swift")
        #expect(try await run(After.self, disk, from: "in-swift") == expected)
        let (one, other) = (
            try SavepointReader("by-text", fileSystem: disk), try SavepointReader("in-swift", fileSystem: disk)
        )
        #expect(try one.differences(to: other).allSatisfy(\.isNone))
        #expect(try one.verify().isEmpty)
        #expect(throws: ThalwegError.self) {
            var wrong = SavepointWriter(reader)
            try wrong.transform("kept", in: "counting", as: After.self) { $0 }
        }
    }

    private func everyKind() async throws -> (job: EveryKindJob, reader: SavepointReader) {
        let job = EveryKindJob()
        try await job.fail()
        return (job, try SavepointReader("checkpoints", fileSystem: job.disk))
    }

    private func all(_ entries: SavepointEntries) throws -> [DynamicValue] {
        var found: [DynamicValue] = []
        try entries.forEach { found.append($0.record) }
        return found
    }

    /// What becomes of entries is what an evaluation of each gives; other states stay byte for byte.
    @Test func everyKindIsChanged() async throws {
        let (job, reader) = try await everyKind()
        let changes: [(operatorName: String, name: String, set: String, deletion: String)] = [
            ("memory", "seen", "{n: left, sum: string(right)}", "right % 3 == 0"),
            ("memory", "all", "value + key", "value % 7 == 0"),
            ("memory", "byRest", "string(value) + mapKey", "mapKey == 'rest 1'"),
            ("memory", "recent", "value ?? 'none'", "key < 5"),
            ("lists", "kept", "left = string(left)", "left > 300"), ("ruled", "table", "key", "left % 2 == 1"),
            ("lists", "owned", "double(value)", "id > 100"),
        ]
        var writer = SavepointWriter(reader)
        for change in changes {
            var edit = EntryEdit()
            (edit.assignments, edit.deletion) = ([change.set], change.deletion)
            try writer.transform(change.name, in: change.operatorName, edit)
        }
        try writer.write(to: "copies/changed")
        let copy = try SavepointReader("copies/changed", fileSystem: job.disk)
        #expect(try copy.verify().isEmpty)
        #expect(!job.disk.paths.contains { $0.hasPrefix("copies/") && $0.contains("/.") })
        for known in reader.operators {
            for state in known.states where !changes.contains(where: { ($0.0, $0.1) == (known.name, state.name) }) {
                #expect(
                    try all(reader.entries(of: state.name, in: known.name))
                        == all(copy.entries(of: state.name, in: known.name)), "\(known.name)/\(state.name)")
            }
        }
        let sums = try all(copy.entries(of: "seen", in: "memory"))
        let kept = try all(reader.entries(of: "seen", in: "memory", matching: "right % 3 != 0"))
        #expect(!sums.isEmpty && sums.count == kept.count)
        for (new, old) in zip(sums, kept) {
            #expect(new["key"] == old["key"] && new["value"]?["n"] == old["value"]?["left"])
            #expect(new["value"]?["sum"] == .string(old["value"]?["right"]?.json ?? ""))
        }
        let lists = try all(reader.entries(of: "all", in: "memory", matching: "value % 7 != 0"))
        let changed = try all(copy.entries(of: "all", in: "memory"))
        #expect(lists.count == changed.count)
        for (old, new) in zip(lists, changed) {
            guard case .array(let old)? = old["value"], case .array(let values)? = new["value"],
                case .integer(let key)? = new["key"]
            else { continue }
            #expect(values == old.map { if case .integer(let number) = $0 { .integer(number + key) } else { $0 } })
        }
        #expect(try copy.state("recent", in: "memory").descriptor.value?.description == "string")
        let stamps = try all(reader.entries(of: "recent", in: "memory", matching: "key >= 5")).map { $0["stamp"] }
        #expect(try all(copy.entries(of: "recent", in: "memory")).map { $0["stamp"] } == stamps && !stamps.isEmpty)
    }

    /// With a condition only some entries change, and the type stays.
    @Test func onlySome() async throws {
        let (job, reader) = try await everyKind()
        var writer = SavepointWriter(reader)
        var edit = EntryEdit()
        (edit.assignments, edit.condition) = (["left = 0"], "key % 2 == 1")
        try writer.transform("seen", in: "memory", edit)
        try writer.write(to: "copies/some")
        let copy = try SavepointReader("copies/some", fileSystem: job.disk)
        let differences = try reader.differences(to: copy) { _, difference in
            guard case .changed(let from, let to) = difference, case .integer(let key)? = to.key else { return }
            #expect(key % 2 == 1 && to.value?["left"] == .integer(0) && to.value?["right"] == from.value?["right"])
        }
        #expect(differences.filter { !$0.isNone }.map(\.name) == ["seen"])
        #expect(differences.first { !$0.isNone }?.changed == 18)
    }

    @Test func whatCannotBeIsRefusedBeforeAnythingIsWritten() async throws {
        let (job, reader) = try await everyKind()
        var writer = SavepointWriter(reader)
        func refused(_ name: String, _ operatorName: String, _ change: (inout EntryEdit) -> Void) {
            var edit = EntryEdit()
            change(&edit)
            let error = #expect(throws: ThalwegError.self) { try writer.transform(name, in: operatorName, edit) }
            #expect(error?.kind == .input)
        }
        refused("seen", "memory") { $0.assignments = ["left = prize"] }
        refused("seen", "memory") { $0.assignments = ["key = 7"] }
        refused("seen", "memory") { $0.assignments = ["left.x = 7"] }
        refused("seen", "memory") { ($0.assignments, $0.condition) = (["left = 'x'"], "key == 1") }
        refused("seen", "memory") { ($0.assignments, $0.condition) = (["other = 7"], "key == 1") }
        refused("seen", "memory") { $0.dropped = ["nothing"] }
        refused("seen", "memory") { $0.dropped = ["left", "right"] }
        refused("seen", "memory") { $0.deletion = "left" }
        refused("$timers.event", "memory") { $0.assignments = ["7"] }
        refused("sen", "memory") { $0.assignments = ["left = 7"] }
        // One change of a state in a copy.
        var edit = EntryEdit()
        edit.assignments = ["left = 1 / (key - 5)"]
        try writer.transform("seen", in: "memory", edit)
        #expect(throws: ThalwegError.self) { try writer.transform("seen", in: "memory", edit) }
        #expect(throws: ThalwegError.self) {
            try writer.delete(at: [.init("key", .integer(5))], of: "seen", in: "memory")
        }
        #expect(throws: ThalwegError.self) { try writer.reshard(maxParallelism: 1024) }
        // An entry for which there is no value leaves nothing behind, and is named.
        let error = #expect(throws: ThalwegError.self) { try writer.write(to: "copies/none") }
        #expect(error?.detail?.contains(#"{"key":5}"#) == true)
        #expect(!job.disk.paths.contains { $0.hasPrefix("copies/none") })
    }

    @Test func conditionsOfReading() async throws {
        let reader = try await everyKind().reader
        let found = try all(reader.entries(of: "seen", in: "memory", matching: "key == 3 or key == 8"))
        #expect(found.compactMap { $0["key"] }.map(\.json).sorted() == ["3", "8"])
        let timers = try all(reader.entries(of: "$timers.event", in: "memory", matching: "key == 3"))
        #expect(timers == (try all(reader.entries(of: "$timers.event", in: "memory", where: .key(.integer(3))))))
        #expect(throws: ThalwegError.self) { try reader.entries(of: "seen", in: "memory", matching: "left") }
    }
}
