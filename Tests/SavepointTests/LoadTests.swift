// SPDX-License-Identifier: Apache-2.0
//  Snapshots from elsewhere: out of files, out of a program (FLIP-43 b8, d1).

import Testing
import Thalweg
import ThalwegSavepoint
import ThalwegTesting

@Suite struct LoadTests {
    private func all(_ reader: SavepointReader, _ name: String, _ operatorName: String) throws -> [String] {
        var found: [String] = []
        try reader.entries(of: name, in: operatorName).forEach { found.append($0.record.json) }
        return found
    }

    /// FLIP-43 d1: every state of a job printed, read back into a snapshot of its own, and the job started from that.
    @Test(arguments: [0, 1, 2] as [UInt64])
    func everyKindGoesThroughText(seed: UInt64) async throws {
        var job = EveryKindJob()
        try await job.fail(seed: seed + 1)
        let reader = try SavepointReader("checkpoints", fileSystem: job.disk)
        let expected = try await job.rows(from: reader.path)
        var random = SeededRandom(seed: seed)
        var writer = try SavepointWriter(
            maxParallelism: reader.maxParallelism, timeMilliseconds: 0, fileSystem: job.disk)
        writer.runBytesMax = 3000
        for known in reader.operators {
            for state in known.states {
                var lines = try all(reader, state.name, known.name)
                // Order matters within lists and among records of one time only.
                if state.kind != .list && state.kind != .buffer { lines.shuffle(using: &random) }
                let shuffled = lines
                try writer.load(state.descriptor, parallelism: known.parallelism) { loader in
                    for line in shuffled { try loader.add(json: line) }
                }
            }
        }
        try writer.write(to: "fresh")
        let fresh = try SavepointReader("fresh", fileSystem: job.disk)
        #expect(fresh.metadata.kind == "savepoint" && fresh.isSelfContained)
        #expect(try fresh.verify().isEmpty)
        for known in reader.operators {
            for state in known.states where state.kind != .buffer {
                #expect(
                    try all(fresh, state.name, known.name) == all(reader, state.name, known.name),
                    "seed \(seed), \(known.name)/\(state.name)")
            }
        }
        #expect(!job.disk.paths.contains { $0.contains("/.") })
        for parallelism in [1, 2, 3] {
            job.parallelism = parallelism
            #expect(try await job.rows(from: "fresh") == expected, "seed \(seed), \(parallelism) subtasks")
        }
    }

    @Test func entriesOfATypeInAnyOrder() throws {
        let disk = MemoryFileSystem()
        var writer = try SavepointWriter(maxParallelism: 128, timeMilliseconds: 7, jobName: "start", fileSystem: disk)
        writer.runBytesMax = 4000
        try writer.load("last", in: "accounts", as: String.self, Pair.self) { add in
            for number in 0..<5000 as Range<Int64> {
                let mixed = number * 7919 % 5000
                try add("account \(mixed)", Pair(left: mixed, right: -mixed))
            }
        }
        try writer.write(to: "start")
        let reader = try SavepointReader("start", fileSystem: disk)
        #expect(try reader.verify().isEmpty)
        #expect(try reader.state("last", in: "accounts").entries == 5000)
        #expect(reader.operators.map(\.name) == ["accounts"] && reader.metadata.jobName == "start")
        let one = try reader.entries(of: "last", in: "accounts", where: .key(.string("account 4321")))
        #expect(try one.next()?.value == .record([.init("left", .integer(4321)), .init("right", .integer(-4321))]))
        #expect(throws: ThalwegError.self) {
            try SavepointWriter(maxParallelism: 0, timeMilliseconds: 0, fileSystem: disk)
        }
        #expect(throws: ThalwegError.self) {
            try SavepointWriter(maxParallelism: 8, timeMilliseconds: 0, fileSystem: disk).write(to: "none")
        }
    }

    /// Entries take the place of those with the same key; a list that of all values of its key.
    @Test(arguments: [200, 1 << 20]) func entriesAreAddedToWhatIsThere(runBytes: Int) async throws {
        let job = EveryKindJob()
        try await job.fail()
        let reader = try SavepointReader("checkpoints", fileSystem: job.disk)
        var writer = SavepointWriter(reader)
        writer.runBytesMax = runBytes
        try writer.load(reader.state("seen", in: "memory").descriptor) { loader in
            for key in [900, 5, -1] as [Int64] {
                try loader.add(
                    at: [.integer(key)], .record([.init("left", .integer(key)), .init("right", .integer(0))]))
            }
        }
        try writer.load(reader.state("all", in: "memory").descriptor) { loader in
            for value in 0..<2500 as Range<Int64> { try loader.add(at: [.integer(6)], .integer(value)) }
        }
        try writer.load(reader.state("$timers.event", in: "memory").descriptor) { loader in
            for _ in 0..<2 { try loader.add(json: #"{"time":1000000,"key":5}"#) }
        }
        try writer.write(to: "copies/more")
        let copy = try SavepointReader("copies/more", fileSystem: job.disk)
        #expect(try copy.verify().isEmpty)
        let differences = try reader.differences(to: copy)
        let counts = differences.filter { !$0.isNone }.map { "\($0.name) \($0.added) \($0.removed) \($0.changed)" }
        #expect(counts == ["$timers.event 1 0 0", "all 2 0 1", "seen 2 0 1"])
        var values: [DynamicValue] = []
        try copy.entries(of: "all", in: "memory", where: .key(.integer(6))).forEach {
            if case .array(let chunk)? = $0.value { values += chunk }
        }
        #expect(values == (0..<2500).map { .integer($0) })
        let rows = try await job.rows(from: "copies/more")
        #expect(rows[Row(kind: "timer", key: 5, value: 1_000_000)] == 1)
    }

    /// A state that expires is added to as it was stored, whatever is said of its life.
    @Test func entriesThatExpireKeepTheirStamps() async throws {
        let job = EveryKindJob()
        try await job.fail()
        let reader = try SavepointReader("checkpoints", fileSystem: job.disk)
        var state = try reader.state("recent", in: "memory").descriptor
        let before = try all(reader, "recent", "memory")
        #expect(!before.isEmpty && before.allSatisfy { $0.contains("stamp") })
        state.properties = [:]
        var writer = SavepointWriter(reader)
        try writer.load(state) { try $0.add(at: [.integer(900)], .string("new")) }
        try writer.write(to: "copies/more")
        let copy = try SavepointReader("copies/more", fileSystem: job.disk)
        #expect(try copy.verify().isEmpty)
        #expect(try copy.state("recent", in: "memory").descriptor == reader.state("recent", in: "memory").descriptor)
        let added = #"{"key":900,"stamp":"min","value":"new"}"#
        #expect(try Set(all(copy, "recent", "memory")) == Set(before + [added]))
        #expect(try await !job.rows(from: "copies/more").isEmpty)
    }

    @Test func twoOfOnePlace() throws {
        let disk = MemoryFileSystem()
        let state = StateDescriptor(
            operatorName: "o", name: "s", kind: .value, key: RecordSchema(root: .scalar(.int64)),
            value: RecordSchema(root: .scalar(.string)))
        for duplicates in StateLoader.Duplicates.allCases {
            var writer = try SavepointWriter(maxParallelism: 16, timeMilliseconds: 0, fileSystem: disk)
            writer.runBytesMax = 500
            try writer.load(state, duplicates: duplicates) { loader in
                for number in 0..<100 as Range<Int64> { try loader.add(at: [.integer(number)], .string("first")) }
                try loader.add(at: [.integer(42)], .string("second"))
            }
            if duplicates == .refused {
                let error = #expect(throws: ThalwegError.self) { try writer.write(to: "refused") }
                #expect(error?.detail?.contains(#"{"key":42}"#) == true)
                #expect(disk.paths.isEmpty)
            } else {
                try writer.write(to: "last")
                let reader = try SavepointReader("last", fileSystem: disk)
                #expect(
                    try reader.entries(of: "s", in: "o", where: .key(.integer(42))).next()?.value == .string("second"))
                #expect(try reader.state("s", in: "o").entries == 100)
            }
        }
    }

    @Test func whatIsNoneIsRefused() async throws {
        let job = EveryKindJob()
        try await job.fail()
        let reader = try SavepointReader("checkpoints", fileSystem: job.disk)
        var writer = SavepointWriter(reader)
        var other = try reader.state("seen", in: "memory").descriptor
        other.value = RecordSchema(root: .scalar(.string))
        #expect(throws: ThalwegError.self) { try writer.load(other) { _ in } }
        #expect(throws: ThalwegError.self) { try writer.load(reader.state("kept", in: "lists").descriptor) { _ in } }
        try writer.load(reader.state("seen", in: "memory").descriptor) { loader in
            #expect(throws: ThalwegError.self) { try loader.add(at: [], nil) }
            #expect(throws: ThalwegError.self) { try loader.add(at: [.string("x")], .integer(1)) }
            #expect(throws: ThalwegError.self) { try loader.add(json: #"{"key":1}"#) }
            try loader.add(json: #"{"key":"x","value":{"left":1,"right":2}}"#)
        }
        let error = #expect(throws: ThalwegError.self) { try writer.write(to: "copies/wrong") }
        #expect(error?.detail?.contains("key") == true)
        #expect(!job.disk.paths.contains { $0.hasPrefix("copies/wrong") })
    }
}
