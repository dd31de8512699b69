// SPDX-License-Identifier: Apache-2.0
//  Whole lines of a range, a block at a time.

import Glibc
import ThalwegBase
import ThalwegStorage

/// Cuts a range of a source into blocks of whole lines, in bounded memory.
///
/// After ``next(onError:)`` the lines of `block` can be taken with ``takeLine()``; the last line of the input may
/// lack its newline.
final class LineBlocks {
    let limits: ReadLimits
    let range: ReadRange
    private let window: ByteWindow
    /// The bytes of the current block, readable for `ByteWindow.paddingBytes` more.
    private(set) var block = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Where in `block` the next line starts.
    private(set) var cursor = 0
    /// Lines taken or skipped so far, those before a resumed position included.
    private(set) var lines: UInt64
    private var isStarted = false
    private let firstOffset: UInt64
    /// Lines that start here or later belong to the next range.
    private var rangeEnd: UInt64

    init(_ source: any ByteSource, range: ReadRange, limits: ReadLimits) {
        precondition(limits.lineBytesMax > 0 && limits.lineBytesMax <= 1 << 30, "a line may have up to 1 GiB")
        self.limits = limits
        self.range = range
        lines = range.resume?.line ?? 0
        // One byte before the range tells whether it starts at a line start.
        firstOffset = range.resume?.byteOffset ?? (range.start > 0 ? range.start - 1 : 0)
        rangeEnd = range.end ?? .max
        window = ByteWindow(source, at: firstOffset, blockBytes: limits.blockBytes)
    }

    var name: String { window.source.name }
    var position: ReadPosition {
        ReadPosition(byteOffset: isStarted ? offset : range.resume?.byteOffset ?? range.start, line: lines)
    }
    var bytesConsumed: UInt64 { isStarted ? window.offset + UInt64(cursor) - firstOffset : 0 }

    /// Offset in the source of the next line.
    var offset: UInt64 { window.offset + UInt64(cursor) }

    /// Loads the next block; false at the end of the range.
    func next(onError: (RecordError) throws -> Void) throws -> Bool {
        window.consume(cursor)
        setBlock(0)
        if !isStarted {
            isStarted = true
            try start()
        }
        window.shrink()
        var searched = 0
        while true {
            if window.offset >= rangeEnd { return false }
            let unread = window.bytes
            if let newline = Self.lastNewline(in: unread, from: searched) {
                setBlock(cut(newline + 1))
                return true
            }
            searched = unread.count
            if searched > limits.lineBytesMax + 1 {
                try skipLongLine(onError: onError)
                searched = 0
            } else if try !window.more() {
                setBlock(window.count)
                return window.count > 0
            }
        }
    }

    /// The next line of the block without its line end (LF or CR LF); nil when the block is used up.
    func takeLine() -> UnsafeRawBufferPointer? {
        guard cursor < block.count, let base = block.baseAddress else { return nil }
        let start = base + cursor
        let rest = block.count - cursor
        var length = rest
        if let newline = memchr(start, 0x0A, rest) {
            length = UnsafeRawPointer(newline) - start
            cursor += length + 1
        } else {
            cursor += length
        }
        lines += 1
        if length > 0, start.load(fromByteOffset: length - 1, as: UInt8.self) == 0x0D { length -= 1 }
        return UnsafeRawBufferPointer(start: start, count: length)
    }

    /// An error about the line taken last.
    func error(
        at lineOffset: UInt64, _ line: UnsafeRawBufferPointer, column: Int? = nil, field: String? = nil,
        reason: String, hint: String
    ) -> RecordError {
        RecordError(
            source: name, line: lines, rangeStart: range.start, byteOffset: lineOffset, columnOffset: column,
            fieldPath: field, reason: reason, hint: hint, excerpt: RecordError.excerpt(of: line, around: column))
    }

    func tooLong(at lineOffset: UInt64, _ line: UnsafeRawBufferPointer) -> RecordError {
        error(
            at: lineOffset, line, reason: "line is longer than \(limits.lineBytesMax) bytes",
            hint: "raise lineBytesMax, or check that the file consists of lines")
    }

    private func setBlock(_ count: Int) {
        block = UnsafeRawBufferPointer(rebasing: window.bytes[..<count])
        cursor = 0
    }

    /// Skips a byte order mark at the start of the input, or the rest of a line that belongs to the range before.
    private func start() throws(ThalwegError) {
        if firstOffset == 0 && range.start == 0 {
            while window.count < 3, try window.more() {}
            if window.count >= 3, window.bytes.prefix(3).elementsEqual([0xEF, 0xBB, 0xBF]) {
                window.consume(3)
                // The mark counts as part of the first line.
                if rangeEnd > 0 { rangeEnd = max(rangeEnd, 4) }
            }
        } else if range.resume == nil {
            try skipLine()
        }
        if window.count == 0 { _ = try window.more() }
    }

    /// Consumes everything up to and including the next newline, holding one block at most.
    private func skipLine() throws(ThalwegError) {
        while true {
            if window.count > 0, let base = window.bytes.baseAddress,
                let newline = memchr(base, 0x0A, window.count)
            {
                window.consume(UnsafeRawPointer(newline) - base + 1)
                return
            }
            window.consume(window.count)
            if try !window.more() { return }
        }
    }

    private func skipLongLine(onError: (RecordError) throws -> Void) throws {
        lines += 1
        try onError(tooLong(at: window.offset, window.bytes))
        try skipLine()
    }

    private static func lastNewline(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard start < bytes.count, let base = bytes.baseAddress, memchr(base + start, 0x0A, bytes.count - start) != nil
        else { return nil }
        var last = bytes.count - 1
        while base.load(fromByteOffset: last, as: UInt8.self) != 0x0A { last -= 1 }
        return last
    }

    /// Where a block of whole lines has to end so that all its lines start inside the range.
    private func cut(_ count: Int) -> Int {
        guard window.offset + UInt64(count) > rangeEnd, let base = window.bytes.baseAddress else { return count }
        assert(rangeEnd > window.offset)
        let from = Int(rangeEnd - window.offset) - 1
        guard let newline = memchr(base + from, 0x0A, count - from) else { return count }
        return UnsafeRawPointer(newline) - base + 1
    }
}
