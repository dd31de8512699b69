// SPDX-License-Identifier: Apache-2.0
//  Puts entries in order that do not fit into memory.

import ThalwegBase
import ThalwegData

/// An external sort: what is added is sorted in memory, written as a run when that is full, and merged at the end.
///
///     let sorter = EntrySorter(directory: "out/.sort", fileSystem: disk)
///     defer { sorter.remove() }
///     try sorter.add(key: key, value: value)
///     try sorter.forEach { key, value in … }
///
/// Memory: `runBytesMax`, and a block for each run that is merged; runs are merged as soon as there are
/// ``EntrySorter/fanIn`` of a kind, so that their number grows with the logarithm of what is added. Used by one thread.
package final class EntrySorter {
    /// The runs that are merged at once.
    package static let fanIn = 64

    private let directory: String
    private let fileSystem: any FileSystem
    private let runBytesMax: Int
    private var buffer = SortBuffer()
    /// Sorted files: of level 0 those that were written from memory, of level n those merged from level n - 1.
    private var levels: [[Run]] = []
    private var runsMade = 0
    private var isSorted = false
    /// The entries added so far.
    package private(set) var count: Int64 = 0

    private struct Run {
        let path: String
        let byteCount: Int64
    }

    private static let state = StateDescriptor(operatorName: "", name: "", kind: .value)

    /// - Parameters:
    ///   - directory: for the runs; it is made when the first one is written.
    ///   - runBytesMax: the bytes of entries that are sorted in memory, with 32 more for each.
    package init(directory: String, fileSystem: any FileSystem, runBytesMax: Int = 64 << 20) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.runBytesMax = runBytesMax
    }

    /// - Parameter key: no other entry has it.
    package func add(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) throws {
        guard key.count <= SegmentFormat.keyBytesMax, value.count <= SegmentFormat.valueBytesMax else {
            throw ThalwegError(
                .input, "an entry is too large to be stored",
                detail: "key of \(key.count) bytes, value of \(value.count) bytes",
                hint: "keys may have \(SegmentFormat.keyBytesMax) bytes, values \(SegmentFormat.valueBytesMax)")
        }
        buffer.add(key: key, value: value)
        count += 1
        if buffer.byteCount >= runBytesMax { try spill() }
    }

    /// Calls `body` with all entries in ascending order of their keys' bytes. Once; nothing is added afterwards.
    package func forEach(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard !isSorted else { throw ThalwegError(.bug, "entries are sorted twice") }
        isSorted = true
        if levels.isEmpty {
            buffer.sort()
            for index in 0..<buffer.count { try buffer.withEntry(index, body) }
            return
        }
        try spill()
        buffer = SortBuffer()
        // The small ones first, until the rest can be merged at once.
        var runs = levels.flatMap { $0 }
        levels = []
        while runs.count > Self.fanIn {
            let merged = try merge(Array(runs.prefix(Self.fanIn)))
            runs.removeFirst(Self.fanIn)
            runs.append(merged)
        }
        var merge = try merge(of: runs)
        try merge.forEach(body)
        for run in runs { fileSystem.remove(run.path) }
    }

    /// Removes the files.
    package func remove() { try? fileSystem.removeTree(directory) }

    // MARK: Runs

    private func spill() throws {
        guard buffer.count > 0 else { return }
        buffer.sort()
        let run = try write { writer in
            for index in 0..<buffer.count { try buffer.withEntry(index) { try writer.add(key: $0, value: $1) } }
        }
        buffer.removeAll()
        try add(run, to: 0)
    }

    private func add(_ run: Run, to level: Int) throws {
        while levels.count <= level { levels.append([]) }
        levels[level].append(run)
        guard levels[level].count == Self.fanIn else { return }
        let merged = try merge(levels[level])
        levels[level] = []
        try add(merged, to: level + 1)
    }

    private func merge(_ runs: [Run]) throws -> Run {
        var merge = try merge(of: runs)
        let merged = try write { writer in try merge.forEach { try writer.add(key: $0, value: $1) } }
        for run in runs { fileSystem.remove(run.path) }
        return merged
    }

    private func merge(of runs: [Run]) throws -> LayeredEntries<SegmentCursor> {
        LayeredEntries(
            try runs.map { run in
                let reader = try SegmentReader(try fileSystem.open(run.path), byteCount: run.byteCount)
                return EntryLayer(cursor: reader.cursor(state: 0), sequence: 0)
            })
    }

    private func write(_ body: (SegmentWriter) throws -> Void) throws -> Run {
        runsMade += 1
        let path = "\(directory)/run-\(runsMade)"
        let output = try fileSystem.create(path)
        defer { output.close() }
        let writer = try SegmentWriter(output, states: [Self.state])
        try writer.begin(state: 0)
        try body(writer)
        _ = try writer.finish()
        return Run(path: path, byteCount: writer.byteCount)
    }
}
