// SPDX-License-Identifier: Apache-2.0
//  A job that writes files, on a disk in memory that can be looked at and copied.

import Synchronization
import Thalweg
import ThalwegTesting

/// Numbers into a directory of parts.
struct PartsJob {
    var numbers: Int64 = 2_000
    var parallelism = 1
    var from: String?
    var interval: Int64? = 20
    var toleratedFailures = 1000
    var retained = 1
    var restart = RestartStrategy.fixedDelay(attempts: 1000, delay: 1)
    var mishaps = Mishaps(at: [])
    var directory = "checkpoints"
    var repeatsOutput = false
    var name = "parts"
    var allowsOtherJob = false
    let disk: MemoryFileSystem
    let checkpoints: FaultyFileSystem

    init(_ disk: MemoryFileSystem = MemoryFileSystem()) {
        self.disk = disk
        checkpoints = FaultyFileSystem(disk, DiskFaults())
    }

    func makeExecution() throws -> JobExecution {
        let env = StreamEnvironment()
        env.settings.jobName = name
        env.settings.parallelism = parallelism
        env.settings.batchCapacity = 16
        env.settings.restart = restart
        var options = CheckpointOptions(directory: directory, fileSystem: checkpoints, from: from)
        options.settings.interval = interval
        options.settings.toleratedFailures = toleratedFailures
        options.settings.retained = retained
        options.repeatsOutput = repeatsOutput
        options.allowsOtherJob = allowsOtherJob
        env.settings.checkpoints = options
        let mishaps = mishaps
        env.read(GeneratedSource(0..<numbers) { $0 }, name: "numbers")
            .map { number in
                try mishaps.pass()
                return "\(number)"
            }
            .write(to: FileSink("out/", format: .lines, fileSystem: disk), name: "parts")
        return try env.makeExecution()
    }

    var expected: [String: Int] { tally((0..<numbers).map { "\($0)" }) }

    /// The lines that are visible.
    var published: [String: Int] {
        tally(
            disk.paths.filter { $0.hasPrefix("out/part-") }.flatMap { path in
                (disk.text(path) ?? "").split(separator: "\n").map(String.init)
            })
    }
}

extension MemoryFileSystem {
    /// The disk as it is now.
    var copy: MemoryFileSystem {
        let copy = MemoryFileSystem()
        for path in paths { copy[path] = self[path] }
        return copy
    }
}
