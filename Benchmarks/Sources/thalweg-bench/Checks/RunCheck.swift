// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check runs`: rows looked up in sorted runs on the disk (FLIP-50 d2).

import ArgumentParser
import Thalweg

/// Writes runs of rows of some 40 bytes, looks up rows at random, and prints how many are found in a second of CPU
/// time. The blocks come from the page cache of the system; the index is in memory. Fails when the limit is missed.
struct RunCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs", abstract: "Measure lookups of rows in sorted runs.")

    @Option(help: "How many rows a run has.") var rows = 10_000_000
    @Option(help: "How many runs lie over one another, each with all rows.") var runs = 1
    @Option(help: "How many rows are looked up.") var lookups = 2_000_000
    @Option(help: "How many bytes of blocks are kept in memory.") var blockBytes = 8 << 20
    @Option(help: "How many bytes of filters are kept in memory.") var filterBytes = 64 << 20
    @Option(help: "The directory for the runs.") var directory = "runs-measured"

    private static let keyGroups = 128
    private static let lookupsPerSecondMin = 400_000.0

    private var state: StateDescriptor {
        StateDescriptor(operatorName: "count", name: "total", kind: .value)
    }

    func run() async throws {
        let disk = LocalFileSystem()
        try disk.removeTree(directory)
        try disk.makeDirectory(directory)
        defer { try? disk.removeTree(directory) }
        var set = RunSet()
        for number in 0..<runs {
            let before = ProcessUsage()
            let run = try write(number, disk)
            let seconds = ProcessUsage().cpuSeconds - before.cpuSeconds
            set.add(run)
            print(
                "       run of \(run.footer.entries) rows, \(run.byteCount >> 20) MiB, "
                    + "\(run.footer.blockCount) blocks: written at "
                    + "\(rounded(Double(run.byteCount) / seconds / 1e6)) MB per CPU-second")
        }
        let lookups = RunLookups(
            operatorName: "count", states: ["total"], blockBytesMax: blockBytes, filterBytesMax: filterBytes)
        try lookups.use(set)
        let verdicts = [
            try look(lookups, "rows that are there", areThere: true),
            try look(lookups, "rows that are not there", areThere: false),
        ]
        if runs > 1 { try merge(set, disk) }
        if verdicts.contains(false) { throw ExitCode.failure }
    }

    /// Rows in order: the key group, then an even number as `KeyEncoder` writes it; 10 bytes. Values have 30.
    private func write(_ number: Int, _ disk: LocalFileSystem) throws -> Run {
        let (rows, state) = (rows, state)
        let part = StatePart(state) { writer in
            var row = [UInt8](repeating: 0, count: 10)
            var value = [UInt8](repeating: 0, count: 30)
            for index in 0..<rows {
                Self.put(index, of: rows, odd: false, into: &row)
                for place in 0..<8 { value[place] = UInt8(truncatingIfNeeded: index &>> (place &* 8)) }
                value[8] = UInt8(number)
                try row.withUnsafeBytes { row in try value.withUnsafeBytes { try writer.add(key: row, value: $0) } }
            }
        }
        let path = "\(directory)/\(number).segment"
        let target = RunTarget(
            path: path, listedAs: path, operators: ["count"], subtask: 0, sequence: Int64(number + 1))
        guard let run = try Run.write([part], to: target, fileSystem: disk) else {
            throw ValidationError("give at least one row")
        }
        return run
    }

    private static func put(_ index: Int, of rows: Int, odd: Bool, into row: inout [UInt8]) {
        let group = index * keyGroups / rows
        row[0] = UInt8(group >> 8)
        row[1] = UInt8(group & 255)
        let number = UInt64(index * 2 + (odd ? 1 : 0)) ^ (1 << 63)
        for place in 0..<8 { row[2 + place] = UInt8(truncatingIfNeeded: number >> UInt64(56 - place * 8)) }
    }

    /// The best of three rounds, each after the one before has brought in the filters.
    private func look(_ lookups: RunLookups, _ what: String, areThere: Bool) throws -> Bool {
        let buffer = RowBuffer()
        var row = [UInt8](repeating: 0, count: 10)
        var random: UInt64 = 42
        var best = 0.0
        for _ in 0..<3 {
            let before = ProcessUsage()
            for _ in 0..<self.lookups {
                random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                Self.put(Int((random >> 33) % UInt64(rows)), of: rows, odd: !areThere, into: &row)
                let isThere = try row.withUnsafeBytes { try lookups.find(0, row: $0, into: buffer) }
                guard isThere == areThere else { throw ValidationError("a lookup found what is not there, or not") }
            }
            best = max(best, Double(self.lookups) / (ProcessUsage().cpuSeconds - before.cpuSeconds))
        }
        let (hits, misses) = lookups.cacheCounts
        print(
            "FLIP-50 \(best >= Self.lookupsPerSecondMin ? "holds " : "MISSED")  \(what): "
                + "\(Int(best)) lookups per CPU-second; blocks read so far \(misses), in memory \(hits), "
                + "\(lookups.bytesUsed >> 20) MiB")
        return best >= Self.lookupsPerSecondMin
    }

    private func merge(_ set: RunSet, _ disk: LocalFileSystem) throws {
        let path = "\(directory)/merged.segment"
        let target = RunTarget(path: path, listedAs: path, operators: ["count"], subtask: 0, sequence: Int64(runs))
        let before = ProcessUsage()
        let merge = try RunMerge(set.runs, isOldest: true, to: target, fileSystem: disk)
        while try merge.step(bytesMax: 1 << 20) {}
        let seconds = ProcessUsage().cpuSeconds - before.cpuSeconds
        let rate = rounded(Double(set.byteCount) / seconds / 1e6)
        print("       merged \(set.byteCount >> 20) MiB at \(rate) MB per CPU-second")
    }

    private func rounded(_ number: Double) -> Double { (number * 10).rounded() / 10 }
}
