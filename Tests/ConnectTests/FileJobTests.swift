// SPDX-License-Identifier: Apache-2.0
//  Jobs over files in bad places: corrupt lines, full disks, files that vanish, lines without end.

import Foundation
import Synchronization
import Testing
import Thalweg
import ThalwegTesting

/// Whether the test of memory runs by itself: `THALWEG_ALONE=1 swift test --filter aLineWithoutEnd`.
private let isAlone = ProcessInfo.processInfo.environment["THALWEG_ALONE"] == "1"
private let isFull = ProcessInfo.processInfo.environment["THALWEG_FULL"] == "1"

@Suite struct FileJobTests {
    struct Line: Codable, Sendable, Equatable { var id: Int64, name: String }
    static let dead = OutputTag<DeadLetter>("dead")

    private func lines(_ range: Range<Int>) -> String {
        range.map { "{\"id\":\($0),\"name\":\"n\($0)\"}\n" }.joined()
    }

    private func source(
        _ paths: [String], _ disk: any FileSystem, monitor: Duration? = nil, rangeBytes: Int64? = nil
    ) throws -> FileSource<Line> {
        FileSource(paths, format: try .json(), monitor: monitor, rangeBytes: rangeBytes, fileSystem: disk)
    }

    /// Runs a copy job that has to fail; nothing may be published and nothing left lying about.
    private func failure(
        _ paths: [String], _ disk: any FileSystem, inspect: MemoryFileSystem, parallelism: Int = 1,
        output: String = "out/result.jsonl", _ change: (DataStream<Line>) -> DataStream<Line> = { $0 }
    ) async throws -> ThalwegError {
        inspect["out/result.jsonl"] = Array("old".utf8)
        let before = inspect.paths
        for scheduler in [StepScheduler(seed: 2), WorkerPool(workers: 2)] as [any TaskScheduler] {
            let env = StreamEnvironment()
            env.settings.parallelism = parallelism
            env.settings.batchCapacity = 64
            change(env.read(try source(paths, disk), name: "lines"))
                .write(to: FileSink(output, format: try .json(), fileSystem: disk))
            let error = await #expect(throws: ThalwegError.self) { try await env.execute(on: scheduler) }
            #expect(inspect.paths == before, "temporary or partial files are left")
            #expect(inspect.text("out/result.jsonl") == "old")
            if scheduler is WorkerPool, let error { return error }
        }
        return ThalwegError(.bug, "the job did not fail")
    }

    // MARK: A13.2

    private func poison() -> (text: [UInt8], offsets: [Int], count: Int) {
        let count = isFull ? 1_000_000 : 20_000
        var text: [UInt8] = []
        var offsets: [Int] = []
        for number in 0..<count {
            if number % 100 == 37 {
                offsets.append(text.count)
                text += Array("{\"id\":\(number),\"na\n".utf8)
            } else {
                text += Array("{\"id\":\(number),\"name\":\"n\"}\n".utf8)
            }
        }
        return (text, offsets, count)
    }

    @Test(arguments: [1, 3])
    func corruptLinesBecomeDeadLetters(_ parallelism: Int) async throws {
        let (text, offsets, count) = poison()
        let disk = MemoryFileSystem()
        disk["in/lines.jsonl"] = text
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        let (out, letters) = (Collected<Int64>(), Collected<DeadLetter>())
        let source = try source(["in/lines.jsonl"], disk, rangeBytes: Int64(text.count / 5))
        let read = env.read(source, name: "lines", onError: .deadLetter(Self.dead))
        read.map { $0.id }.write(to: CollectSink(out))
        try read.sideOutput(Self.dead).write(to: CollectSink(letters))
        try await env.execute()
        #expect(out.count == count - count / 100 && letters.count == count / 100)
        #expect(Set(out.elements).count == out.count)
        let positions = Set(letters.elements.map(\.position))
        #expect(positions == Set(offsets.map { "in/lines.jsonl, byte \($0)" }))
        #expect(letters.elements.allSatisfy { !$0.error.isEmpty && $0.record.contains("\"na") })
    }

    @Test func failAndSkipCountExactly() async throws {
        let (text, offsets, count) = poison()
        let disk = MemoryFileSystem()
        disk["in/lines.jsonl"] = text
        for (policy, place) in [(RecordErrorPolicy.fail, 0), (.skip(limit: 100), 100), (.skip(), -1)] {
            let env = StreamEnvironment()
            let out = Collected<Int64>()
            env.read(try source(["in/lines.jsonl"], disk), name: "lines", onError: policy).map { $0.id }
                .write(to: CollectSink(out))
            if place < 0 {
                try await env.execute()
                #expect(out.count == count - count / 100)
                continue
            }
            let error = await #expect(throws: ThalwegError.self) { try await env.execute() }
            let report = error.map { "\($0)" } ?? ""
            #expect(error?.kind == .input && report.contains("\"lines\""))
            #expect(report.contains("byte \(offsets[place])"), "\(report)")
        }
    }

    // MARK: 27.d1

    @Test func boundedAndMonitoredReadTheSame() async throws {
        let disk = MemoryFileSystem()
        let files = isFull ? 64 : 20
        for file in 0..<files { disk["in/\(file).jsonl"] = Array(lines(file * 100..<file * 100 + 100).utf8) }
        let bounded = Collected<Line>()
        let first = StreamEnvironment()
        first.settings.parallelism = 2
        first.read(try source(["in"], disk)).write(to: CollectSink(bounded))
        try await first.execute()
        #expect(bounded.count == files * 100)

        let monitored = Collected<Line>()
        let second = StreamEnvironment()
        second.settings.parallelism = 2
        for file in 0..<files where file % 2 == 1 { disk["in/\(file).jsonl"] = nil }
        second.read(try source(["in"], disk, monitor: .milliseconds(10))).write(to: CollectSink(monitored))
        let execution = try second.makeExecution()
        let run = Task { try await execution.run() }
        for file in 0..<files where file % 2 == 1 {
            disk["in/\(file).jsonl"] = Array(lines(file * 100..<file * 100 + 100).utf8)
            try await Task.sleep(for: .milliseconds(3))
        }
        for _ in 0..<2000 where monitored.count < files * 100 { try await Task.sleep(for: .milliseconds(5)) }
        try await Task.sleep(for: .milliseconds(50))
        run.cancel()
        await #expect(throws: CancellationError.self) { try await run.value }
        #expect(monitored.elements.map(\.id).sorted() == bounded.elements.map(\.id).sorted())
    }

    /// A reader may ask for work before the enumerator has looked for files: that must not end the source early.
    @Test func noFileIsLostAtTheStart() async throws {
        let disk = MemoryFileSystem()
        for file in 0..<70 { disk["in/\(file).jsonl"] = Array(lines(file..<file + 1).utf8) }
        for round in 0..<(isFull ? 2000 : 200) {
            let env = StreamEnvironment()
            env.settings.parallelism = 1 + round % 4
            let out = Collected<Line>()
            env.read(try source(["in"], disk)).write(to: CollectSink(out))
            let pool = WorkerPool(workers: 2 + round % 3)
            try await env.execute(on: round % 8 == 0 ? StepScheduler(seed: UInt64(round)) : pool)
            #expect(out.count == 70, "round \(round)")
        }
    }

    // MARK: Bad places

    @Test(arguments: [0, 100, 5000])
    func aFullDiskIsSaidAndLeavesNothing(_ space: Int) async throws {
        let memory = MemoryFileSystem(["in/a.jsonl": lines(0..<1000)])
        var faults = DiskFaults()
        faults.spaceBytes = space
        let error = try await failure(["in"], FaultyFileSystem(memory, faults), inspect: memory)
        #expect(error.kind == .retry && error.primary == "the disk is full" && error.hint != nil)
    }

    @Test func aFullRealDisk() async throws {
        let mount = "/tmp/thalweg-full-\(getpid())"
        guard getuid() == 0, mkdir(mount, 0o755) == 0 else { return }
        defer { rmdir(mount) }
        guard Glibc.mount("tmpfs", mount, "tmpfs", 0, "size=64k") == 0 else { return }
        defer { umount(mount) }
        let disk = MemoryFileSystem(["in/a.jsonl": lines(0..<20_000)])
        let env = StreamEnvironment()
        env.read(try source(["in"], disk)).write(to: FileSink(mount + "/out.jsonl", format: try .json()))
        let error = await #expect(throws: ThalwegError.self) { try await env.execute() }
        #expect(error?.kind == .retry && error?.primary == "the disk is full")
        #expect(error?.detail?.contains(mount) == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: mount) == [])
    }

    @Test func syncRenameAndCreateFailures() async throws {
        for parallelism in [1, 3] {
            let memory = MemoryFileSystem(["in/a.jsonl": lines(0..<1000)])
            var sync = DiskFaults()
            sync.failsSync = true
            let unsynced = try await failure(
                ["in"], FaultyFileSystem(memory, sync), inspect: memory, parallelism: parallelism, output: "out/d/")
            #expect(unsynced.primary == "could not sync")
            var create = DiskFaults()
            create.failsCreate = true
            let uncreated = try await failure(
                ["in"], FaultyFileSystem(memory, create), inspect: memory, parallelism: parallelism, output: "out/d/")
            #expect(uncreated.primary == "the disk is full")
            var rename = DiskFaults()
            rename.failsRenameTo = ["out/result.jsonl"]
            let unnamed = try await failure(["in"], FaultyFileSystem(memory, rename), inspect: memory)
            #expect("\(unnamed)".contains("rename"))
        }
    }

    /// When the second of two parts cannot be named, the error says what was published, and no temporary file stays.
    @Test func aPartlyPublishedOutputIsSaid() async throws {
        let memory = MemoryFileSystem(["in/a.jsonl": lines(0..<1000)])
        var faults = DiskFaults()
        faults.failsRenameTo = ["out/part-1.json"]
        let disk = FaultyFileSystem(memory, faults)
        let env = StreamEnvironment()
        env.settings.parallelism = 3
        env.read(try source(["in"], disk)).rebalance().map { $0 }
            .write(to: FileSink("out/", format: try .json(), fileSystem: disk))
        let error = await #expect(throws: ThalwegError.self) { try await env.execute(on: StepScheduler(seed: 1)) }
        #expect("\(error.map { "\($0)" } ?? "")".contains("part-1"))
        #expect(!memory.paths.contains { $0.contains("inprogress") }, "\(memory.paths)")
    }

    @Test func filesThatCannotBeRead() async throws {
        let memory = MemoryFileSystem(["in/a.jsonl": lines(0..<1000), "in/b.jsonl": lines(1000..<3000)])
        var unreadable = DiskFaults()
        unreadable.unreadable = ["in/b.jsonl"]
        let refused = try await failure(["in"], FaultyFileSystem(memory, unreadable), inspect: memory)
        #expect(refused.kind == .input && refused.primary == "file may not be read" && "\(refused)".contains("b.jsonl"))
        var vanishing = DiskFaults()
        vanishing.vanishing = ["in/b.jsonl"]
        let gone = try await failure(["in"], FaultyFileSystem(memory, vanishing), inspect: memory, parallelism: 2)
        #expect(gone.kind == .input && gone.detail == "in/b.jsonl")
        var broken = DiskFaults()
        broken.brokenFrom = ["in/b.jsonl": 10_000]
        let half = try await failure(["in"], FaultyFileSystem(memory, broken), inspect: memory)
        #expect(half.kind == .retry && "\(half)".contains("input/output error"))
        let missing = try await failure(["nowhere"], memory, inspect: memory)
        #expect(missing.kind == .input && missing.detail == "nowhere")
    }

    @Test func aRealUnreadableAndVanishedFile() async throws {
        let folder = NSTemporaryDirectory() + "thalweg-\(getpid())-real"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createSymbolicLink(atPath: folder + "/a.jsonl", withDestinationPath: "/nowhere")
        let env = StreamEnvironment()
        env.read(try source([folder + "/a.jsonl"], LocalFileSystem()))
            .write(to: FileSink(folder + "/out.jsonl", format: try .json()))
        let error = await #expect(throws: ThalwegError.self) { try await env.execute() }
        #expect(error?.kind == .input && error?.detail?.contains("a.jsonl") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.jsonl"])
    }

    @Test func truncatedGzipIsAnErrorWithItsPlace() async throws {
        let folder = NSTemporaryDirectory() + "thalweg-\(getpid())-gzip"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try lines(0..<20_000).write(toFile: folder + "/a.jsonl", atomically: true, encoding: .utf8)
        let gzip = Process()
        gzip.executableURL = URL(fileURLWithPath: "/bin/gzip")
        gzip.arguments = [folder + "/a.jsonl"]
        try gzip.run()
        gzip.waitUntilExit()
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/a.jsonl.gz"))
        for cut in [5, 200, bytes.count / 2, bytes.count - 4] {
            let memory = MemoryFileSystem()
            memory["in/a.gz"] = Array(bytes[..<cut])
            let error = try await failure(["in"], memory, inspect: memory)
            #expect(
                error.kind == .input && "\(error)".contains("gzip") && "\(error)".contains("in/a.gz"), "cut at \(cut)")
        }
    }

    /// A gigabyte without a newline is reported as a line that is too long, in bounded memory.
    @Test func aLineWithoutEnd() async throws {
        let size = UInt64(isFull ? 1 << 30 : 200 << 20)
        final class Endless: FileSystem {
            let size: UInt64
            /// The most bytes that were asked for at once: the reader's window cannot be larger.
            let largest = Mutex(0)
            init(size: UInt64) { self.size = size }
            func files(at path: String) -> [FileEntry] { [FileEntry(path: path, byteCount: Int64(size))] }
            func open(_ path: String) -> any ByteSource {
                let size = size
                return ClosureByteSource(name: path) { offset, buffer in
                    self.largest.withLock { $0 = max($0, buffer.count) }
                    guard offset < size else { return 0 }
                    let count = min(buffer.count, Int(size - offset))
                    for index in 0..<count { buffer[index] = 0x78 }
                    if offset + UInt64(count) == size { buffer[count - 1] = 0x0A }
                    return count
                }
            }
            func create(_ path: String) throws(ThalwegError) -> any FileOutput {
                throw ThalwegError(.bug, "nothing is written here")
            }
            func rename(_ path: String, to newPath: String) {}
            func remove(_ path: String) {}
        }
        var limits = ReadLimits()
        limits.lineBytesMax = 1 << 20
        let disk = Endless(size: size)
        for (policy, fails) in [(RecordErrorPolicy.fail, true), (.skip(), false)] {
            let env = StreamEnvironment()
            let out = Collected<String>()
            env.read(FileSource(["endless"], format: .lines(limits: limits), fileSystem: disk), onError: policy)
                .write(to: CollectSink(out))
            let before = ProcessUsage().peakMemoryBytes
            do {
                try await env.execute()
                #expect(!fails && out.count == 0)
            } catch {
                #expect(fails && "\(error)".contains("longer than 1048576 bytes"), "\(error)")
            }
            #expect(disk.largest.withLock { $0 } <= 8 << 20)
            // Other tests of this process make memory too, unless this one runs alone.
            let growth = ProcessUsage().peakMemoryBytes - before
            if isAlone { #expect(growth < 64 << 20, "peak memory grew by \(growth) bytes") }
        }
    }

    @Test func aDirectoryWithVeryManyFiles() async throws {
        let count = isFull ? 100_000 : 5000
        let disk = MemoryFileSystem()
        for file in 0..<count {
            disk["in/\(file / 1000)/\(file).jsonl"] = Array("{\"id\":\(file),\"name\":\"\"}\n".utf8)
        }
        let env = StreamEnvironment()
        env.settings.parallelism = 2
        let out = Collected<Int64>()
        env.read(try source(["in"], disk)).map { $0.id }.write(to: CollectSink(out))
        let start = MonotonicTime.now
        try await env.execute()
        #expect(out.elements.sorted() == (0..<Int64(count)).map { $0 })
        #expect(start.secondsSince < 60)
    }
}
