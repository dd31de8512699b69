// SPDX-License-Identifier: Apache-2.0
//  A job that is a service takes a last checkpoint when its server shuts down.

import Logging
import ServiceLifecycle
import Synchronization
import Testing
import Thalweg
import ThalwegTesting

@Suite struct ServiceTests {
    private func environment(
        _ script: ManualScript<Int64>, _ collected: Collected<Int64>, _ disk: any FileSystem, from: String? = nil
    ) -> StreamEnvironment {
        let env = StreamEnvironment()
        env.settings.checkpoints = CheckpointOptions(directory: "checkpoints", fileSystem: disk, from: from)
        env.read(ManualSource(script), name: "numbers")
            .write(to: .collect(collected, visible: .whenCommitted), name: "out")
        return env
    }

    /// Runs a service until it has read so much, and shuts the server down.
    private func shutDown(_ service: JobService, after records: Int) async throws {
        let group = ServiceGroup(services: [service], logger: Logger(label: "test"))
        let run = Task { try await group.run() }
        while service.execution.metrics.total(of: 1, \.recordsIn) < records { await Task.yield() }
        await group.triggerGracefulShutdown()
        try await run.value
    }

    @Test(.timeLimit(.minutes(30)))
    func aShutdownTakesALastCheckpoint() async throws {
        let (disk, collected) = (MemoryFileSystem(), Collected<Int64>())
        let script = ManualScript<Int64>([[.emit([1, 2, 3])]])
        try await shutDown(try JobService(environment(script, collected, disk)), after: 3)
        #expect(collected.elements == [1, 2, 3])
        let newest = try CheckpointStore(root: "checkpoints", fileSystem: disk).load()
        #expect(newest.metadata.kind == "suspend")
        script.add(.emit([4]), .end, to: 0)
        try await environment(script, collected, disk, from: "latest").execute()
        #expect(collected.elements == [1, 2, 3, 4])
    }

    /// The disk takes nothing any more: the server shuts down all the same.
    @Test(.timeLimit(.minutes(30)))
    func aLastCheckpointThatFailsHoldsUpNothing() async throws {
        let (disk, collected) = (FaultyFileSystem(MemoryFileSystem(), DiskFaults()), Collected<Int64>())
        let log = Log()
        let service = try JobService(
            environment(ManualScript([[.emit([1])]]), collected, disk), stopTimeout: .seconds(3600),
            logger: Logger(label: "job") { _ in log })
        let group = ServiceGroup(services: [service], logger: Logger(label: "test"))
        let run = Task { try await group.run() }
        while service.execution.metrics.total(of: 1, \.recordsIn) < 1 { await Task.yield() }
        disk.faults.failsCreate = true
        await group.triggerGracefulShutdown()
        try await run.value
        #expect(collected.elements.isEmpty)
        let told = log.lines.filter { $0.hasPrefix("error: no last checkpoint: ") }
        #expect(told.count == 1 && told[0].contains("the disk is full"), "\(log.lines)")
    }

    /// Without checkpoints there is nothing to stop with: the job is cancelled, and that is no failure.
    @Test(.timeLimit(.minutes(30)))
    func withoutCheckpointsTheJobIsCancelled() async throws {
        let collected = Collected<Int64>()
        let env = environment(ManualScript([[.emit([1])]]), collected, MemoryFileSystem())
        env.settings.checkpoints = nil
        try await shutDown(try JobService(env), after: 1)
        #expect(collected.elements.isEmpty)
    }

    /// The disk hangs: the time-out cancels.
    @Test(.timeLimit(.minutes(30)))
    func theTimeOutCancels() async throws {
        let (disk, collected) = (MemoryFileSystem(), Collected<Int64>())
        let gate = Mutex(false)
        let observer = Holdup { turn in turn == .background && gate.withLock { $0 } ? .skip : .go }
        let service = try JobService(
            environment(ManualScript([[.emit([1])]]), collected, disk), on: CountingJob.scheduler(1, observer),
            stopTimeout: .milliseconds(50))
        gate.withLock { $0 = true }
        let group = ServiceGroup(services: [service], logger: Logger(label: "test"))
        let run = Task { try await group.run() }
        while service.execution.metrics.total(of: 1, \.recordsIn) < 1 { await Task.yield() }
        await group.triggerGracefulShutdown()
        try await run.value
        #expect(collected.elements.isEmpty)
    }
}

/// Keeps what is logged.
private struct Log: LogHandler {
    private final class Kept: Sendable {
        let lines = Mutex<[String]>([])
    }
    private let kept = Kept()
    var lines: [String] { kept.lines.withLock { $0 } }
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { kept.lines.withLock { $0.append("\(event.level): \(event.message)") } }
}
