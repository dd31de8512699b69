// SPDX-License-Identifier: Apache-2.0
//  Plain text: one line, one record.

import ThalwegBase
import ThalwegStorage

/// Reads lines as strings, without their line ends. Empty lines are records too.
final class LineReader: RecordReader {
    private let blocks: LineBlocks
    private let repairsUTF8: Bool

    init(_ source: any ByteSource, range: ReadRange, limits: ReadLimits, repairsUTF8: Bool) {
        blocks = LineBlocks(source, range: range, limits: limits)
        self.repairsUTF8 = repairsUTF8
    }

    var position: ReadPosition { blocks.position }
    var bytesConsumed: UInt64 { blocks.bytesConsumed }

    func read(
        into rows: UnsafeMutablePointer<String>, positions: UnsafeMutablePointer<UInt64>?, capacity: Int,
        onError: (RecordError) throws -> Void
    ) throws -> Int {
        var count = 0
        do {
            while count < capacity {
                let offset = blocks.offset
                guard let line = blocks.takeLine() else {
                    if count > 0 { break }
                    guard try blocks.next(onError: onError) else { break }
                    continue
                }
                guard line.count <= blocks.limits.lineBytesMax else {
                    try onError(blocks.tooLong(at: offset, line))
                    continue
                }
                if let text = String(validating: line.bindMemory(to: UInt8.self), as: UTF8.self) {
                    (rows + count).initialize(to: text)
                } else if repairsUTF8 {
                    (rows + count).initialize(to: String(decoding: line, as: UTF8.self))
                } else {
                    try onError(
                        blocks.error(
                            at: offset, line, reason: "not valid UTF-8",
                            hint: "convert the file to UTF-8, or read with .lines(repairingUTF8: true)"))
                    continue
                }
                if let positions { positions[count] = offset }
                count += 1
            }
        } catch {
            rows.deinitialize(count: count)
            throw error
        }
        return count
    }
}

/// Writes strings as lines.
final class LineWriter: RecordWriter {
    func writeHeader(to buffer: inout OutputBuffer) throws(ThalwegError) {}

    func write(_ rows: UnsafeBufferPointer<String>, to buffer: inout OutputBuffer) throws(ThalwegError) {
        for row in rows {
            guard !row.utf8.contains(0x0A) else {
                throw ThalwegError(
                    .task, "cannot write text with a line break as one line",
                    detail: Array(row.utf8).withUnsafeBytes { "`\(RecordError.excerpt(of: $0, around: nil))`" },
                    hint: "write with format .json or .csv, or replace the line breaks")
            }
            buffer.append(row)
            buffer.append(UInt8(ascii: "\n"))
        }
    }
}
