// SPDX-License-Identifier: Apache-2.0
//  A job never starts from damaged bytes: it refuses them by file and reason, or they did not matter.

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct DamagedStartTests {
    /// Keyed counts, windows with timers, and files that are being written: a snapshot with something of everything.
    private static func execution(_ disk: any FileSystem, from: String?, numbers: Int64 = 60) throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.batchCapacity = 2
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: disk, from: from)
        options.settings.interval = from == nil ? 4 : nil
        options.settings.retained = 3
        env.settings.checkpoints = options
        env.settings.restart = RestartStrategy.none
        let keyed = try env.read(GeneratedSource(0..<numbers) { $0 }, name: "numbers")
            .timestamps(by: { EventTime(milliseconds: $0) }, watermark: .boundedOutOfOrderness(.milliseconds(5)))
            .keyed { $0 % 3 }
        let counts = keyed.aggregate(Count(), name: "counts") { "count \($0) \($1)" }
        let windows = try keyed.window(.tumbling(.milliseconds(20))).aggregate(Count(), name: "windows") {
            "window \($2.start.milliseconds) \($0) \($1)"
        }
        counts.union(windows).write(
            to: FileSink("out/", format: .lines, rolling: RollingPolicy(records: 7), fileSystem: disk), name: "parts")
        return try env.makeExecution()
    }

    private static func published(_ disk: MemoryFileSystem) -> [String: Int] {
        tally(
            disk.paths.filter { $0.hasPrefix("out/part-") }.flatMap { path in
                (disk.text(path) ?? "").split(separator: "\n").map(String.init)
            })
    }

    private static func expected() async throws -> [String: Int] {
        let disk = MemoryFileSystem()
        try await execution(disk, from: nil).run(on: CountingJob.scheduler(1))
        return published(disk)
    }

    /// A disk with three checkpoints, as a kill left it.
    private static func killed() async throws -> MemoryFileSystem {
        let disk = MemoryFileSystem()
        let survivor = Mutex<MemoryFileSystem?>(nil)
        let execution = try execution(disk, from: nil)
        let observer = Holdup { _ in
            guard execution.checkpoints.completed.value == 3 else { return .go }
            survivor.withLock { $0 = $0 ?? disk.copy }
            return .die(Mishap(text: "killed"))
        }
        await #expect(throws: Mishap.self) { try await execution.run(on: CountingJob.scheduler(1, observer)) }
        return try #require(survivor.withLock { $0 })
    }

    /// Starts from a damaged snapshot; returns whether it was refused.
    private static func start(
        _ disk: MemoryFileSystem, from: String, path: String, _ what: String, expected: [String: Int]
    ) async throws -> Bool {
        do {
            try await execution(disk, from: from).run(on: StepScheduler(seed: 1))
            #expect(published(disk) == expected, "\(what): wrong output")
            return false
        } catch let error as ThalwegError {
            #expect(error.kind == .corrupt && error.detail?.contains(path) == true, "\(what): \(error)")
            #expect(error.hint?.contains("--from chk-2 --repeat-output") == true, "\(what): \(error)")
            return true
        }
    }

    @Test func everyByteOfASnapshot() async throws {
        let (disk, expected) = (try await Self.killed(), try await Self.expected())
        let undamaged = disk.copy
        try await Self.execution(undamaged, from: "latest").run(on: StepScheduler(seed: 1))
        #expect(Self.published(undamaged) == expected)
        let files = disk.paths.filter { $0.hasPrefix("checkpoints/chk-3/") }
        #expect(files.count > 2)
        let total = files.reduce(0) { $0 + (disk[$1]?.count ?? 0) }
        // All of them in a full run.
        let stride = isFull ? 1 : max(1, total / 250)
        var (place, refused, tried) = (0, 0, 0)
        for path in files {
            let bytes = try #require(disk[path])
            for offset in bytes.indices {
                place += 1
                guard place % stride == 0 else { continue }
                let (flipped, cut) = (disk.copy, disk.copy)
                flipped[path]?[offset] ^= 1 << UInt8(offset % 8)
                cut[path] = Array(bytes.prefix(offset))
                let from = place % (2 * stride) == 0 ? "latest" : "checkpoints/chk-3"
                let what = "\(path) byte \(offset)"
                let isFound = try await Self.start(
                    flipped, from: from, path: path, what, expected: expected)
                let isShort = try await Self.start(
                    cut, from: from, path: path, what + " cut", expected: expected)
                tried += 2
                refused += (isFound ? 1 : 0) + (isShort ? 1 : 0)
            }
        }
        #expect(refused > tried / 2)
    }

    /// The checkpoint that is offered instead is one that can be read to its end.
    @Test func theOneThatIsOfferedIsIntact() async throws {
        let disk = try await Self.killed()
        let segment = try #require(disk.paths.first { $0.hasPrefix("checkpoints/chk-2/") && $0.hasSuffix(".segment") })
        disk[segment]?[20] ^= 1
        disk["checkpoints/chk-3/_metadata"]?[20] ^= 1
        let error = await #expect(throws: ThalwegError.self) {
            try await Self.execution(disk, from: "latest").run(on: StepScheduler(seed: 1))
        }
        #expect(error?.hint?.contains("--from chk-1 ") == true, "\(error as Any)")
        disk["checkpoints/chk-1/_metadata"] = []
        let alone = await #expect(throws: ThalwegError.self) {
            try await Self.execution(disk, from: "latest").run(on: StepScheduler(seed: 1))
        }
        #expect(alone?.hint?.contains("no earlier intact checkpoint") == true, "\(alone as Any)")
    }
}
