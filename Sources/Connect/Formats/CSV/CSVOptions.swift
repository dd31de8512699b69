// SPDX-License-Identifier: Apache-2.0
//  The dialect of CSV: what separates, what quotes, what means null.

import ThalwegBase

/// How CSV is read and written. The default is RFC 4180 with a header line, read and written in UTF-8.
@frozen
public struct CSVOptions: Hashable, Sendable {
    /// What quotation marks mean.
    @frozen
    public enum Quoting: Hashable, Sendable {
        /// Fields that need it stand in quotation marks; a quotation mark inside is doubled.
        case rfc4180
        /// Quotation marks are characters like others; a field can hold neither separator nor line break.
        case none
    }

    /// How moments are written. All are understood when reading.
    @frozen
    public enum TimeFormat: Hashable, Sendable {
        /// `2015-07-15T00:00:02.000`, in UTC.
        case iso8601
        /// `2015-07-15T00:00:02`, in UTC; what is finer than a second is cut.
        case iso8601Seconds
        /// Milliseconds since 1970 UTC.
        case milliseconds
    }

    /// Whether the first line names the columns. Without it, columns are the fields in the order of declaration.
    public var header = true
    /// One ASCII character.
    public var separator: Character = ","
    public var quoting = Quoting.rfc4180
    /// The text of null, not quoted. A quoted field is never null.
    public var nullText = ""
    public var timeFormat = TimeFormat.iso8601
    /// Whether quoted fields may hold line breaks. If they may not, files can be read in ranges.
    public var multiline = true
    /// What ends a record that is written.
    public var lineEnd = "\n"

    @inlinable
    public init() {}

    @inlinable
    public init(
        header: Bool = true, separator: Character = ",", quoting: Quoting = .rfc4180, nullText: String = "",
        timeFormat: TimeFormat = .iso8601, multiline: Bool = true
    ) {
        self.header = header
        self.separator = separator
        self.quoting = quoting
        self.nullText = nullText
        self.timeFormat = timeFormat
        self.multiline = multiline
    }

    /// The separator's byte, or an error about the options.
    func checkedSeparator() throws(ThalwegError) -> UInt8 {
        guard let byte = separator.asciiValue, byte != 0x22, byte != 0x0A, byte != 0x0D else {
            throw ThalwegError(
                .job, "not a CSV separator", detail: "\(separator.debugDescription)",
                hint: "use one ASCII character other than a quotation mark or a line break")
        }
        guard !nullText.utf8.contains(where: { $0 == byte || $0 == 0x22 || $0 == 0x0A || $0 == 0x0D }) else {
            throw ThalwegError(
                .job, "not a CSV null text", detail: "\(nullText.debugDescription)",
                hint: "use text without separators, quotation marks and line breaks")
        }
        guard lineEnd == "\n" || lineEnd == "\r\n" else {
            throw ThalwegError(
                .job, "not a CSV line end", detail: "\(lineEnd.debugDescription)", hint: "use \\n or \\r\\n")
        }
        return byte
    }
}
