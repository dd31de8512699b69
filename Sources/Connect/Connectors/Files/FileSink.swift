// SPDX-License-Identifier: Apache-2.0
//  Writes records to files that appear whole or not at all.

import ThalwegBase
import ThalwegData
import ThalwegFormats
import ThalwegOperator
import ThalwegStorage

/// Writes a file, or a directory with one part per subtask (`part-0.csv`...) when the path ends in `/`.
///
/// What is being written lies beside its final place under a name that begins with `.`; when the whole job has
/// succeeded it is renamed. A job that fails leaves neither a partial file nor a changed old one.
public struct FileSink<Element: Sendable>: Sink {
    public let kind = "files"
    public let path: String
    public let format: OutputFormat<Element>
    let fileSystem: any FileSystem

    public init(
        _ path: String, format: OutputFormat<Element>, fileSystem: any FileSystem = LocalFileSystem()
    ) {
        self.path = path
        self.format = format
        self.fileSystem = fileSystem
    }

    /// One file has one writer.
    public var parallelismMax: Int? { path.hasSuffix("/") ? nil : 1 }

    public func makeWriter(_ context: SinkContext) throws -> FileSinkWriter<Element> {
        let final = path.hasSuffix("/") ? "\(path)part-\(context.subtask).\(format.name)" : path
        return try FileSinkWriter(final, format, fileSystem)
    }
}

extension FileSink: LocatedSink {
    public var location: String { path }
}

extension Sink {
    /// Writes a file, or a directory of parts when the path ends in `/`.
    public static func files<Element: Sendable>(
        _ path: String, format: OutputFormat<Element>
    ) -> FileSink<Element> where Self == FileSink<Element> { FileSink(path, format: format) }
}

/// Writes one file of a ``FileSink``.
public final class FileSinkWriter<Element>: SinkWriter where Element: Sendable {
    /// Bytes are handed to the file system in pieces of this size.
    static var bufferBytes: Int { 256 * 1024 }

    private let final: String
    private let temporary: String
    private let fileSystem: any FileSystem
    private let output: any FileOutput
    private let writer: any RecordWriter<Element>
    private var buffer = OutputBuffer(capacity: 320 * 1024)
    private var isPrepared = false

    init(_ final: String, _ format: OutputFormat<Element>, _ fileSystem: any FileSystem) throws(ThalwegError) {
        guard !final.isEmpty else {
            throw ThalwegError(.job, "an output has no path", hint: "name a file, or a directory with / at its end")
        }
        guard !fileSystem.isDirectory(final) else {
            throw ThalwegError(
                .job, "an output is a directory", detail: final,
                hint: "name a file in it, or end the path in / to write one part per subtask")
        }
        if let kind = fileSystem.specialFile(final) {
            throw ThalwegError(
                .job, "an output is not a plain file", detail: "\(final) is \(kind)",
                hint: "an output is replaced as a whole: name a plain file, or write to .print() for standard output")
        }
        self.final = final
        self.fileSystem = fileSystem
        let slash = final.lastIndex(of: "/").map { final.index(after: $0) } ?? final.startIndex
        temporary = final[..<slash] + "." + final[slash...] + ".inprogress"
        writer = try format.makeWriter()
        output = try fileSystem.create(temporary)
        do throws(ThalwegError) {
            try writer.writeHeader(to: &buffer)
        } catch {
            output.close()
            fileSystem.remove(temporary)
            throw error
        }
    }

    public func write(_ batch: Batch<Element>) throws {
        try writer.write(UnsafeBufferPointer(start: batch.rows, count: batch.count), to: &buffer)
        if buffer.count >= Self.bufferBytes { try drain() }
    }

    private func drain() throws(ThalwegError) {
        let output = self.output
        try buffer.withBytes { bytes throws(ThalwegError) in try output.write(bytes) }
        buffer.removeAll()
    }

    public func prepare(_ request: PrepareRequest) throws -> PreparedOutput<NoCommittable, NoWriterState> {
        guard request.isFinal else { return PreparedOutput() }
        try drain()
        try output.sync()
        output.close()
        isPrepared = true
        let (temporary, final, fileSystem) = (self.temporary, self.final, self.fileSystem)
        return PreparedOutput(
            publish: SinkCommit(
                final, commit: { try fileSystem.rename(temporary, to: final) },
                abort: { fileSystem.remove(temporary) }))
    }

    public func close() {
        guard !isPrepared else { return }
        isPrepared = true
        output.close()
        fileSystem.remove(temporary)
    }
}
