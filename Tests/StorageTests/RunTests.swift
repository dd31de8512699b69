// SPDX-License-Identifier: Apache-2.0
//  Runs give what was put into them, whatever is merged meanwhile (FLIP-50 s3 to s5).

import Testing
import ThalwegBase
import ThalwegTesting

@testable import ThalwegStorage

@Suite struct RunTests {
    @Test(arguments: 0..<60) func runsEqualADictionary(seed: UInt64) throws {
        var life = RunLife(seed: seed)
        try life.live(300)
        #expect(life.merges > 0, "seed \(seed) merges nothing")
        try life.end()
    }

    private func run(
        _ disk: any FileSystem, _ path: String, _ sequence: Int64, _ entries: [KindEntry],
        options: SegmentOptions = .run
    ) throws -> Run {
        let part = StatePart(descriptor("op", "m", .map)) { writer in for entry in entries { try writer.add(entry) } }
        let target = RunTarget(
            path: path, listedAs: "x/" + path, operators: ["op"], subtask: 0, sequence: sequence, options: options)
        return try #require(try Run.write([part], to: target, fileSystem: disk))
    }

    private func target(_ path: String, _ sequence: Int64, options: SegmentOptions = .run) -> RunTarget {
        RunTarget(
            path: path, listedAs: "x/" + path, operators: ["op"], subtask: 0, sequence: sequence, options: options)
    }

    private func rows(_ range: Range<Int>, value: Int = 0) -> [KindEntry] {
        range.map { index in
            let row = keyed(index / 100, index)
            return KindEntry(key: row + [1], value: [UInt8(truncatingIfNeeded: index + value)], rowBytes: row.count)
        }
    }

    // MARK: Damage

    /// Every byte of a small run: whoever looks gets an error that names the file, or what was written.
    @Test(arguments: [0, 1]) func everyByteCounts(level: Int32) throws {
        var random = SeededRandom(seed: 8)
        let disk = MemoryFileSystem()
        var options = SegmentOptions.run
        options.blockBytes = 150
        options.compressionLevel = level
        let entries = random.layer(40, isMap: true)
        let run = try run(disk, "r", 1, entries, options: options)
        let expected = NaiveLayers(layers: [entries]).merged
        let rows = Set(entries.map { Array($0.key[..<$0.rowBytes]) })
        let faulty = FaultyFileSystem(disk, DiskFaults())
        var refused = 0
        for place in 0..<UInt64(run.byteCount) {
            faulty.faults.damaged = ["r": [place: UInt8(1) << UInt8(place % 8)]]
            do {
                let lookups = RunLookups(operatorName: "op", states: ["m"], blockBytesMax: 9999, filterBytesMax: 9999)
                try lookups.use(RunSet([try Run(run.file, at: "r", fileSystem: faulty)]))
                let buffer = RowBuffer()
                for row in rows {
                    _ = try row.withUnsafeBytes { try lookups.find(0, row: $0, into: buffer) }
                    let found = (0..<buffer.count).map { (row + Array(buffer.suffix($0)), Array(buffer.value($0))) }
                    #expect(isEqual(found, expected.filter { $0.key.starts(with: row) }), "byte \(place)")
                }
                for isDescending in [false, true] {
                    let range = lookups.entries(0, isDescending: isDescending)
                    var found: [Entry] = []
                    while try range.next() { found.append((Array(range.key), Array(range.value))) }
                    #expect(isEqual(isDescending ? found.reversed() : found, expected), "byte \(place)")
                }
            } catch let error as ThalwegError {
                refused += 1
                #expect(error.kind == .corrupt && error.detail?.contains("file r") == true, "\(error)")
            }
        }
        #expect(refused > Int(run.byteCount) / 2)
    }

    // MARK: Walks

    /// A walk that is told where to go stands at the first key that is not before it.
    @Test(arguments: 0..<20) func walksAdvanceToKeys(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let disk = MemoryFileSystem()
        let (old, new) = (random.layer(60, isMap: true), random.layer(60, isMap: true))
        let expected = NaiveLayers(layers: [new, old]).merged
        let lookups = RunLookups(operatorName: "op", states: ["m"], blockBytesMax: 0, filterBytesMax: 0)
        try lookups.use(RunSet([try run(disk, "old", 1, old), try run(disk, "new", 2, new)]))
        let walk = lookups.entries(0)
        let wanted = (old + new).map(\.key).filter { _ in random.below(3) == 0 }
            .sorted { $0.lexicographicallyPrecedes($1) }
        for key in wanted {
            let next = expected.first { !$0.key.lexicographicallyPrecedes(key) }
            let isThere = try key.withUnsafeBytes { try walk.advance(to: $0) }
            #expect(isThere == (next?.key == key), "seed \(seed)")
            #expect(Array(walk.key) == next?.key ?? [], "seed \(seed)")
        }
    }

    /// A file says which panes it has, a state as a whole does not.
    @Test func aFileKnowsItsPanes() {
        var state = descriptor("op", "panes", .pane)
        state.paneStarts = [-700, 0, 700]
        #expect(state.paneStarts == [-700, 0, 700])
        #expect(state.ofAllFiles == descriptor("op", "panes", .pane))
        for text in ["", "1 x", "2 1", "1 1"] {
            state.properties[StateDescriptor.paneStartsName] = text
            #expect(state.paneStarts == nil, "\(text)")
        }
    }

    // MARK: Merges

    @Test func tombstonesGoWithTheOldest() throws {
        let disk = MemoryFileSystem()
        let old = try run(disk, "old", 1, rows(0..<10))
        let row = keyed(0, 3)
        let new = try run(
            disk, "new", 2,
            [
                KindEntry(kind: .tombstone, key: keyed(0, 2) + [1], rowBytes: 10),
                KindEntry(kind: .rowTombstone, key: row, rowBytes: 10),
            ])
        let kept = try RunMerge([new], isOldest: false, to: target("kept", 2), fileSystem: disk)
        #expect(try !kept.step())
        #expect(kept.result?.footer.tombstones == 2 && kept.result?.footer.entries == 2)
        let all = try RunMerge([new, old], isOldest: true, to: target("all", 2), fileSystem: disk)
        #expect(try !all.step())
        #expect(all.result?.footer.tombstones == 0 && all.result?.footer.entries == 8)
        let none = try RunMerge([new], isOldest: true, to: target("none", 2), fileSystem: disk)
        #expect(try !none.step())
        #expect(none.result == nil && disk["none"] == nil)
    }

    /// What has expired goes, and does not come back from below.
    @Test func whatTheFilterRefusesGoes() throws {
        let disk = MemoryFileSystem()
        let run = try run(disk, "a", 4, rows(0..<100))
        let filter: (StateDescriptor) -> RunMerge.Filter? = { state in
            state.name == "m" ? { _, value in value[0] % 2 == 0 } : nil
        }
        let above = try RunMerge([run], isOldest: false, to: target("b", 4), fileSystem: disk, filter: filter)
        #expect(try !above.step())
        #expect(above.result?.footer.entries == 100 && above.result?.footer.tombstones == 50)
        let oldest = try RunMerge([run], isOldest: true, to: target("c", 4), fileSystem: disk, filter: filter)
        #expect(try !oldest.step())
        #expect(oldest.result?.footer.entries == 50 && oldest.result?.footer.tombstones == 0)
        let clipped = try RunMerge([run], isOldest: true, to: target("d", 4), fileSystem: disk, keyGroups: 1..<2)
        #expect(try !clipped.step())
        #expect(clipped.result == nil)
    }

    @Test func aMergeGoesInSteps() throws {
        let disk = MemoryFileSystem()
        let runs = try (1...3).reversed().map { try run(disk, "r\($0)", Int64($0), rows(0..<1000, value: $0)) }
        let merge = try RunMerge(runs, isOldest: true, to: target("m", 3), fileSystem: disk)
        var steps = 1
        while try merge.step(bytesMax: 1300) { steps += 1 }
        #expect(steps == 11)
        let merged = try #require(merge.result)
        let reader = try merged.reader()
        try reader.verify()
        #expect(try reader.cursor(state: 0).allKinds() == rows(0..<1000, value: 3))
        #expect(merged.file.sequence == 3 && merged.file.path == "x/m" && merged.file.entries == 1000)
    }

    /// A disk that is full at any byte, a cancel, and letting go leave no file.
    @Test func whatFailsLeavesNothing() throws {
        let disk = MemoryFileSystem()
        let runs = [try run(disk, "b", 2, rows(0..<400, value: 1)), try run(disk, "a", 1, rows(0..<400))]
        let faulty = FaultyFileSystem(disk, DiskFaults())
        var options = SegmentOptions.run
        options.blockBytes = 500
        let whole = try RunMerge(runs, isOldest: true, to: target("m", 2, options: options), fileSystem: disk)
        #expect(try !whole.step() && disk.paths == ["a", "b", "m"])
        let byteCount = Int(try #require(whole.result).byteCount)
        disk["m"] = nil
        for space in stride(from: 0, to: byteCount, by: byteCount / 11) {
            faulty.faults.spaceBytes = space
            let merge = try RunMerge(runs, isOldest: true, to: target("m", 2, options: options), fileSystem: faulty)
            let error = #expect(throws: ThalwegError.self) { while try merge.step(bytesMax: 500) {} }
            #expect(error?.kind == .retry && error?.primary == "the disk is full", "\(space)")
            #expect(disk.paths == ["a", "b"] && merge.result == nil)
            let part = StatePart(descriptor("op", "m", .map)) { [self] writer in
                for entry in rows(0..<900) { try writer.add(entry) }
            }
            let flush = #expect(throws: ThalwegError.self) {
                try Run.write([part], to: target("f", 3, options: options), fileSystem: faulty)
            }
            #expect(flush?.kind == .retry && disk.paths == ["a", "b"])
        }
        faulty.faults = DiskFaults()
        var left = 5
        let cancelled = try RunMerge(
            runs, isOldest: true, to: target("m", 2, options: options), fileSystem: disk,
            isCancelled: {
                left -= 1
                return left == 0
            })
        #expect(throws: CancellationError.self) { while try cancelled.step(bytesMax: 500) {} }
        #expect(disk.paths == ["a", "b"])
        do {
            let dropped = try RunMerge(runs, isOldest: true, to: target("m", 2), fileSystem: disk)
            #expect(try dropped.step(bytesMax: 500))
        }
        #expect(disk.paths == ["a", "b"])
    }

    // MARK: Reads

    /// A lookup reads one block, and with filters none for rows that are not there.
    @Test func lookupsReadWhatTheyMust() throws {
        let disk = MemoryFileSystem()
        let even = try run(disk, "even", 1, rows(0..<20_000).filter { $0.key[9] % 2 == 0 })
        let lookups = RunLookups(operatorName: "op", states: ["m"], blockBytesMax: 1 << 20, filterBytesMax: 1 << 20)
        try lookups.use(RunSet([even]))
        let buffer = RowBuffer()
        for index in stride(from: 0, to: 20_000, by: 2) {
            let isThere = try keyed(index / 100, index).withUnsafeBytes { try lookups.find(0, row: $0, into: buffer) }
            #expect(isThere && buffer.count == 1 && buffer.value(0).count == 1)
        }
        let blocks = even.footer.blockCount
        let first = lookups.cacheCounts
        #expect(first.misses == blocks && (0..<100).contains(first.hits + first.misses - 10_000))
        for index in stride(from: 1, to: 20_000, by: 2) {
            _ = try keyed(index / 100, index).withUnsafeBytes { try lookups.find(0, row: $0, into: buffer) }
            #expect(buffer.count == 0)
        }
        let asked = lookups.cacheCounts.hits + lookups.cacheCounts.misses - first.hits - first.misses
        #expect(asked < 400, "at most 4 of 100 misses may look into a block: \(asked)")
    }

    @Test(arguments: 0..<20) func theCacheKeepsItsBudget(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let bytesMax = random.below(40_000)
        let cache = BlockCache(bytesMax: bytesMax)
        var largest = 0
        for _ in 0..<3000 {
            let key = UInt64(random.below(60)) | UInt64(random.below(3)) << 32
            let count = 100 + Int(key % 50) * 97
            largest = max(largest, count + 256)
            if random.below(50) == 0 {
                #expect(throws: CancellationError.self) {
                    _ = try cache.block(.max - 1, capacity: count) { _ in throw CancellationError() }
                }
            }
            let bytes = try cache.block(key, capacity: count) { memory in
                for index in 0..<count { memory[index] = UInt8(truncatingIfNeeded: Int(key) &* 31 &+ index) }
                return 3..<count
            }
            let isRight =
                bytes.count == count - 3
                && bytes.indices.allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: Int(key) &* 31 &+ $0 &+ 3) }
            #expect(isRight)
            #expect(cache.bytesUsed <= max(bytesMax, largest * 2))
        }
        #expect(cache.isSound && cache.hits > 0 && cache.misses > 0)
    }
}
