// SPDX-License-Identifier: Apache-2.0
//  Reads records from files.

import ThalwegBase
import ThalwegData
import ThalwegFormats
import ThalwegOperator
import ThalwegStorage

/// Reads files, directories and patterns of files; with `monitor` it goes on watching for new ones.
///
///     try env.read(.files("bids.jsonl", format: .json(Bid.self)), name: "bids")
///
/// Several files are read side by side, so that event time advances in all of them together and records of one are not
/// late because another was read first.
public struct FileSource<Element: Sendable>: Source {
    public typealias Split = FileSplit
    public let kind = "files"
    public let paths: [String]
    public let format: InputFormat<Element>
    let fileSystem: any FileSystem
    let interval: Duration?
    let rangeBytes: Int64?

    /// - Parameters:
    ///   - monitor: how often to look for new files; nil reads those that are there and ends.
    ///   - rangeBytes: larger files are cut into ranges of this size when the format allows it; nil never cuts.
    public init(
        _ paths: [String], format: InputFormat<Element>, monitor: Duration? = nil, rangeBytes: Int64? = nil,
        fileSystem: any FileSystem = LocalFileSystem()
    ) {
        self.paths = paths
        self.format = format
        self.fileSystem = fileSystem
        interval = monitor
        self.rangeBytes = format.isSplittable ? rangeBytes.map { max(1, $0) } : nil
    }

    public var boundedness: Boundedness { interval == nil ? .bounded : .unbounded }

    public func makeEnumerator() -> FileEnumerator {
        FileEnumerator(paths: paths, fileSystem: fileSystem, rangeBytes: rangeBytes, interval: interval)
    }

    public func makeReader(_ context: SourceReaderContext) -> FileReader<Element> {
        FileReader(format, fileSystem, paths, context)
    }
}

extension Source {
    /// Reads a file, a directory with its subdirectories, or a pattern such as `logs/*.jsonl.gz`.
    public static func files<Element: Sendable>(
        _ path: String, format: InputFormat<Element>, monitor: Duration? = nil, rangeBytes: Int64? = nil
    ) -> FileSource<Element> where Self == FileSource<Element> {
        FileSource([path], format: format, monitor: monitor, rangeBytes: rangeBytes)
    }
}

/// Reads the files assigned to one subtask side by side, a batch of each in turn.
public final class FileReader<Element>: SourceReader where Element: Sendable {
    private struct OpenFile {
        let number: Int32
        var split: FileSplit
        var reader: (any RecordReader<Element>)?
        var bytesCounted: UInt64 = 0
    }

    private let format: InputFormat<Element>
    private let fileSystem: any FileSystem
    /// What the job is to read.
    private let paths: [String]
    private let context: SourceReaderContext
    private var files: [OpenFile] = []
    private var paused: Set<Int32> = []
    private var next = 0
    private var isComplete = false
    private var hasAsked = false

    init(
        _ format: InputFormat<Element>, _ fileSystem: any FileSystem, _ paths: [String],
        _ context: SourceReaderContext
    ) {
        self.format = format
        self.fileSystem = fileSystem
        self.paths = paths
        self.context = context
    }

    public func addSplits(_ splits: [AssignedSplit<FileSplit>]) {
        files += splits.map { OpenFile(number: $0.number, split: $0.split) }
        hasAsked = false
    }

    public func noMoreSplits() { isComplete = true }
    public func pause(_ splits: Set<Int32>) { paused = splits }

    public func snapshot() -> [FileSplit] {
        files.map { file in
            var split = file.split
            if let reader = file.reader { split.range.resume = reader.position }
            return split
        }
    }

    public func close() { files = [] }

    public func poll(into batch: Batch<Element>) throws -> ReadStatus {
        guard !files.isEmpty else {
            if isComplete { return .finished }
            if !hasAsked {
                hasAsked = true
                try context.requestSplit()
            }
            return .nothing
        }
        for _ in 0..<files.count {
            if next >= files.count { next = 0 }
            if paused.contains(files[next].number) {
                next += 1
                continue
            }
            return try read(next, into: batch)
        }
        return .nothing
    }

    private func read(_ index: Int, into batch: Batch<Element>) throws -> ReadStatus {
        let reader = try files[index].reader ?? open(index)
        let count = try reader.read(into: batch.rows, positions: nil, capacity: batch.capacity) { error in
            try context.errors.handle(
                error.thalwegError, position: "\(error.source), byte \(error.byteOffset)", record: error.excerpt)
        }
        context.metrics.bytesIn.add(Int(reader.bytesConsumed - files[index].bytesCounted))
        files[index].bytesCounted = reader.bytesConsumed
        if count == 0 {
            let number = files[index].number
            files.remove(at: index)
            if !isComplete && !hasAsked {
                hasAsked = true
                try context.requestSplit()
            }
            return .splitFinished(number)
        }
        batch.count = count
        batch.split = files[index].number
        next = index + 1
        return .records
    }

    private func open(_ index: Int) throws -> any RecordReader<Element> {
        let split = files[index].split
        guard split.range.isPossible else {
            throw ThalwegError(
                .corrupt, "a split of the source cannot be read",
                detail: "\(split.path), bytes \(split.range.start) to \(split.range.end.map { "\($0)" } ?? "the end")"
                    + (split.range.resume.map { ", going on at byte \($0.byteOffset), line \($0.line)" } ?? ""),
                hint: "the snapshot says so: start from another one, or set the split right with thalweg state set")
        }
        let source: any ByteSource
        do { source = try fileSystem.open(split.path) } catch { throw missing(split, error) }
        let reader = try format.makeReader(source, range: split.range)
        files[index].reader = reader
        return reader
    }

    /// A file that a checkpoint names may have been moved since, and may be none that the job is told to read now.
    private func missing(_ split: FileSplit, _ error: ThalwegError) -> ThalwegError {
        guard error.kind == .input, split.range.resume != nil || !isNamed(split.path) else { return error }
        var error = error
        let named = paths.joined(separator: ", ")
        error.detail = "\(error.detail ?? split.path); the path comes from the checkpoint, the job reads \(named)"
        error.hint =
            "put the file back where the checkpoint has it, or a link to it, and have the job read that path: it is "
            + "known by its path, and by another one would be read from its beginning"
        return error
    }

    /// Whether a file is one of those that the job is told to read.
    private func isNamed(_ path: String) -> Bool {
        paths.contains { named in
            guard named.contains(where: { $0 == "*" || $0 == "?" }) else {
                return path == named || path.hasPrefix(named.hasSuffix("/") ? named : named + "/")
            }
            return path.hasPrefix(named.lastIndex(of: "/").map { String(named[...$0]) } ?? "./")
        }
    }
}
