// SPDX-License-Identifier: Apache-2.0
//  A file, or a range of one, and who reads it.

import ThalwegBase
import ThalwegFormats
import ThalwegOperator
import ThalwegStorage

/// A file or a range of one; the position says where to go on.
public struct FileSplit: SourceSplit {
    public var path: String
    public var range: ReadRange

    public var id: String { range.start == 0 && range.end == nil ? path : "\(path)@\(range.start)" }

    public init(path: String, range: ReadRange = .all) {
        self.path = path
        self.range = range
    }
}

/// Finds files and gives them out: a first share to every reader, the rest to whoever asks.
public struct FileEnumerator: SplitEnumerator {
    /// The number of files that a reader reads side by side, so that event time advances in all of them together.
    public static let openMax = 16

    /// What is needed to go on after a restart.
    public struct Checkpoint: Codable, Sendable {
        public var pending: [FileSplit]
        public var seen: Set<String>
    }

    private let paths: [String]
    private let fileSystem: any FileSystem
    private let rangeBytes: Int64?
    private let interval: Duration?
    // A slice: taking the first is O(1).
    private var pending: ArraySlice<FileSplit> = []
    private var seen: Set<String> = []
    private var waiting: [Int] = []
    private var isStarted = false
    private var nextReader = 0

    init(paths: [String], fileSystem: any FileSystem, rangeBytes: Int64?, interval: Duration?) {
        self.paths = paths
        self.fileSystem = fileSystem
        self.rangeBytes = rangeBytes
        self.interval = interval
    }

    public mutating func start(_ context: inout EnumeratorContext<FileSplit>) throws {
        try find()
        isStarted = true
        let share = min(pending.count, Self.openMax * context.parallelism)
        for split in pending.prefix(share) {
            context.assign(split, to: nextReader)
            nextReader = (nextReader + 1) % context.parallelism
        }
        pending.removeFirst(share)
        tellOfEnd(&context)
        if let interval { context.callAgain(after: interval) }
    }

    private func tellOfEnd(_ context: inout EnumeratorContext<FileSplit>) {
        guard interval == nil && pending.isEmpty else { return }
        for subtask in 0..<context.parallelism { context.signalNoMoreSplits(to: subtask) }
    }

    public mutating func handleSplitRequest(from subtask: Int, _ context: inout EnumeratorContext<FileSplit>) throws {
        if pending.isEmpty {
            if interval != nil && !waiting.contains(subtask) { waiting.append(subtask) }
        } else {
            context.assign(pending.removeFirst(), to: subtask)
        }
        tellOfEnd(&context)
    }

    public mutating func discover(_ context: inout EnumeratorContext<FileSplit>) throws {
        try find()
        // Readers that wait are dealt new files in turn; the others ask when they have finished one.
        var given = 0
        while !pending.isEmpty && given < Self.openMax * waiting.count {
            context.assign(pending.removeFirst(), to: waiting[given % waiting.count])
            given += 1
        }
        waiting.removeFirst(min(given, waiting.count))
        if let interval { context.callAgain(after: interval) }
    }

    public mutating func addSplitsBack(
        _ splits: [FileSplit], from subtask: Int, _ context: inout EnumeratorContext<FileSplit>
    ) throws {
        pending = splits[...] + pending
    }

    public mutating func restore(_ checkpoint: Checkpoint) {
        pending = checkpoint.pending[...]
        seen = checkpoint.seen
    }

    public func snapshot() -> Checkpoint { Checkpoint(pending: Array(pending), seen: seen) }
    public static func unassigned(in checkpoint: Checkpoint) -> [String] { checkpoint.pending.map(\.id) }

    public var holdsBackEventTime: Bool { !isStarted || !pending.isEmpty }

    private mutating func find() throws(ThalwegError) {
        for path in paths {
            let files = try fileSystem.files(at: path)
            if files.isEmpty && interval == nil && path.contains(where: { $0 == "*" || $0 == "?" }) {
                throw ThalwegError(
                    .input, "no file matches a pattern", detail: path,
                    hint: "check the pattern; names that begin with . or _ are left out")
            }
            for file in files where !seen.contains(file.path) {
                // Only what waits has been seen: one that cannot be looked into now is found again.
                pending += try ranges(of: file)
                seen.insert(file.path)
            }
        }
    }

    /// Cuts a large file into ranges when its format allows it; a compressed one stays whole.
    private func ranges(of file: FileEntry) throws(ThalwegError) -> [FileSplit] {
        guard let rangeBytes, file.byteCount > rangeBytes, try !isCompressed(file.path) else {
            return [FileSplit(path: file.path)]
        }
        let count = (file.byteCount + rangeBytes - 1) / rangeBytes
        return (0..<count).map { index in
            FileSplit(
                path: file.path,
                range: ReadRange(
                    start: UInt64(index * rangeBytes),
                    end: index == count - 1 ? nil : UInt64((index + 1) * rangeBytes)))
        }
    }

    private func isCompressed(_ path: String) throws(ThalwegError) -> Bool {
        let source = try fileSystem.open(path)
        let head = UnsafeMutableRawBufferPointer.allocate(byteCount: 16, alignment: 1)
        defer { head.deallocate() }
        let count = try source.read(at: 0, into: head)
        return GzipByteSource.detects(UnsafeRawBufferPointer(rebasing: head[..<count]))
    }
}
