// SPDX-License-Identifier: Apache-2.0
//  Files that appear whole, once, and with the checkpoint they belong to.

import Foundation
import Testing
import Thalweg
import ThalwegTesting

private let isFull = ProcessInfo.processInfo.environment["THALWEG_FULL"] == "1"

@Suite struct FileSinkTests {
    struct Row: Codable, Sendable, Hashable { var number: Int, day: Int }

    /// The rows that a reader of the files sees, by path; a header must stand at the beginning of each file.
    private static func rows(
        at path: String, _ disk: any FileSystem, _ format: InputFormat<Row>
    ) throws -> [Row] {
        try ((try? disk.files(at: path)) ?? []).flatMap { file in
            try format.makeReader(try disk.open(file.path)).readAll()
        }
    }

    /// Puts a sink on trial in memory, or below a folder of this machine.
    private func check(
        _ path: String, seeds: Range<UInt64> = 0..<150, plan: SinkPlan = SinkPlan(), hasFaults: Bool = false,
        folder: String? = nil, _ change: @escaping (FileSink<Row>) -> FileSink<Row> = { $0 },
        rolling: RollingPolicy? = nil
    ) throws {
        let (format, input) = (try OutputFormat<Row>.csv(), try InputFormat<Row>.csv())
        var plan = plan
        plan.publishesEachCheckpoint = path.hasSuffix("/") && (rolling ?? .everyCheckpoint).everyCheckpoint
        // All seeds in a full run; the first of them otherwise.
        let count = isFull ? UInt64(seeds.count) : min(24, UInt64(seeds.count))
        try SinkConformance.check(seeds: seeds.lowerBound..<seeds.lowerBound + count, plan: plan) { seed in
            let memory = MemoryFileSystem()
            let base: any FileSystem = folder == nil ? memory : LocalFileSystem()
            let disk = FaultyFileSystem(base, DiskFaults())
            let path = folder.map { "\($0)/\(seed)/\(path)" } ?? path
            var trial = SinkTrial(
                makeSink: { change(FileSink(path, format: format, rolling: rolling, fileSystem: disk)) },
                record: { Row(number: $0, day: $0 % 5) }, readCommitted: { try Self.rows(at: path, base, input) })
            trial.leftovers = { memory.paths.filter { $0.contains(".inprogress") } }
            trial.lane = { path.hasSuffix("/") ? "\($0.day)" : "" }
            if hasFaults {
                trial.faults = SinkFaults(
                    strike: { random in
                        var faults = DiskFaults()
                        switch random.next() % 4 {
                        case 0: faults.spaceBytes = 10
                        case 1: faults.failsSync = true
                        case 2: faults.failsCreate = true
                        default: faults.failsRenameTo = Set(memory.paths.map { Self.final($0) })
                        }
                        disk.faults = faults
                    }, mend: { disk.faults = DiskFaults() })
            }
            return trial
        }
    }

    private static func final(_ path: String) -> String {
        path.replacingOccurrences(of: "/.", with: "/").replacingOccurrences(of: ".inprogress", with: "")
    }

    // MARK: The contract

    @Test func oneFile() throws {
        try check("out.csv")
        try check("out/rows.csv", hasFaults: true)
    }

    @Test(arguments: [
        RollingPolicy?.none, .everyCheckpoint, .never, RollingPolicy(bytes: 60), RollingPolicy(records: 7),
        RollingPolicy(duration: .seconds(12)), RollingPolicy(everyCheckpoint: true, records: 3),
    ])
    func aDirectoryOfParts(_ rolling: RollingPolicy?) throws {
        try check("out/", rolling: rolling)
        try check("out/", seeds: 500..<600, hasFaults: true, rolling: rolling)
    }

    @Test func partitions() throws {
        for rolling in [nil, RollingPolicy(records: 4), RollingPolicy.never] {
            try check(
                "out/", hasFaults: true,
                { sink in
                    var sink = sink.partitioned(commit: .marker(when: .afterCheckpoint)) { "day=\($0.day)" }
                    sink.openFilesMax = 2
                    return sink
                }, rolling: rolling)
        }
    }

    @Test func withoutCheckpoints() throws {
        var plan = SinkPlan()
        plan.isRecoverable = false
        plan.parallelism = [3]
        try check("out.csv", seeds: 0..<30, plan: plan)
        try check("out/", seeds: 0..<30, plan: plan)
        try check("out/", seeds: 0..<30, plan: plan, rolling: RollingPolicy(records: 4))
    }

    @Test func onARealDisk() throws {
        let folder = NSTemporaryDirectory() + "thalweg-\(getpid())-sinks"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try check("out.csv", seeds: 0..<6, folder: folder)
        try check("out/", seeds: 0..<6, folder: folder)
        try check(
            "out/", seeds: 10..<16, folder: folder,
            { sink in
                var sink = sink.partitioned { "day=\($0.day)" }
                sink.openFilesMax = 2
                return sink
            }, rolling: RollingPolicy(bytes: 50))
    }

    // MARK: By hand

    private func writer(
        _ sink: FileSink<Row>, subtask: Int = 0, of parallelism: Int = 1
    ) throws -> FileSinkWriter<Row> {
        try sink.makeWriter(
            SinkContext(name: "sink", subtask: subtask, parallelism: parallelism, isRecoverable: true, wake: {}))
    }

    private func batch(_ numbers: Range<Int>) -> Batch<Row> {
        let batch = Batch<Row>(capacity: 64)
        for number in numbers { batch.append(Row(number: number, day: number % 2), time: .min) }
        return batch
    }

    private func request(_ checkpoint: Int64, isFinal: Bool = false) -> PrepareRequest {
        PrepareRequest(checkpoint: checkpoint, isFinal: isFinal)
    }

    @Test func namesSortByCheckpoint() throws {
        let disk = MemoryFileSystem()
        let sink = FileSink<Row>("out/", format: try .csv(), fileSystem: disk)
        let writer = try writer(sink, subtask: 2, of: 3)
        for checkpoint in [9, 10, 11] as [Int64] {
            try writer.write(batch(0..<3))
            try sink.commit(try writer.prepare(request(checkpoint)).committables)
        }
        let names = try disk.files(at: "out/").map(\.path)
        #expect(names.first == "out/part-0000000009-002-0000.csv" && names.count == 3)
        #expect(names.map { Int($0.dropFirst(9).prefix(10)) } == [9, 10, 11])
    }

    /// A part bears a name that nothing else has: one that is there with other content is never replaced.
    @Test func aPartIsNotReplaced() throws {
        let disk = MemoryFileSystem()
        let sink = FileSink<Row>("out/", format: try .csv(), fileSystem: disk)
        let writer = try writer(sink)
        try writer.write(batch(0..<3))
        let output = try writer.prepare(request(2))
        let path = "out/part-0000000002-000-0000.csv"
        let temporary = try #require(disk.paths.first)
        let mine = try #require(disk[temporary])
        for other in [Array("lines of another attempt\n".utf8), Array(mine.reversed())] {
            disk[path] = other
            let error = #expect(throws: ThalwegError.self) { try sink.commit(output.committables) }
            #expect(error?.kind == .job && error?.detail?.contains(path) == true)
            #expect(disk[path] == other)
        }
        // The same content does no harm, nor does a second call.
        disk[path] = mine
        for _ in 0..<2 { try sink.commit(output.committables) }
        #expect(disk[path] == mine && disk.paths == [path])
    }

    /// Whoever gave a part its name may have died before that was durable: a repeated commit sees to it.
    @Test func aRepeatedCommitIsDurable() throws {
        let disk = CrashDisk()
        let sink = FileSink<Row>("out/", format: try .csv(), fileSystem: disk)
        let writer = try writer(sink)
        try writer.write(batch(0..<3))
        let output = try writer.prepare(request(2))
        try output.persist?()
        let path = "out/part-0000000002-000-0000.csv"
        // A rename whose directory was not synced, as a crash leaves it.
        let temporary = try #require(disk.survivor(.most).paths.first)
        let content = try #require(disk.survivor(.most)[temporary])
        try disk.removeFile(temporary)
        let renamed = try disk.create(path)
        try content.withUnsafeBytes { try renamed.write($0) }
        try renamed.sync()
        renamed.close()
        #expect(disk.survivor(.least)[path] == nil)
        try sink.commit(output.committables)
        #expect(disk.survivor(.least)[path] == content)
    }

    /// A savepoint names a rolling file with more in it than the checkpoint that the job goes back to: what the job
    /// writes then is not taken for what the savepoint had.
    @Test func aSavepointBehindAFailureIsRefused() throws {
        let disk = MemoryFileSystem()
        let sink = FileSink<Row>("out/", format: try .csv(), rolling: RollingPolicy(bytes: 1 << 20), fileSystem: disk)
        let first = try writer(sink)
        try first.write(batch(0..<3))
        let checkpoint = try first.prepare(request(5)).state
        try first.write(batch(3..<9))
        let savepoint = try first.prepare(request(6)).state
        first.close()
        // The second attempt writes other records in their place, more than the savepoint has.
        let second = try writer(sink)
        try second.restore([checkpoint])
        try second.write(batch(50..<90))
        let output = try second.prepare(request(7))
        second.close()
        for commits in [false, true] {
            if commits { try sink.commit(output.committables) }
            let error = #expect(throws: ThalwegError.self) {
                let sink = sink
                let third = try sink.makeWriter(
                    SinkContext(
                        name: "sink", subtask: 0, parallelism: 1, isRecoverable: true, repeatsOutput: true, wake: {}))
                try third.restore([savepoint])
            }
            #expect(error?.kind == .corrupt, "\(String(describing: error))")
        }
    }

    /// The same with one file: its length alone does not tell.
    @Test(arguments: [false, true]) func aSavepointOfOneFileBehindAFailureIsRefused(_ isSame: Bool) throws {
        let disk = MemoryFileSystem()
        let sink = FileSink<Row>("out.csv", format: try .csv(), fileSystem: disk)
        let first = try writer(sink)
        try first.write(batch(0..<3))
        let checkpoint = try first.prepare(request(5)).state
        try first.write(batch(3..<9))
        let savepoint = try first.prepare(request(6)).state
        first.close()
        let second = try writer(sink)
        try second.restore([checkpoint])
        try second.write(isSame ? batch(3..<9) : batch(50..<90))
        _ = try second.prepare(request(7))
        second.close()
        let third = try writer(sink)
        if isSame { return try third.restore([savepoint]) }
        let error = #expect(throws: ThalwegError.self) { try third.restore([savepoint]) }
        #expect(
            error?.kind == .corrupt && error?.primary.contains("other records") == true, "\(String(describing: error))")
    }

    /// A file of a checkpoint that is gone, or too short, is said by its name; nothing is written in its place.
    @Test func damagedFiles() throws {
        let disk = MemoryFileSystem()
        let sink = FileSink<Row>("out.csv", format: try .csv(), fileSystem: disk)
        let first = try writer(sink)
        try first.write(batch(0..<9))
        let state = try first.prepare(request(1)).state
        let bytes = disk[".out.csv.inprogress"]
        for left in [nil, bytes.map { Array($0.dropLast()) }] {
            disk[".out.csv.inprogress"] = left
            let error = #expect(throws: ThalwegError.self) { try writer(sink).restore([state]) }
            #expect(error?.kind == .corrupt && error?.detail?.contains(".out.csv.inprogress") == true)
        }
        disk[".out.csv.inprogress"] = bytes.map { $0 + Array("later".utf8) }
        let second = try writer(sink)
        try second.restore([state])
        try second.write(batch(9..<10))
        let output = try second.prepare(request(2, isFinal: true))
        try sink.commit(output.committables)
        try sink.commit(output.committables)
        #expect(
            disk.text("out.csv")?.split(separator: "\n").map { String($0) } == ["number,day"]
                + (0..<10).map { "\($0),\($0 % 2)" })
        disk["out.csv"] = nil
        let error = #expect(throws: ThalwegError.self) { try sink.commit(output.committables) }
        #expect(error?.kind == .corrupt && error?.detail?.contains("out.csv") == true)
    }

    /// Only unfinished files of the sink's own naming go, and only those that no snapshot knows.
    @Test func straysAreRemoved() throws {
        let strays = ["out/.part-0000000000-000-0007.csv.inprogress", "out/.part-0.csv.inprogress"]
        let others = ["out/.part-x.csv.inprogress", "out/.part-0.json.inprogress", "out/partial.csv", "out/.hidden"]
        let disk = MemoryFileSystem()
        for path in strays + others { disk[path] = [] }
        let sink = FileSink<Row>("out/", format: try .csv(), fileSystem: disk)
        _ = try writer(sink).prepare(request(1))
        #expect(disk.paths == others.sorted())
    }

    /// One that came back after a loss of power would stay for ever: later checkpoints take it for a file of theirs.
    @Test func straysDoNotComeBack() throws {
        let disk = CrashDisk()
        let stray = "out/.part-0000000000-000-0007.csv.inprogress"
        let output = try disk.create(stray)
        try output.sync()
        output.close()
        for directory in ["out", "."] { try disk.syncDirectory(directory) }
        #expect(disk.survivor(.least).paths == [stray])
        _ = try writer(FileSink<Row>("out/", format: try .csv(), fileSystem: disk)).prepare(request(1))
        #expect(disk.survivor(.least).paths == [])
    }

    @Test func markersOfPartitions() throws {
        for moment in [PartitionCommit.Moment.afterCheckpoint, .whenFinished] {
            let disk = MemoryFileSystem()
            let sink = FileSink<Row>("out/", format: try .csv(), fileSystem: disk)
                .partitioned(commit: .marker("_DONE", when: moment)) { "day=\($0.day)" }
            let writers = try (0..<2).map { try writer(sink, subtask: $0, of: 2) }
            for writer in writers { try writer.write(batch(0..<4)) }
            try sink.commit(try writers[0].prepare(request(1)).committables)
            #expect((disk["out/day=1/_DONE"] != nil) == (moment == .afterCheckpoint))
            let last = try writers.map { try $0.prepare(request(2, isFinal: true)).committables }
            try sink.commit(last[0])
            #expect((disk["out/day=1/_DONE"] != nil) == (moment == .afterCheckpoint))
            try sink.commit(last[1])
            #expect(disk["out/day=0/_DONE"] != nil && disk["out/day=1/_DONE"] != nil)
            #expect(!disk.paths.contains { $0.contains(".inprogress") })
        }
    }

    @Test(arguments: ["", "../up", "/root", "a//b", ".hidden", "_private", "a/../b", "a/"])
    func badPartitionNames(_ name: String) throws {
        let sink = FileSink<Row>("out/", format: try .csv(), fileSystem: MemoryFileSystem()).partitioned { _ in name }
        let writer = try writer(sink)
        let error = #expect(throws: ThalwegError.self) { try writer.write(batch(0..<1)) }
        #expect(error?.primary == "a partition has a bad name")
    }

    @Test func limitsAndRefusals() throws {
        let disk = MemoryFileSystem()
        var sink = FileSink<Row>("out/", format: try .csv(), fileSystem: disk).partitioned { "n=\($0.number)" }
        sink.unfinishedFilesMax = 3
        let writer = try writer(sink)
        try writer.write(batch(0..<3))
        #expect(throws: ThalwegError.self) { try writer.write(batch(3..<4)) }
        let rolled = FileSink<Row>("a.csv", format: try .csv(), rolling: .everyCheckpoint, fileSystem: disk)
        #expect(throws: ThalwegError.self) { try self.writer(rolled) }
        let unbounded = FileSink<Row>("b/", format: try .csv(), rolling: RollingPolicy(bytes: 0), fileSystem: disk)
        #expect(throws: ThalwegError.self) { try self.writer(unbounded) }
    }

    /// After a failed sync, a later one that succeeds proves nothing.
    @Test func aFailedSyncIsNotForgotten() throws {
        let disk = FaultyFileSystem(MemoryFileSystem(), DiskFaults())
        let sink = FileSink<Row>("out.csv", format: try .csv(), fileSystem: disk)
        let writer = try writer(sink)
        try writer.write(batch(0..<3))
        let first = try writer.prepare(request(1))
        disk.faults.failsSync = true
        #expect(throws: ThalwegError.self) { try first.persist?() }
        disk.faults.failsSync = false
        let second = try writer.prepare(request(2))
        #expect(second.persist != nil)
        #expect(throws: ThalwegError.self) { try second.persist?() }
    }

    /// A file stands where a directory has to be.
    @Test(arguments: ["data.csv/", "data.csv/out.csv", "data.csv/a/b/"])
    func aPlaceInAFile(_ path: String) throws {
        let sink = FileSink<Row>(path, format: try .csv(), fileSystem: MemoryFileSystem(["data.csv": "1\n"]))
        let error = #expect(throws: ThalwegError.self) { try writer(sink) }
        #expect(error?.kind == .job && error?.primary == "an output is to lie in a file")
        #expect(error?.detail == "\(path): data.csv is a file, not a directory")
    }

    /// Parts that checkpoints stand for are left alone by a job that takes none; its own kind it replaces.
    @Test func noPartsAmongThoseOfCheckpoints() throws {
        let disk = MemoryFileSystem()
        func writer(_ sink: FileSink<Row>) throws -> FileSinkWriter<Row> {
            try sink.makeWriter(
                SinkContext(name: "parts", subtask: 0, parallelism: 1, isRecoverable: false, wake: {}))
        }
        let plain = FileSink<Row>("out/", format: try .csv(), fileSystem: disk)
        for _ in 0..<2 {
            let first = try writer(plain)
            try first.write(batch(0..<3))
            try plain.commit(try first.prepare(request(0, isFinal: true)).committables)
        }
        #expect(disk.paths == ["out/part-0.csv"])
        let exact = try self.writer(plain)
        let twice = #expect(throws: ThalwegError.self, "its own check") { try exact.write(batch(0..<3)) }
        // Where to start from instead is not where it has been started from.
        #expect(twice?.hint?.contains("the checkpoints that belong to this output") == true, "\(twice as Any)")
        disk["out/part-0.csv"] = nil
        disk["out/part-0000000007-000-0000.csv"] = []
        let error = #expect(throws: ThalwegError.self) { try writer(plain) }
        #expect(error?.kind == .job && error?.detail == "out/part-0000000007-000-0000.csv")
        #expect(error?.hint?.contains("--checkpoint-dir") == true)
        #expect(disk.paths == ["out/part-0000000007-000-0000.csv"])
        disk["out/part-0000000007-000-0000.csv"] = nil
        disk["out/day=1/part-0000000002-000-0000.csv"] = []
        #expect(throws: ThalwegError.self) { try writer(plain.partitioned { "day=\($0.day)" }) }
    }
}
