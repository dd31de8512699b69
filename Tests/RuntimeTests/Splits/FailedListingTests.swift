// SPDX-License-Identifier: Apache-2.0
//  A directory that cannot be listed for a moment is looked at again.

import Synchronization
import Testing
import Thalweg
import ThalwegTesting

/// Fails to list, or to open files for looking into them, a number of times.
private final class Hiccups: FileSystem {
    let base: MemoryFileSystem
    let lists = Guarded(0)
    let opens = Guarded(0)
    init(_ base: MemoryFileSystem) { self.base = base }

    private func pass(_ left: borrowing Guarded<Int>, _ path: String) throws(ThalwegError) {
        let fails = left.withLock { left in
            defer { left = max(0, left - 1) }
            return left > 0
        }
        if fails { throw ThalwegError(.retry, "too many open files", detail: path, hint: "wait") }
    }

    func files(at path: String) throws(ThalwegError) -> [FileEntry] {
        try pass(lists, path)
        return try base.files(at: path)
    }
    func open(_ path: String) throws(ThalwegError) -> any ByteSource {
        try pass(opens, path)
        return try base.open(path)
    }
    func create(_ path: String) throws(ThalwegError) -> any FileOutput { try base.create(path) }
    func rename(_ path: String, to newPath: String) throws(ThalwegError) { try base.rename(path, to: newPath) }
    func remove(_ path: String) { base.remove(path) }
}

@Suite struct FailedListingTests {
    private func execution(
        _ source: FileSource<String>, _ collected: Collected<String>, parallelism: Int
    ) throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.parallelism = parallelism
        env.settings.restart = .fixedDelay(attempts: 100, delay: 1)
        var options = CheckpointOptions(directory: "checkpoints", fileSystem: MemoryFileSystem())
        options.settings.interval = 50
        env.settings.checkpoints = options
        env.read(source, name: "lines").write(to: .collect(collected, visible: .whenCommitted), name: "rows")
        return try env.makeExecution()
    }

    /// New files of a monitored directory are found after listings that failed, one or several in a row.
    @Test(arguments: [0, 1, 3])
    func newFilesAreFoundAfterAFailedListing(_ count: Int) async throws {
        let disk = MemoryFileSystem()
        for index in 0..<4 { disk["in/\(index).txt"] = Array("first \(index)\n".utf8) }
        let files = Hiccups(disk)
        let collected = Collected<String>()
        let execution = try execution(
            FileSource(["in"], format: .lines, monitor: .milliseconds(100), fileSystem: files), collected,
            parallelism: 2)
        let stage = Mutex(0)
        let clock = ManualClock()
        let observer = Holdup { _ in
            let step = stage.withLock { stage -> Int in
                if stage == 0, execution.checkpoints.completed.value >= 3 {
                    stage = 1
                    return 1
                }
                if stage == 1, clock.now > 2_000 {
                    stage = 2
                    return 2
                }
                return 0
            }
            if step == 1 { files.lists.withLock { $0 = count } }
            if step == 2 { disk["in/new.txt"] = Array("second\n".utf8) }
            return clock.now > 20_000 ? .die(Mishap(text: "enough")) : .go
        }
        await #expect(throws: Mishap.self) {
            try await execution.run(on: StepScheduler(seed: 1, clock: clock, observer: observer))
        }
        #expect(collected.elements.sorted() == (0..<4).map { "first \($0)" } + ["second"])
        #expect(execution.checkpoints.failovers.value == count)
    }

    /// The first listing fails, or the look into a file behind it: no file is lost.
    @Test(arguments: [(1, 0), (3, 0), (0, 1), (0, 3), (2, 2)])
    func noFileIsLostWhenTheFirstListingFails(_ lists: Int, _ opens: Int) async throws {
        let disk = MemoryFileSystem()
        for index in 0..<6 { disk["in/\(index).txt"] = Array("line \(index) of some length\n".utf8) }
        let files = Hiccups(disk)
        files.lists.withLock { $0 = lists }
        files.opens.withLock { $0 = opens }
        let collected = Collected<String>()
        // Ranges so small that each file is looked into before it is cut.
        let source = FileSource(["in"], format: .lines, rangeBytes: 16, fileSystem: files)
        let execution = try execution(source, collected, parallelism: 2)
        try await execution.run(on: CountingJob.scheduler(1))
        #expect(collected.elements.sorted() == (0..<6).map { "line \($0) of some length" })
        #expect(execution.checkpoints.failovers.value > 0)
    }
}
