// SPDX-License-Identifier: Apache-2.0
//  Partitions of a source over stops, cancels and changes of parallelism (A8.4).

import Testing
import Thalweg
import ThalwegTesting

@Suite struct SourcePositionTests {
    private let partitions = 16
    private let perPhase: Int64 = 40

    /// How a phase of the job ends.
    private enum End { case stop, cancel, finish }

    private func execution(
        _ parallelism: Int, _ script: ManualScript<Int64>, _ disk: MemoryFileSystem, _ output: Collected<Int64>
    ) throws -> JobExecution {
        var settings = ExecutionSettings()
        settings.parallelism = parallelism
        settings.checkpoints = CheckpointOptions(directory: "snapshots", fileSystem: disk, from: "latest")
        let env = StreamEnvironment(settings: settings)
        env.read(ManualSource(script), name: "partitions").rebalance().map { $0 }
            .write(to: CollectSink(output, visible: .whenCommitted))
        return try env.makeExecution()
    }

    @Test(arguments: 0..<3 as Range<UInt64>)
    func everyPartitionHasOneOwner(_ seed: UInt64) async throws {
        let script = ManualScript<Int64>((0..<partitions).map { _ in [] })
        let (disk, output) = (MemoryFileSystem(), Collected<Int64>())
        var written: Int64 = 0
        var unread = 0
        for (parallelism, end) in [
            (4, End.stop), (4, .cancel), (6, .stop), (6, .cancel), (3, .stop), (3, .cancel), (16, .finish),
        ] {
            for partition in 0..<partitions {
                script.add(.emit(Array(written..<written + perPhase)), to: partition)
                written += perPhase
                unread += Int(perPhase)
            }
            if end == .finish { script.endAll() }
            let before = script.emitted.count
            let job = try execution(parallelism, script, disk, output)
            let expected = before + unread
            try await within {
                async let outcome = job.run(on: StepScheduler(seed: seed))
                while end != .finish && script.emitted.count < expected { await Task.yield() }
                switch end {
                case .stop: try await job.stop()
                case .cancel: job.cancel()
                case .finish: break
                }
                do { _ = try await outcome } catch is CancellationError where end == .cancel {}
            }
            #expect(script.emitted.count == expected, "\(parallelism): a partition was read twice, or not at all")
            if end != .cancel { unread = 0 }
            #expect(output.elements.sorted() == Array(0..<written - Int64(unread)), "after \(end) at \(parallelism)")
        }
    }
}
