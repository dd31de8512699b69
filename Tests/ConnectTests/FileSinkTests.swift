// SPDX-License-Identifier: Apache-2.0
//  Files that appear whole, once, and with the checkpoint they belong to.

import Foundation
import Testing
import Thalweg
import ThalwegTesting

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
        try SinkConformance.check(seeds: seeds, plan: plan) { seed in
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
}
