// SPDX-License-Identifier: Apache-2.0
//  Snapshots read and written by jobs (FLIP-43 b6, b7, b11).

import Testing
import Thalweg
import ThalwegSavepointStreams
import ThalwegTesting

private struct Seen: Codable, Hashable, Sendable { var key: Int64, value: Pair }
private struct Element: Codable, Hashable, Sendable { var key: Int64, index: Int64, value: Int64 }
private struct Rest: Codable, Hashable, Sendable { var mapKey: String, key: Int64, value: Int64 }
private struct Timer: Codable, Hashable, Sendable { var key: Int64, time: EventTime }
private struct Pane: Codable, Hashable, Sendable { var key: Int64, window: EventTime }
private struct Recent: Codable, Hashable, Sendable { var value: String?, stamp: EventTime }
private struct Rule: Codable, Hashable, Sendable { var key: String, value: Pair }
private struct Kept: Codable, Hashable, Sendable { var subtask: UInt32, value: Pair }

@Suite struct SavepointStreamTests {
    private func snapshot() async throws -> (job: EveryKindJob, reader: SavepointReader) {
        let job = EveryKindJob()
        try await job.fail()
        return (job, try SavepointReader("checkpoints", fileSystem: job.disk))
    }

    /// What a job reads, at several parallelisms and batch sizes, is what is there.
    private func check<Value: Codable & Hashable & Sendable>(
        _ type: Value.Type, _ name: String, _ operatorName: String, _ job: EveryKindJob, _ path: String,
        where filter: EntryFilter = .all, matching condition: String? = nil
    ) async throws {
        var expected: [Value: Int] = [:]
        let reader = try SavepointReader(path, fileSystem: job.disk)
        try reader.forEachRow(of: name, in: operatorName, as: type, where: filter, matching: condition) {
            expected[$0, default: 0] += 1
        }
        #expect(!expected.isEmpty, "\(name)")
        for (parallelism, capacity) in [(1, 1024), (3, 3), (2, 1)] {
            let env = StreamEnvironment()
            env.settings.parallelism = parallelism
            env.settings.batchCapacity = capacity
            let collected = Collected<Value>()
            let source = try SavepointSource(
                path, operator: operatorName, state: name, as: type, where: filter, matching: condition,
                fileSystem: job.disk)
            env.read(source, name: "entries").write(to: .collect(collected, visible: .atOnce), name: "rows")
            try await env.makeExecution().run(on: StepScheduler(seed: 1))
            let found = collected.elements.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            #expect(found == expected, "\(name), \(parallelism) subtasks")
        }
    }

    @Test func everyKindIsAStream() async throws {
        let (job, reader) = try await snapshot()
        let path = reader.path
        try await check(Seen.self, "seen", "memory", job, path)
        try await check(Element.self, "all", "memory", job, path)
        try await check(Rest.self, "byRest", "memory", job, path)
        try await check(Timer.self, "$timers.event", "memory", job, path)
        try await check(Recent.self, "recent", "memory", job, path)
        try await check(Rule.self, "table", "ruled", job, path)
        try await check(Kept.self, "kept", "lists", job, path)
        let panes = try #require(
            reader.operators.first { $0.name == "windows" }?.states.first { $0.kind == .pane && $0.entries > 0 })
        try await check(Pane.self, panes.name, "windows", job, path)
        try await check(Seen.self, "seen", "memory", job, path, where: .key(.integer(5)))
        try await check(Seen.self, "seen", "memory", job, path, where: .keys(from: .integer(5), to: .integer(9)))
        try await check(Seen.self, "seen", "memory", job, path, where: .keyGroups(10..<90))
        try await check(Element.self, "all", "memory", job, path, matching: "value % 2 == 1 and key > 7")
    }

    @Test func whatDoesNotFitIsRefused() async throws {
        let (job, reader) = try await snapshot()
        func refused<Value: Codable & Sendable>(_: Value.Type, _ name: String, matching condition: String? = nil) {
            #expect(throws: ThalwegError.self) {
                try SavepointSource(
                    reader.path, operator: "memory", state: name, as: Value.self, matching: condition,
                    fileSystem: job.disk)
            }
        }
        refused(Rest.self, "seen")
        refused(Seen.self, "byRest")
        refused(Seen.self, "nothing")
        refused(Seen.self, "seen", matching: "value")
        refused(Int64.self, "seen")
    }

    /// A reader is stopped after any number of batches and taken up again from its splits.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func aSplitIsTakenUpAgain(seed: UInt64) async throws {
        let (job, reader) = try await snapshot()
        let source = try SavepointSource(
            reader.path, operator: "memory", state: "all", as: Element.self, fileSystem: job.disk)
        var random = SeededRandom(seed: seed)
        var left = try source.makeEnumerator().snapshot()
        var found: [Element: Int] = [:]
        while !left.isEmpty {
            let rows = source.makeReader(
                SourceReaderContext(
                    name: "entries", subtask: 0, parallelism: 1, processingTime: VirtualTime(),
                    errors: RecordErrorHandler(
                        operatorName: "entries", policy: .fail, letters: nil, rejected: Counter(), unread: Counter()),
                    metrics: OperatorMetrics(), requestSplit: {}, wake: {}))
            rows.addSplits(left.enumerated().map { AssignedSplit(number: Int32($0.offset), split: $0.element) })
            let batch = Batch<Element>(capacity: 1 + Int(random.next() % 7))
            for _ in 0..<Int(random.next() % 40 + 1) {
                let status = try rows.poll(into: batch)
                for index in 0..<batch.count { found[batch.rows[index], default: 0] += 1 }
                batch.removeAll()
                if status == .nothing { break }
            }
            left = rows.snapshot()
        }
        var expected: [Element: Int] = [:]
        try reader.forEachRow(of: "all", in: "memory", as: Element.self) { expected[$0, default: 0] += 1 }
        #expect(found == expected, "seed \(seed)")
    }

    // MARK: Writing

    private func write<Value: Codable & Sendable>(
        _ values: [Value], _ kind: StateKind, _ disk: MemoryFileSystem, _ path: String, checkpoints: Bool = false,
        duplicates: StateLoader.Duplicates = .refused
    ) async throws {
        let env = StreamEnvironment()
        env.settings.parallelism = 2
        if checkpoints {
            env.settings.checkpoints = CheckpointOptions(directory: "checkpoints", fileSystem: disk)
        }
        let source = GeneratedSource(0..<Int64(values.count)) { values[Int($0)] }
        let sink = try SavepointSink<Value>(
            path, operator: "memory", state: "state", kind: kind, maxParallelism: 128, duplicates: duplicates,
            fileSystem: disk)
        env.read(source, name: "values").write(to: sink, name: "snapshot")
        try await env.makeExecution().run(on: StepScheduler(seed: 2))
    }

    @Test func streamsBecomeSnapshots() async throws {
        let disk = MemoryFileSystem()
        let seen = (0..<500 as Range<Int64>).map { Seen(key: $0 * 7 % 500, value: Pair(left: $0, right: 1)) }
        try await write(seen, .value, disk, "values")
        let values = try SavepointReader("values", fileSystem: disk)
        #expect(try values.verify().isEmpty && values.state("state", in: "memory").entries == 500)
        var found: [Seen] = []
        try values.forEachRow(of: "state", in: "memory", as: Seen.self) { found.append($0) }
        #expect(Set(found) == Set(seen))
        try await write(
            (0..<300).map { Timer(key: $0 % 7, time: EventTime(milliseconds: $0)) }, .timers, disk, "timers")
        #expect(try SavepointReader("timers", fileSystem: disk).state("state", in: "memory").entries == 300)
        try await write((0..<300).map { Rest(mapKey: "m\($0)", key: $0 % 3, value: $0) }, .map, disk, "maps")
        #expect(try SavepointReader("maps", fileSystem: disk).verify().isEmpty)
        #expect(!disk.paths.contains { $0.contains("sorting") || $0.contains("/.") })
    }

    @Test func whatCannotBeLeavesNothing() async throws {
        let disk = MemoryFileSystem()
        let twice = [Seen](repeating: Seen(key: 1, value: Pair(left: 1, right: 1)), count: 2)
        await #expect(throws: (any Error).self) { try await write(twice, .value, disk, "twice") }
        #expect(disk.paths.isEmpty)
        try await write(twice, .value, disk, "last", duplicates: .last)
        #expect(try SavepointReader("last", fileSystem: disk).state("state", in: "memory").entries == 1)
        await #expect(throws: (any Error).self) { try await write(twice, .value, disk, "last", duplicates: .last) }
        await #expect(throws: (any Error).self) { try await write(twice, .value, disk, "other", checkpoints: true) }
        await #expect(throws: (any Error).self) { try await write(twice, .map, disk, "other") }
        #expect(!disk.paths.contains { $0.hasPrefix("other") })
    }
}
