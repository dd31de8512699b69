// SPDX-License-Identifier: Apache-2.0
//  The runs of a subtask beside a dictionary that says what they should hold.

import Synchronization
import Testing
import ThalwegBase

@testable import ThalwegStorage

/// Files that are removed when nobody holds them any more.
final class Shelf: Sendable {
    let disk: any FileSystem
    private let holders = Guarded<[String: Int]>([:])

    init(_ disk: any FileSystem) { self.disk = disk }

    var paths: [String] { holders.withLock { $0.keys.sorted() } }

    func hold(_ path: String) -> @Sendable (String) -> Void {
        holders.withLock { $0[path, default: 0] += 1 }
        return { [self] path in
            let isLast = holders.withLock { holders in
                let left = (holders[path] ?? 1) - 1
                holders[path] = left > 0 ? left : nil
                return left == 0
            }
            if isLast { disk.remove(path) }
        }
    }
}

/// A range that was opened, with what it must still give.
private struct OpenRange {
    let entries: RunEntries
    var expected: ArraySlice<Entry>
}

/// One life of an operator's state, a function of its seed: a map with rows of several entries, and a value with one.
struct RunLife {
    private static let states = ["m", "v"]
    private var random: SeededRandom
    private let shelf: Shelf
    private let disk = MemoryFileSystem()
    private var twin: [[[UInt8]: [UInt8]]] = [[:], [:]]
    private var runs = RunSet()
    private var lookups: RunLookups
    private var merge: (merge: RunMerge, runs: [Run], target: RunTarget)?
    private var ranges: [OpenRange] = []
    private var fileNumber = 0
    private let buffer = RowBuffer()
    private(set) var merges = 0

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        shelf = Shelf(disk)
        lookups = Self.lookups(&random)
    }

    private static func lookups(_ random: inout SeededRandom) -> RunLookups {
        RunLookups(
            operatorName: "op", states: states, blockBytesMax: [0, 600, 20_000][random.below(3)],
            filterBytesMax: [0, 300, 100_000][random.below(3)])
    }

    mutating func live(_ operations: Int) throws {
        for _ in 0..<operations {
            switch random.below(20) {
            case 0, 1: try flush()
            case 2, 3: try mergeOn()
            case 4: try restart()
            case 5 where random.below(4) == 0: try rescale()
            case 6, 7, 8: try openRange()
            case 9, 10, 11: try readRange()
            default: try look()
            }
        }
        while !ranges.isEmpty { try readRange() }
    }

    /// At the end: all that is held is there, and nothing else.
    mutating func end() throws {
        dropMerge()
        #expect(disk.paths == shelf.paths)
        #expect(disk.paths == runs.runs.map(\.path).sorted())
        runs = RunSet()
        try lookups.use(runs)
        #expect(disk.paths.isEmpty)
    }

    private mutating func target(_ sequence: Int64) -> RunTarget {
        fileNumber += 1
        var options = SegmentOptions.run
        options.blockBytes = [1, 50, 300, 4096][random.below(4)]
        options.compressionLevel = Int32(random.below(2))
        options.hasFilters = random.below(4) > 0
        let path = "spill/\(fileNumber).segment"
        return RunTarget(
            path: path, listedAs: path, operators: ["op"], subtask: 0, sequence: sequence, options: options,
            onRelease: shelf.hold(path))
    }

    // MARK: Changes

    private mutating func flush() throws {
        var parts: [StatePart] = []
        for (state, name) in Self.states.enumerated() {
            let entries = random.layer(1 + random.below(40), isMap: name == "m")
            for entry in entries where entry.kind == .rowTombstone {
                twin[state] = twin[state].filter { !$0.key.starts(with: entry.key) }
            }
            for entry in entries where entry.kind != .rowTombstone {
                twin[state][entry.key] = entry.kind == .put ? entry.value : nil
            }
            let kind: StateKind = name == "m" ? .map : .value
            parts.append(
                StatePart(descriptor("op", name, kind)) { writer in
                    for entry in entries { try writer.add(entry) }
                })
        }
        let target = target(runs.nextSequence)
        runs.add(try #require(try Run.write(parts, to: target, fileSystem: disk)))
        try lookups.use(runs)
    }

    private mutating func mergeOn() throws {
        if let (merge, merged, target) = merge {
            if try merge.step(bytesMax: random.below(20_000)) { return }
            runs.replace(merged, with: merge.result)
            if merge.result == nil { target.onRelease?(target.path) }
            self.merge = nil
            merges += 1
            try lookups.use(runs)
            return
        }
        guard runs.runs.count > 1 else { return }
        let start = random.below(runs.runs.count - 1)
        let chosen = Array(runs.runs[start..<(start + 2 + random.below(runs.runs.count - start - 1))])
        let target = target(chosen[0].sequence)
        merge = (
            try RunMerge(chosen, isOldest: runs.isOldest(chosen), to: target, fileSystem: disk), chosen, target
        )
    }

    /// A merge that is not over leaves nothing.
    private mutating func dropMerge() {
        guard let target = merge?.target else { return }
        merge = nil
        target.onRelease?(target.path)
    }

    private mutating func restart() throws {
        dropMerge()
        try reopen { $0 }
    }

    /// Only a part of the key groups goes on.
    private mutating func rescale() throws {
        dropMerge()
        let groups = random.below(2)..<(3 + random.below(2))
        twin = twin.map { $0.filter { groups.contains(Int($0.key[1])) } }
        try reopen { file in
            var file = file
            file.keyGroups = file.keyGroups.map { $0.clamped(to: groups) } ?? groups
            return file
        }
    }

    private mutating func reopen(_ change: (SegmentFile) -> SegmentFile) throws {
        runs = RunSet(
            try runs.runs.map {
                try Run(change($0.file), at: $0.path, fileSystem: disk, onRelease: shelf.hold($0.path))
            }.shuffled(using: &random))
        lookups = Self.lookups(&random)
        try lookups.use(runs)
    }

    // MARK: Questions

    private mutating func look() throws {
        let state = random.below(2)
        let row = random.row(groups: 4, rows: 6)
        let expected = twin[state].filter { $0.key.starts(with: row) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        let isThere = try row.withUnsafeBytes { try lookups.find(state, row: $0, into: buffer) }
        #expect(isThere == !expected.isEmpty)
        let found = (0..<buffer.count).map { (key: row + Array(buffer.suffix($0)), value: Array(buffer.value($0))) }
        #expect(isEqual(found, expected.map { ($0.key, $0.value) }), "row \(row) of state \(state)")
    }

    private mutating func openRange() throws {
        let state = random.below(2)
        let layer = twin[state].keys.sorted { $0.lexicographicallyPrecedes($1) }
            .map { KindEntry(key: $0, rowBytes: $0.count) }
        let (from, to) = (random.bound([layer]), random.bound([layer]))
        var expected = twin[state].sorted { $0.key.lexicographicallyPrecedes($1.key) }.filter { entry in
            from.map { !entry.key.lexicographicallyPrecedes($0) } ?? true
                && to.map { entry.key.lexicographicallyPrecedes($0) } ?? true
        }
        let isDescending = random.below(2) == 0
        if isDescending { expected.reverse() }
        let entries = lookups.entries(state, from: from, to: to, isDescending: isDescending)
        ranges.append(OpenRange(entries: entries, expected: expected.map { ($0.key, $0.value) }[...]))
    }

    /// Reads on in a range that may have been opened long ago: to its end, or a part of it.
    private mutating func readRange() throws {
        guard !ranges.isEmpty else { return }
        let index = random.below(ranges.count)
        for _ in 0..<(random.below(3) == 0 ? Int.max : random.below(20)) {
            guard try ranges[index].entries.next() else {
                #expect(ranges[index].expected.isEmpty, "a range ended early")
                ranges.remove(at: index)
                return
            }
            let entry = try #require(ranges[index].expected.first, "a range went on too long")
            ranges[index].expected.removeFirst()
            #expect(Array(ranges[index].entries.key) == entry.key && Array(ranges[index].entries.value) == entry.value)
        }
    }
}
