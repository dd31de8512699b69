// SPDX-License-Identifier: Apache-2.0
//  What is wrong with one record of an input.

import ThalwegBase

/// One record could not be read: where it lies, what is wrong with it and how it begins.
///
/// A reader hands these to its caller, who decides: fail, skip, or keep the record aside.
public struct RecordError: Error, Sendable, CustomStringConvertible {
    /// The longest excerpt, in bytes.
    public static var excerptBytesMax: Int { 200 }

    /// The file or other input.
    public var source: String
    /// The line, counted from 1 where the range starts.
    public var line: UInt64
    /// Where the range starts; when it is not 0, lines before it were not counted.
    public var rangeStart: UInt64
    /// Where the record starts, in bytes of the (plain) input.
    public var byteOffset: UInt64
    /// Where in the record the error was noticed, when that is known.
    public var columnOffset: Int?
    /// The field, as in `bid.price` or `items[].name`; nil when no single field is at fault.
    public var fieldPath: String?
    /// What is wrong.
    public var reason: String
    /// How to fix it.
    public var hint: String
    /// The part of the record around the error, at most ``excerptBytesMax`` bytes.
    public var excerpt: String

    /// The same as the engine's error of kind `input`.
    public var thalwegError: ThalwegError {
        var place = "\(source), line \(line)"
        if rangeStart > 0 { place += " after byte \(rangeStart)" }
        place += " (byte \(byteOffset)"
        if let columnOffset { place += ", column \(columnOffset + 1)" }
        place += ")"
        if let fieldPath, !fieldPath.isEmpty { place += ", field \(fieldPath)" }
        return ThalwegError(
            .input, "cannot read record", detail: "\(place): \(reason): `\(excerpt)`", hint: hint)
    }

    public var description: String { thalwegError.description }

    /// A readable excerpt of a record: control characters and broken UTF-8 replaced, cut around `position`.
    static func excerpt(of record: UnsafeRawBufferPointer, around position: Int?) -> String {
        let most = excerptBytesMax - 2 * 3 - 4
        var from = 0
        if let position, position > most * 3 / 4 { from = min(position - most / 2, max(record.count - most, 0)) }
        let to = min(from + most, record.count)
        var text = from > 0 ? "…" : ""
        var used = text.utf8.count
        for scalar in String(decoding: record[from..<to], as: UTF8.self).unicodeScalars {
            let shown: Unicode.Scalar = scalar.value < 0x20 || scalar.value == 0x7F ? "\u{FFFD}" : scalar
            let width = UTF8.width(shown)
            if used + width > excerptBytesMax - 3 { break }
            text.unicodeScalars.append(shown)
            used += width
        }
        return to < record.count ? text + "…" : text
    }
}
