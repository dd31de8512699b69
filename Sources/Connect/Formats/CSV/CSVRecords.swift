// SPDX-License-Identifier: Apache-2.0
//  The CSV records of a range, one after the other.

import Glibc
import ThalwegBase
import ThalwegStorage

/// Walks over the records of a CSV input in bounded memory; empty lines are passed over.
final class CSVRecords {
    let limits: ReadLimits
    let range: ReadRange
    private let window: ByteWindow
    private var scanner: CSVScanner
    private var scratch: UnsafeMutableRawBufferPointer
    private var isStarted = false
    private var isSourceAtEnd = false
    private let firstOffset: UInt64
    /// Records that start here or later belong to the next range.
    private var rangeEnd: UInt64
    /// Where there is one column, an empty line is a record with an empty field.
    var skipsEmptyLines = true
    /// Lines consumed so far.
    private(set) var lines: UInt64
    /// The record taken last, without its line end; consumed with the next step.
    private(set) var record = UnsafeRawBufferPointer(start: nil, count: 0)
    private var pending = 0
    private var pendingLines: UInt64 = 0

    init(
        _ source: any ByteSource, range: ReadRange, limits: ReadLimits, separator: UInt8, options: CSVOptions,
        columns: Int
    ) {
        self.limits = limits
        self.range = range
        scanner = CSVScanner(separator: separator, options: options, capacity: columns)
        scratch = .allocate(byteCount: 4096, alignment: 16)
        lines = range.resume?.line ?? 0
        firstOffset = range.resume?.byteOffset ?? (range.start > 0 ? range.start - 1 : 0)
        rangeEnd = range.end ?? .max
        window = ByteWindow(source, at: firstOffset, blockBytes: limits.blockBytes)
    }

    deinit { scratch.deallocate() }

    var name: String { window.source.name }
    var columns: Int { scanner.columns }
    var position: ReadPosition {
        isStarted
            ? ReadPosition(byteOffset: window.offset + UInt64(pending), line: lines + pendingLines)
            : ReadPosition(byteOffset: range.resume?.byteOffset ?? range.start, line: lines)
    }
    var bytesConsumed: UInt64 { isStarted ? window.offset + UInt64(pending) - firstOffset : 0 }
    /// Offset in the source of the record taken last.
    var recordOffset: UInt64 { window.offset }

    /// The text of a column of the record taken last, as cell; null when it is the unquoted null text.
    ///
    /// `scratchOffset` moves on by what had to be unquoted: one variable per record, starting at 0.
    @inline(__always)
    func text(_ column: Int, scratchOffset: inout Int) -> (text: UnsafeRawBufferPointer, isQuoted: Bool) {
        let field = scanner.fields[column]
        let text = UnsafeRawBufferPointer(rebasing: record[field.start..<field.start + field.length])
        guard field.isDoubled else { return (text, field.isQuoted) }
        let out = scratch.baseAddress! + scratchOffset  // allocated in init and never empty
        let length = CSVScanner.unquote(text, into: out)
        scratchOffset += length
        return (UnsafeRawBufferPointer(start: out, count: length), true)
    }

    /// Steps to the next record; false at the end of the range. Malformed records go to `onError` and are passed over.
    func next(onError: (RecordError) throws -> Void) throws -> Bool {
        if !isStarted {
            isStarted = true
            try start()
        }
        consumePending()
        while true {
            if window.offset >= rangeEnd { return false }
            if window.count == 0 {
                window.shrink()
                if try !more() { return false }
            }
            switch scanner.scan(window.bytes, isAtEnd: isSourceAtEnd) {
            case .record(let bytes):
                take(bytes)
                if record.count == 0, skipsEmptyLines {
                    consumePending()
                } else if record.count > limits.lineBytesMax {
                    try tooLong(onError: onError)
                    consumePending()
                } else {
                    return true
                }
            case .incomplete:
                if window.count > limits.lineBytesMax {
                    try tooLong(onError: onError)
                    try skipLine()
                } else {
                    _ = try more()
                }
            case .malformed(let reason, let place):
                try malformed(reason, at: place, onError: onError)
                try skipLine()
            }
        }
    }

    /// An error about the record taken last.
    func error(column: Int? = nil, field: String? = nil, reason: String, hint: String) -> RecordError {
        RecordError(
            source: name, line: lines + 1, rangeStart: range.start, byteOffset: window.offset, columnOffset: column,
            fieldPath: field, reason: reason, hint: hint, excerpt: RecordError.excerpt(of: record, around: column))
    }

    private func take(_ bytes: Int) {
        pending = bytes
        pendingLines = UInt64(scanner.innerLines) + 1
        var length = bytes
        if length > 0, window.bytes[length - 1] == 0x0A { length -= 1 }
        if length > 0, window.bytes[length - 1] == 0x0D { length -= 1 }
        record = UnsafeRawBufferPointer(rebasing: window.bytes[..<length])
        if scratch.count < length {
            scratch.deallocate()
            scratch = .allocate(byteCount: length + length / 2, alignment: 16)
        }
    }

    private func consumePending() {
        window.consume(pending)
        lines += pendingLines
        (pending, pendingLines) = (0, 0)
    }

    private func more() throws(ThalwegError) -> Bool {
        let found = try window.more()
        isSourceAtEnd = !found
        return found
    }

    private func start() throws(ThalwegError) {
        if firstOffset == 0 && range.start == 0 {
            while window.count < 3, try more() {}
            if window.count >= 3, window.bytes.prefix(3).elementsEqual([0xEF, 0xBB, 0xBF]) {
                window.consume(3)
                // The mark counts as part of the first record.
                if rangeEnd > 0 { rangeEnd = max(rangeEnd, 4) }
            }
        } else if range.resume == nil {
            try skipLine()
            lines = 0
        }
    }

    private func tooLong(onError: (RecordError) throws -> Void) throws {
        record = UnsafeRawBufferPointer(rebasing: window.bytes.prefix(RecordError.excerptBytesMax * 2))
        try onError(
            error(
                reason: "record is longer than \(limits.lineBytesMax) bytes",
                hint: "look for a quotation mark that is not closed, or raise lineBytesMax"))
    }

    private func malformed(_ reason: String, at place: Int, onError: (RecordError) throws -> Void) throws {
        let bytes = window.bytes
        let line = bytes.firstIndex(of: 0x0A) ?? bytes.count
        record = UnsafeRawBufferPointer(rebasing: bytes[..<line])
        try onError(
            error(
                column: place, reason: reason,
                hint: "quote the whole field and double the quotation marks inside it, or read with quoting: .none"))
    }

    /// Goes on behind the next line break, whatever stands before it: where reading is resumed after an error.
    private func skipLine() throws(ThalwegError) {
        lines += 1
        while true {
            if window.count > 0, let base = window.bytes.baseAddress, let newline = memchr(base, 0x0A, window.count) {
                window.consume(UnsafeRawPointer(newline) - base + 1)
                return
            }
            window.consume(window.count)
            if try !more() { return }
        }
    }
}
