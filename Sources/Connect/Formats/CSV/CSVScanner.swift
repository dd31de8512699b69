// SPDX-License-Identifier: Apache-2.0
//  From bytes to the fields of one CSV record.

import Glibc
import ThalwegBase

/// One field: its text between (not including) quotation marks.
struct CSVField {
    var start: Int
    var length: Int
    var isQuoted: Bool
    /// Holds doubled quotation marks, to be read as single ones.
    var isDoubled: Bool
}

/// Finds the fields of the record that starts a run of bytes.
struct CSVScanner: ~Copyable {
    enum Outcome {
        /// A whole record of so many bytes, its line end included.
        case record(bytes: Int)
        /// The bytes end inside the record.
        case incomplete
        /// Not CSV, noticed at this offset.
        case malformed(String, at: Int)
    }

    private let separator: UInt8
    private let quotes: Bool
    private let multiline: Bool
    /// Room for this many fields; those beyond are counted only.
    let capacity: Int
    let fields: UnsafeMutablePointer<CSVField>
    /// How many fields the last record has.
    private(set) var columns = 0
    /// Line breaks inside quoted fields of the last record.
    private(set) var innerLines = 0

    init(separator: UInt8, options: CSVOptions, capacity: Int) {
        self.separator = separator
        quotes = options.quoting == .rfc4180
        multiline = options.multiline
        self.capacity = capacity
        fields = .allocate(capacity: max(capacity, 1))
    }

    deinit { fields.deallocate() }

    /// Scans one record. `isAtEnd` says that no bytes follow these.
    mutating func scan(_ bytes: UnsafeRawBufferPointer, isAtEnd: Bool) -> Outcome {
        guard let base = bytes.bindMemory(to: UInt8.self).baseAddress else { return .incomplete }
        let count = bytes.count
        let separator = separator
        columns = 0
        innerLines = 0
        var at = 0
        while true {
            if quotes, at < count, base[at] == 0x22 {
                guard let close = closingQuote(base, from: at, count: count, isAtEnd: isAtEnd) else {
                    return isAtEnd ? .malformed("quoted field is not closed", at: at) : .incomplete
                }
                if let broken = innerBreak(base, from: at + 1, to: close) { return broken }
                at = close + 1
            } else {
                let start = at
                while at < count, base[at] != separator, base[at] != 0x0A { at += 1 }
                if at == count, !isAtEnd { return .incomplete }
                let isLast = at == count || base[at] == 0x0A
                let end = isLast && at > start && base[at - 1] == 0x0D ? at - 1 : at
                add(CSVField(start: start, length: end - start, isQuoted: false, isDoubled: false))
            }
            if at == count { return isAtEnd ? .record(bytes: count) : .incomplete }
            let next = base[at]
            at += 1
            if next == separator { continue }
            if next == 0x0A { return .record(bytes: at) }
            if next == 0x0D {
                if at == count { return isAtEnd ? .record(bytes: at) : .incomplete }
                if base[at] == 0x0A { return .record(bytes: at + 1) }
            }
            return .malformed("text follows the closing quotation mark of a field", at: at - 1)
        }
    }

    @inline(__always)
    private mutating func add(_ field: CSVField) {
        if columns < capacity { fields[columns] = field }
        columns += 1
    }

    /// The offset of the quotation mark that closes the field opened at `open`; adds the field.
    private mutating func closingQuote(
        _ base: UnsafePointer<UInt8>, from open: Int, count: Int, isAtEnd: Bool
    ) -> Int? {
        var at = open + 1
        var isDoubled = false
        while at < count, let found = memchr(base + at, 0x22, count - at) {
            let quote = UnsafeRawPointer(found) - UnsafeRawPointer(base)
            if quote + 1 == count {
                guard isAtEnd else { return nil }
            } else if base[quote + 1] == 0x22 {
                isDoubled = true
                at = quote + 2
                continue
            }
            add(CSVField(start: open + 1, length: quote - open - 1, isQuoted: true, isDoubled: isDoubled))
            return quote
        }
        return nil
    }

    /// Counts line breaks inside a quoted field; malformed when there may be none.
    private mutating func innerBreak(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int) -> Outcome? {
        var at = start
        while at < end, let found = memchr(base + at, 0x0A, end - at) {
            at = UnsafeRawPointer(found) - UnsafeRawPointer(base) + 1
            innerLines += 1
        }
        if innerLines > 0, !multiline {
            return .malformed("quoted field holds a line break, but the format says multiline: false", at: start)
        }
        return nil
    }

    /// Copies a field's text with doubled quotation marks made single; returns its length.
    static func unquote(_ text: UnsafeRawBufferPointer, into out: UnsafeMutableRawPointer) -> Int {
        var written = 0
        var at = 0
        while at < text.count {
            let byte = text[at]
            out.storeBytes(of: byte, toByteOffset: written, as: UInt8.self)
            written += 1
            at += byte == 0x22 ? 2 : 1
        }
        return written
    }
}
