// SPDX-License-Identifier: Apache-2.0
//  `thalweg-bench check snapshots`: what it costs to make, read and repair a large snapshot (41.d5, 43.d2, 43.d4, 43.d5).

import ArgumentParser
import Foundation
import Thalweg
import ThalwegSavepoint

/// Makes a savepoint of many keys, looks keys up in it, reads a part of its key groups and repairs one entry. Fails when
/// a limit is missed.
struct SnapshotsCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshots", abstract: "Measure a large savepoint: making, reading and repairing it.")

    @Option(help: "How many keys the savepoint has, of 58 bytes each that cannot be compressed.")
    var keys: Int64 = 10_000_000
    @Option(help: "The directory for savepoints.") var directory = "snapshots-measured"

    private static let state = "row"
    private static let step = "bench"

    func validate() throws {
        guard keys >= 1000 else { throw ValidationError("--keys must be at least 1,000") }
    }

    func run() async throws {
        let disk = LocalFileSystem()
        try disk.removeTree(directory)
        try disk.makeDirectory(directory)
        let path = directory + "/large"
        var verdicts = try make(path)
        verdicts += try lookUp(path)
        verdicts += try readPart(path)
        verdicts += try repair(path)
        try disk.removeTree(directory)
        if verdicts.contains(false) { throw ExitCode.failure }
    }

    private func report(_ check: String, _ text: String, holds: Bool) -> [Bool] {
        print("\(check)  \(holds ? "holds " : "MISSED")  \(text)")
        return [holds]
    }

    /// The keys are spread, so that they do not come in the order in which they are stored.
    private func make(_ path: String) throws -> [Bool] {
        let (before, start) = (ProcessUsage(), MonotonicTime.now)
        var writer = try SavepointWriter(maxParallelism: 128, timeMilliseconds: 0)
        let keys = keys
        try writer.load(Self.state, in: Self.step, as: Int64.self, TiersCheck.Increment.Row.self) { add in
            for number in 0..<keys { try add(number &* 7_919 % keys, TiersCheck.Increment.Row(number)) }
        }
        try writer.write(to: path)
        let (after, seconds) = (ProcessUsage(), start.secondsSince)
        let cpu = after.cpuSeconds - before.cpuSeconds
        let grown = after.peakMemoryBytes - before.peakMemoryBytes
        print(
            "       \(keys) keys, \(try bytes(of: path) >> 20) MiB: \(thousands(Double(keys) / cpu)) keys per CPU-second"
        )
        return report(
            "43.d2", "bootstrap: \(thousands(Double(keys) / seconds)) keys a second, peak +\(grown >> 20) MiB",
            holds: Double(keys) / seconds >= 300_000 && grown < (2 << 30))
    }

    // MARK: Reading

    private func lookUp(_ path: String) throws -> [Bool] {
        let count = 50
        var milliseconds: [Double] = []
        var bytesMost = 0
        var found = 0
        for number in 0..<Int64(count) {
            let key = Item(number, keys: UInt64(keys)).key
            let (read, start) = (try readBytes(), MonotonicTime.now)
            // A tool opens the snapshot for each of its calls.
            let reader = try SavepointReader(path)
            let entry = try reader.entries(of: Self.state, in: Self.step, where: .key(.integer(key))).next()
            milliseconds.append(start.secondsSince * 1000)
            bytesMost = max(bytesMost, try readBytes() - read)
            if entry?.key == .integer(key) { found += 1 }
        }
        let most = milliseconds.max() ?? .infinity
        return report(
            "43.d5",
            "\(found) of \(count) keys found by opening the savepoint and looking up: at most \(rounded(most)) ms "
                + "(median \(rounded(milliseconds.sorted()[count / 2]))) and \(bytesMost >> 10) KiB read",
            holds: found == count && most < 100 && bytesMost < (64 << 20))
    }

    /// A thirty-second of the key groups.
    private func readPart(_ path: String) throws -> [Bool] {
        let groups = 40..<44
        let (read, start) = (try readBytes(), MonotonicTime.now)
        let reader = try SavepointReader(path)
        let entries = try reader.entries(of: Self.state, in: Self.step, where: .keyGroups(groups))
        var (count, last, isOrdered, isWanted) = (0, (group: -1, key: Int64.min), true, true)
        while let entry = try entries.next() {
            guard let group = entry.keyGroup, case .integer(let key)? = entry.key else { continue }
            isOrdered = isOrdered && (last.group, last.key) < (group, key)
            isWanted = isWanted && groups.contains(group)
            last = (group, key)
            count += 1
        }
        let bytes = try readBytes() - read
        let all = try self.bytes(of: path)
        let files = reader.metadata.files.count
        return report(
            "41.d5",
            "1/32 of the key groups: \(bytes >> 10) KiB read of \(all >> 10) KiB in \(files) file(s), "
                + "\(count) entries in order, \(rounded(start.secondsSince)) s",
            holds: bytes <= all / 32 + (files << 20) && isOrdered && isWanted && count > 0)
    }

    // MARK: Repair

    private func repair(_ path: String) throws -> [Bool] {
        let copy = directory + "/repaired"
        let (read, written, start) = (try readBytes(), try writtenBytes(), MonotonicTime.now)
        let reader = try SavepointReader(path)
        guard
            let entry = try reader.entries(of: Self.state, in: Self.step, where: .key(.integer(keys / 2))).next(),
            case .record(var fields)? = entry.value
        else { throw ValidationError("the key is not there") }
        fields[0].value = .integer(42)
        var writer = SavepointWriter(reader)
        try writer.set(.record(fields), at: entry.place, of: Self.state, in: Self.step)
        try writer.write(to: copy)
        let seconds = start.secondsSince
        let moved = (read: try readBytes() - read, written: try writtenBytes() - written)
        let differences = try reader.differences(to: try SavepointReader(copy))
        let changed = differences.reduce(0) { $0 + $1.changed }
        let others = differences.count { $0.added > 0 || $0.removed > 0 || $0.reason != nil }
        let all = try bytes(of: path)
        return report(
            "43.d4",
            "one value set in \(rounded(seconds)) s: \(moved.read >> 20) MiB read and \(moved.written >> 20) MiB "
                + "written of \(all >> 20), \(changed) entry differs",
            // A key group is a 128th of all; what is not touched is linked, not copied.
            holds: changed == 1 && others == 0 && moved.written <= all / 64 + (1 << 20))
    }

    // MARK: Figures

    private func bytes(of path: String) throws -> Int {
        let files = FileManager.default.enumerator(atPath: path)
        var sum = 0
        while let file = files?.nextObject() as? String {
            let attributes = try FileManager.default.attributesOfItem(atPath: path + "/" + file)
            if attributes[.type] as? FileAttributeType == .typeRegular { sum += attributes[.size] as? Int ?? 0 }
        }
        return sum
    }

    private func readBytes() throws -> Int { try ioCounter("rchar:") }
    private func writtenBytes() throws -> Int { try ioCounter("wchar:") }

    /// What the process has asked the system for, from disk or from memory.
    private func ioCounter(_ name: String) throws -> Int {
        let lines = try String(contentsOfFile: "/proc/self/io", encoding: .ascii).split(separator: "\n")
        let line = lines.first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.dropFirst(name.count).trimmingCharacters(in: .whitespaces)) } ?? 0
    }

    private func thousands(_ number: Double) -> String { "\(Int(number / 1000)) K" }
    private func rounded(_ number: Double) -> Double { (number * 100).rounded() / 100 }
}
