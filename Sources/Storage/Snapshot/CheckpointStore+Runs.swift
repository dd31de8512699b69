// SPDX-License-Identifier: Apache-2.0
//  Files that tasks write between checkpoints, in the directory of the checkpoints that will refer to them.

import Synchronization
import ThalwegBase

extension CheckpointStore {
    /// The directory of such files, below the root.
    static let runDirectory = "shared"

    /// Writes states as a run, without waiting for the disk: ``syncRun(_:)`` makes it durable.
    ///
    /// - Parameters:
    ///   - path: relative to the root, one that no file has: see ``RunNames``.
    ///   - filteredRows: for how many rows a filter is kept in memory; nil: none.
    ///   - blockBytes: see ``SegmentOptions``; nil: as it is for runs.
    /// - Returns: nil when there are no entries; then there is no file either.
    public func writeRun(
        _ path: String, operators: [String], subtask: Int, sequence: Int64, parts: [StatePart], filteredRows: Int?,
        blockBytes: Int? = nil
    ) throws -> Run? {
        var target = RunTarget(
            path: root + "/" + path, listedAs: path, operators: operators, subtask: subtask, sequence: sequence,
            filteredRows: filteredRows)
        if let blockBytes { target.options.blockBytes = blockBytes }
        return try Run.write(parts, to: target, fileSystem: fileSystem)
    }

    /// Makes a file that was written here survive a loss of power, but for its name: ``complete(_:)`` sees to that.
    public func syncRun(_ path: String) throws { try fileSystem.syncFile(root + "/" + path) }

    /// Opens a run for looking up rows.
    public func run(_ file: SegmentFile) throws -> Run {
        try Run(file, at: root + "/" + file.path, fileSystem: fileSystem)
    }

    /// Begins to make one run of several, newest first.
    ///
    /// - Parameters:
    ///   - path: of the new run, relative to the root.
    ///   - isOldest: whether nothing lies below them.
    ///   - filteredRows: for how many rows a filter is kept in memory; nil: none.
    ///   - blockBytes: see ``SegmentOptions``.
    public func merge(
        _ runs: [Run], isOldest: Bool, as path: String, operators: [String], subtask: Int, keyGroups: Range<Int>,
        filteredRows: Int?, blockBytes: Int, filter: @escaping (StateDescriptor) -> RunMerge.Filter?
    ) throws -> RunMerge {
        var target = RunTarget(
            path: root + "/" + path, listedAs: path, operators: operators, subtask: subtask,
            sequence: runs.first?.sequence ?? 0, filteredRows: filteredRows)
        target.options.blockBytes = blockBytes
        return try RunMerge(
            runs, isOldest: isOldest, to: target, fileSystem: fileSystem, keyGroups: keyGroups, filter: filter)
    }

    /// Opens a file that was written here.
    public func open(_ file: SegmentFile) throws -> SegmentReader {
        try Snapshot.open(root + "/" + file.path, file, fileSystem)
    }

    /// Copies a file of the store into the directory of a checkpoint, durably but for its name.
    public func copy(_ file: SegmentFile, into checkpoint: Int64) throws -> SegmentFile {
        let name = file.path.split(separator: "/").last.map { $0.dropLast(Self.segmentEnding.count) } ?? "copy"
        var copy = file
        // Files of several checkpoints may have one name.
        copy.path = try newPath(checkpoint, String(name))
        try takeIn(root + "/" + file.path, as: copy.path)
        return copy
    }

    /// Copies a file from anywhere on the same disk into the store, durably but for its name.
    ///
    /// - Parameter path: relative to the root.
    public func takeIn(_ file: String, as path: String) throws {
        let source = try fileSystem.open(file)
        let output = try fileSystem.create(root + "/" + path)
        defer { output.close() }
        let buffer = GrowingBuffer(capacity: 256 << 10)
        var offset: UInt64 = 0
        while true {
            let count = try source.read(at: offset, into: buffer.room(buffer.capacity))
            if count == 0 { break }
            try output.write(buffer.bytes(count))
            offset += UInt64(count)
        }
        try output.sync()
    }

    /// Removes a file that nobody refers to.
    public func removeRun(_ path: String) { fileSystem.remove(root + "/" + path) }

    /// Removes the whole store.
    public func removeAll() { try? fileSystem.removeTree(root) }

    /// Has no name given out that a file has. While nobody else writes here.
    public func skipTaken(_ names: RunNames) throws {
        let directory = root + "/" + Self.runDirectory
        let files = fileSystem.isDirectory(directory) ? try fileSystem.names(in: directory) : []
        let taken = files.compactMap { $0.split(separator: "-").first.flatMap { Int($0) } }
        names.skip(to: taken.max() ?? 0)
    }

    /// Names for runs, none of which a file has.
    public func runNames() throws -> RunNames {
        let names = RunNames()
        try skipTaken(names)
        return names
    }

    /// Removes the runs that no checkpoint refers to: those of a process that has ended.
    func removeRuns(except referenced: Set<String>) throws {
        let directory = root + "/" + Self.runDirectory
        guard fileSystem.isDirectory(directory) else { return }
        for name in try fileSystem.names(in: directory)
        where Self.isOurs(name) && !referenced.contains(Self.runDirectory + "/" + name) {
            try fileSystem.removeFile(directory + "/" + name)
        }
    }
}

/// Gives out paths for runs, each once; shared by all threads.
public final class RunNames: Sendable {
    private let last = Atomic(0)

    public init() {}

    /// Goes on after a number.
    func skip(to number: Int) { _ = last.max(number, ordering: .relaxed) }

    /// A path relative to the root.
    public func next(_ name: String) -> String {
        let number = last.wrappingAdd(1, ordering: .relaxed).newValue
        return CheckpointStore.runDirectory + "/" + CheckpointStore.fileName("\(number)-\(name)")
    }
}
