// SPDX-License-Identifier: Apache-2.0
//  Jobs that start from changed copies of their snapshots (FLIP-43 d1, d3, d4).

import Testing
import Thalweg
import ThalwegSavepoint
import ThalwegTesting

@Suite struct SavepointWriterTests {
    private func snapshot() async throws -> (job: EveryKindJob, reader: SavepointReader, rows: [Row: Int]) {
        let job = EveryKindJob()
        try await job.fail()
        let reader = try SavepointReader("checkpoints", fileSystem: job.disk)
        return (job, reader, try await job.rows(from: reader.path))
    }

    private func files(_ disk: MemoryFileSystem, below path: String) -> [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: disk.paths.filter { $0.hasPrefix(path + "/") }.map { ($0, disk[$0] ?? []) })
    }

    private func check(_ job: EveryKindJob, _ path: String, _ expected: [Row: Int]) async throws {
        var job = job
        for parallelism in [1, 2, 3] {
            job.parallelism = parallelism
            #expect(try await job.rows(from: path) == expected, "\(path), \(parallelism) subtasks")
        }
    }

    @Test func aCopyIsTheSame() async throws {
        let (job, reader, rows) = try await snapshot()
        #expect(!rows.isEmpty)
        try SavepointWriter(reader).write(to: "copies/plain")
        let copy = try SavepointReader("copies/plain", fileSystem: job.disk)
        #expect(copy.isSelfContained)
        #expect(try copy.verify().isEmpty)
        #expect(try reader.differences(to: copy).allSatisfy(\.isNone))
        try await check(job, "copies/plain", rows)
    }

    /// Every entry of every kind set to what it is, in a copy of what is left without it: the same bytes again.
    @Test func everyEntryCanBeSet() async throws {
        let (job, reader, rows) = try await snapshot()
        var (emptier, filler) = (SavepointWriter(reader), SavepointWriter(reader))
        for known in reader.operators {
            for state in known.states {
                let lists = state.kind == .list
                var done: Set<DynamicValue?> = []
                try reader.entries(of: state.name, in: known.name).forEach { entry in
                    let place = lists ? Array(entry.place.prefix(1)) : entry.place
                    if lists, !done.insert(entry.key).inserted { return }
                    try emptier.delete(at: place, of: state.name, in: known.name)
                    try filler.set(entry.value, at: place, of: state.name, in: known.name)
                }
            }
        }
        try emptier.write(to: "copies/empty")
        let empty = try SavepointReader("copies/empty", fileSystem: job.disk)
        for known in empty.operators {
            for state in known.states {
                #expect(try empty.count(of: state.name, in: known.name) == 0)
                #expect(try empty.entries(of: state.name, in: known.name).next() == nil)
            }
        }
        try filler.write(to: "copies/filled")
        let filled = try SavepointReader("copies/filled", fileSystem: job.disk)
        #expect(try reader.differences(to: filled).allSatisfy(\.isNone))
        #expect(try filled.verify().isEmpty)
        try await check(job, "copies/filled", rows)
    }

    /// One value of one key: the job goes on from it, all else is as it was, and so is the original.
    @Test func oneValueIsSet() async throws {
        let (job, reader, rows) = try await snapshot()
        let before = files(job.disk, below: "checkpoints")
        var writer = SavepointWriter(reader)
        let key = DynamicValue.Field("key", .integer(5))
        let schema = try #require(try reader.valueSchema(of: "seen", in: "memory"))
        let old = try #require(try reader.entries(of: "seen", in: "memory", where: .key(.integer(5))).next())
        guard case .integer(let count)? = old.value?["left"] else { return }
        try writer.set(
            try DynamicValue(json: #"{"left":1000,"right":1}"#, schema), at: [key], of: "seen", in: "memory")
        try writer.write(to: "copies/set")
        #expect(files(job.disk, below: "checkpoints") == before)
        let copy = try SavepointReader("copies/set", fileSystem: job.disk)
        // All files are as they were, and a small one lies over them.
        for file in reader.metadata.files {
            let name = try #require(file.path.split(separator: "/").last)
            #expect(job.disk["copies/set/" + name] == job.disk["checkpoints/" + file.path])
        }
        #expect(copy.metadata.files.count == reader.metadata.files.count + 1)
        #expect(copy.metadata.files.last?.entries == 1)
        var found: [String] = []
        let differences = try reader.differences(to: copy) { state, difference in
            guard case .changed(_, let to) = difference else { return }
            found.append("\(state.name) \(to.record.json)")
        }
        #expect(differences.filter { !$0.isNone }.map(\.name) == ["seen"])
        #expect(found == [#"seen {"key":5,"value":{"left":1000,"right":1}}"#])
        var expected: [Row: Int] = [:]
        for (row, times) in rows {
            var row = row
            if row.kind == "seen" && row.key == 5 { row.value += 1000 - count }
            expected[row] = times
        }
        #expect(expected != rows)
        try await check(job, "copies/set", expected)
    }

    @Test func listsMapsAndTimersAreSet() async throws {
        let (job, reader, _) = try await snapshot()
        var writer = SavepointWriter(reader)
        let key = DynamicValue.Field("key", .integer(900))
        let many = DynamicValue.array((0..<3000).map { .integer($0) })
        try writer.set(many, at: [key], of: "all", in: "memory")
        try writer.set(.integer(9), at: [key, .init("mapKey", .string("x"))], of: "byRest", in: "memory")
        try writer.set(
            nil, at: [key, .init("time", .time(EventTime(milliseconds: 590)))], of: "$timers.event", in: "memory")
        try writer.set(.null, at: [key], of: "recent", in: "memory")
        try writer.set(
            .record([.init("left", .integer(1)), .init("right", .integer(2))]),
            at: [.init("key", .string("new"))], of: "table", in: "ruled")
        try writer.write(to: "copies/more")
        let copy = try SavepointReader("copies/more", fileSystem: job.disk)
        #expect(try copy.verify().isEmpty)
        var chunks = 0
        let lists = try copy.entries(of: "all", in: "memory", where: .key(.integer(900)))
        while try lists.next() != nil { chunks += 1 }
        #expect(chunks == 3)
        let rows = try await job.rows(from: "copies/more")
        #expect(rows[Row(kind: "timer", key: 900, value: 590)] == 1)
        // One more copy, with a shorter list: no old chunk stays.
        var shorter = SavepointWriter(copy)
        try shorter.set(.array([.integer(1)]), at: [key], of: "all", in: "memory")
        try shorter.write(to: "copies/shorter")
        let left = try SavepointReader("copies/shorter", fileSystem: job.disk)
            .entries(of: "all", in: "memory", where: .key(.integer(900)))
        #expect(try left.next()?.value == .array([.integer(1)]))
        #expect(try left.next() == nil)
    }

    /// What a snapshot has of a state by place; of a list all values of a key, of timers nothing but the place.
    private func contents(_ reader: SavepointReader, _ name: String) throws -> [[DynamicValue.Field]: DynamicValue] {
        var found: [[DynamicValue.Field]: DynamicValue] = [:]
        try reader.entries(of: name, in: "memory").forEach { entry in
            guard name == "all" else { return found[entry.place] = entry.value ?? .null }
            let place = Array(entry.place.prefix(1))
            guard case .array(let values)? = entry.value else { return }
            guard case .array(let before)? = found[place] else { return found[place] = .array(values) }
            found[place] = .array(before + values)
        }
        return found
    }

    /// Entries that one writer sets and removes again and again: what is there is what a dictionary holds.
    @Test(arguments: 0..<12 as Range<UInt64>)
    func entriesAreTouchedAgain(seed: UInt64) async throws {
        let (job, reader, _) = try await snapshot()
        var random = SeededRandom(seed: seed)
        let names = ["seen", "all", "byRest", "$timers.event"]
        var twins = try names.map { try contents(reader, $0) }
        var writer = SavepointWriter(reader)
        for step in 0..<200 as Range<Int64> {
            let state = Int(random.next() % UInt64(names.count))
            let key = [1, 5, 36, 900, 901][Int(random.next() % 5)] as Int64
            var place = [DynamicValue.Field("key", .integer(key))]
            let other = Int64(random.next() % 3)
            if state == 2 { place.append(.init("mapKey", .string("rest \(other)"))) }
            if state == 3 { place.append(.init("time", .time(EventTime(milliseconds: 550 + other)))) }
            if random.next() % 2 == 0 {
                if twins[state].removeValue(forKey: place) == nil {
                    let error = #expect(throws: ThalwegError.self, "seed \(seed), step \(step)") {
                        try writer.delete(at: place, of: names[state], in: "memory")
                    }
                    #expect(error?.primary == "there is no such entry")
                } else {
                    try writer.delete(at: place, of: names[state], in: "memory")
                }
                continue
            }
            let value: DynamicValue =
                switch state {
                case 0: .record([.init("left", .integer(step)), .init("right", .integer(key))])
                case 1: .array((0...Int64(random.next() % 2500)).map { .integer($0 + step) })
                case 2: .integer(step)
                default: .null
                }
            try writer.set(state == 3 ? nil : value, at: place, of: names[state], in: "memory")
            twins[state][place] = value
        }
        try writer.write(to: "copies/again")
        let copy = try SavepointReader("copies/again", fileSystem: job.disk)
        #expect(try copy.verify().isEmpty, "seed \(seed)")
        for (name, twin) in zip(names, twins) {
            #expect(try contents(copy, name) == twin, "seed \(seed), state \(name)")
        }
    }

    @Test func namesAreChanged() async throws {
        var (job, reader, rows) = try await snapshot()
        var writer = SavepointWriter(reader)
        try writer.rename(operator: "memory", to: "store")
        try writer.write(to: "copies/renamed")
        await #expect(throws: ThalwegError.self) { try await job.rows(from: "copies/renamed") }
        job.memoryName = "store"
        try await check(job, "copies/renamed", rows)
        var second = SavepointWriter(try SavepointReader("copies/renamed", fileSystem: job.disk))
        try second.rename(state: "all", of: "store", to: "every")
        #expect(throws: ThalwegError.self) { try second.rename(state: "seen", of: "store", to: "recent") }
        #expect(throws: ThalwegError.self) { try second.rename(state: "$time", of: "store", to: "time") }
        #expect(throws: ThalwegError.self) { try second.rename(operator: "store", to: "lists") }
        #expect(throws: ThalwegError.self) { try second.rename(operator: "memory", to: "m") }
        try second.write(to: "copies/state")
        let names =
            try SavepointReader("copies/state", fileSystem: job.disk).operators
            .first { $0.name == "store" }?.states.map(\.name) ?? []
        #expect(names.contains("every") && !names.contains("all"))
    }

    /// Every key in its new group, the output as before, the original untouched; and back again.
    @Test func keyGroupsAreDealtAnew() async throws {
        let (job, reader, rows) = try await snapshot()
        let before = files(job.disk, below: "checkpoints")
        var writer = SavepointWriter(reader)
        try writer.reshard(maxParallelism: 1024)
        writer.runBytesMax = 1000
        try writer.write(to: "copies/wide")
        #expect(files(job.disk, below: "checkpoints") == before)
        let wide = try SavepointReader("copies/wide", fileSystem: job.disk)
        #expect(try wide.verify().isEmpty)
        #expect(wide.metadata.files.count == reader.operators.filter { $0.states.contains { $0.entries > 0 } }.count)
        #expect(throws: ThalwegError.self) { try reader.differences(to: wide) }
        await #expect(throws: ThalwegError.self) { try await job.rows(from: "copies/wide") }
        var wider = job
        wider.maxParallelism = 1024
        try await check(wider, "copies/wide", rows)
        #expect(wide.operators.flatMap(\.states).map(\.entries) == reader.operators.flatMap(\.states).map(\.entries))
        #expect(throws: ThalwegError.self) { try writer.reshard(maxParallelism: 1) }
    }

    /// Event time differs between subtasks: only what keeps their key groups apart is possible.
    @Test func eventTimeIsKeptApart() async throws {
        let (job, reader, _) = try await snapshot()
        var writer = SavepointWriter(reader)
        let key = [DynamicValue.Field("subtask", .integer(1)), DynamicValue.Field("index", .integer(0))]
        let ahead = DynamicValue.record([
            .init("time", .integer(9)), .init("keyGroups", .array((0..<64).map { .integer(9 + $0 / 32) })),
        ])
        try writer.set(ahead, at: key, of: "$time", in: "windows")
        try writer.write(to: "copies/ahead")
        var odd = SavepointWriter(try SavepointReader("copies/ahead", fileSystem: job.disk))
        let error = #expect(throws: ThalwegError.self) { try odd.reshard(maxParallelism: 99) }
        #expect(error?.hint?.contains("a multiple of 128") == true)
        var even = SavepointWriter(try SavepointReader("copies/ahead", fileSystem: job.disk))
        try even.reshard(maxParallelism: 384)
        try even.write(to: "copies/apart")
        let entries = try SavepointReader("copies/apart", fileSystem: job.disk).entries(of: "$time", in: "windows")
        _ = try entries.next()
        let found = try #require(try entries.next()?.value)
        #expect(found["time"] == .integer(9))
        #expect(found["keyGroups"] == .array((0..<192).map { .integer(9 + $0 / 96) }))
    }

    @Test func nothingIsWrittenOver() async throws {
        let (job, reader, _) = try await snapshot()
        job.disk["copies/taken/file"] = [1]
        for path in ["copies/taken", "copies/taken/file", "copies/chk-12345", reader.path, reader.path + "/inside"] {
            let error = #expect(throws: ThalwegError.self) { try SavepointWriter(reader).write(to: path) }
            #expect(error?.kind == .input)
        }
        #expect(job.disk["copies/taken/file"] == [1])
        // A damaged source leaves nothing behind.
        let file = "checkpoints/" + (try #require(reader.metadata.files.last)).path
        job.disk[file]?[20] ^= 1
        #expect(throws: ThalwegError.self) { try SavepointWriter(reader).write(to: "copies/broken") }
        #expect(!job.disk.paths.contains { $0.hasPrefix("copies/broken") })
    }

    @Test func whatDoesNotFitIsRefused() async throws {
        let reader = try await snapshot().reader
        var writer = SavepointWriter(reader)
        let key = DynamicValue.Field("key", .integer(5))
        #expect(throws: ThalwegError.self) { try writer.set(.integer(1), at: [key], of: "seen", in: "memory") }
        #expect(throws: ThalwegError.self) { try writer.set(.integer(1), at: [key], of: "byRest", in: "memory") }
        #expect(throws: ThalwegError.self) { try writer.set(nil, at: [key], of: "seen", in: "memory") }
        #expect(throws: ThalwegError.self) {
            try writer.delete(at: [.init("key", .integer(5000))], of: "seen", in: "memory")
        }
    }
}
