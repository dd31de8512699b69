// SPDX-License-Identifier: Apache-2.0
//  The formats as a user names them.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// How the bytes of an input become records.
///
///     try env.read(.files("bids.jsonl", format: .json(Bid.self)), name: "bids")
///
/// Gzip is recognised by its first bytes, whatever the file's name.
public struct InputFormat<Record: Sendable>: Sendable {
    /// `json`, `csv`, `lines`.
    public let name: String
    /// Whether a file may be read in ranges by several readers at once. Compressed files never are.
    public let isSplittable: Bool
    /// One line for `plan`: how records of this type are handled, and why.
    public let handling: String
    private let make: @Sendable (any ByteSource, ReadRange) throws(ThalwegError) -> any RecordReader<Record>

    /// A format of your own.
    public init(
        name: String, isSplittable: Bool, handling: String = "",
        reader make: @escaping @Sendable (any ByteSource, ReadRange) throws(ThalwegError) -> any RecordReader<Record>
    ) {
        self.name = name
        self.isSplittable = isSplittable
        self.handling = handling
        self.make = make
    }

    /// A reader for a range of a source.
    public func makeReader(
        _ source: any ByteSource, range: ReadRange = .all
    ) throws(ThalwegError) -> any RecordReader<Record> {
        let plain = try decompressingIfNeeded(source)
        guard plain === source || (range.start == 0 && range.end == nil) else {
            throw ThalwegError(
                .job, "compressed file cannot be read in ranges", detail: "file \(source.name)",
                hint: "read it as a whole, or decompress it first")
        }
        return try make(plain, range)
    }
}

/// How records become the bytes of an output.
///
///     .write(to: .files("hot-items.csv", format: .csv))
public struct OutputFormat<Record: Sendable>: Sendable {
    /// `json`, `csv`, `lines`.
    public let name: String
    /// One line for `plan`: how records of this type are handled, and why.
    public let handling: String
    private let make: @Sendable () throws(ThalwegError) -> any RecordWriter<Record>

    /// A format of your own.
    public init(
        name: String, handling: String = "",
        writer make: @escaping @Sendable () throws(ThalwegError) -> any RecordWriter<Record>
    ) {
        self.name = name
        self.handling = handling
        self.make = make
    }

    public func makeWriter() throws(ThalwegError) -> any RecordWriter<Record> { try make() }
}

extension InputFormat where Record: Codable {
    /// JSON lines: one JSON value a line, fields by name, unknown fields skipped.
    ///
    /// Of duplicate keys the last wins. Moments may be numbers (milliseconds since 1970) or ISO 8601 strings. A type
    /// that cannot be learned is read by its own `Codable` conformance, some twenty times slower; `handling` says why.
    public static func json(
        _: Record.Type = Record.self, limits: ReadLimits = ReadLimits()
    ) throws(ThalwegError) -> InputFormat {
        let type = try RecordType<Record>.learn()
        guard let layout = type.layout else {
            return InputFormat(name: "json", isSplittable: true, handling: type.handling) {
                source, range throws(ThalwegError) in
                PlainJSONReader<Record>(source, range: range, limits: limits)
            }
        }
        return InputFormat(name: "json", isSplittable: true, handling: type.handling) {
            source, range throws(ThalwegError) in
            try JSONReader<Record>(source, range: range, limits: limits, layout: layout)
        }
    }

    /// CSV as RFC 4180 has it; with a header, columns are found by name and those that no field asks for are skipped.
    ///
    /// Throws when the type does not fit into columns: arrays, optional records, fields with a `Codable` of their own.
    public static func csv(
        _: Record.Type = Record.self, header: Bool = true, separator: Character = ",", nullText: String = "",
        multiline: Bool = true, limits: ReadLimits = ReadLimits()
    ) throws(ThalwegError) -> InputFormat {
        try csv(
            options: CSVOptions(header: header, separator: separator, nullText: nullText, multiline: multiline),
            limits: limits)
    }

    /// CSV with all its options.
    public static func csv(
        _: Record.Type = Record.self, options: CSVOptions, limits: ReadLimits = ReadLimits()
    ) throws(ThalwegError) -> InputFormat {
        _ = try options.checkedSeparator()
        let type = try RecordType<Record>.learn()
        guard let layout = type.layout else { throw CSVColumns.unproven(Record.self, type.unprovenReason) }
        let columns = try CSVColumns(layout, of: Record.self)
        return InputFormat(name: "csv", isSplittable: !options.multiline, handling: type.handling) {
            source, range throws(ThalwegError) in
            try CSVReader<Record>(
                source, range: range, limits: limits, options: options, columns: columns, layout: layout)
        }
    }

    /// CSV with a header line.
    public static var csv: InputFormat { get throws(ThalwegError) { try csv() } }

    /// JSON lines.
    public static var json: InputFormat { get throws(ThalwegError) { try json() } }
}

extension InputFormat where Record == String {
    /// Plain text, one record a line.
    public static var lines: InputFormat { lines() }

    /// Plain text, one record a line; `repairingUTF8` turns what is not UTF-8 into replacement characters.
    public static func lines(repairingUTF8: Bool = false, limits: ReadLimits = ReadLimits()) -> InputFormat {
        InputFormat(name: "lines", isSplittable: true) { source, range throws(ThalwegError) in
            LineReader(source, range: range, limits: limits, repairsUTF8: repairingUTF8)
        }
    }
}

extension OutputFormat where Record: Codable {
    /// JSON lines, fields in the order of declaration.
    public static func json(options: JSONOptions = JSONOptions()) throws(ThalwegError) -> OutputFormat {
        let type = try RecordType<Record>.learn()
        return OutputFormat(name: "json", handling: type.handling) { () throws(ThalwegError) in
            guard let layout = type.layout else { return PlainJSONWriter<Record>() }
            return JSONWriter<Record>(layout, options: options)
        }
    }

    /// CSV; columns stand in the order of declaration.
    ///
    /// Throws when the type does not fit into columns.
    public static func csv(
        header: Bool = true, separator: Character = ",", quoting: CSVOptions.Quoting = .rfc4180,
        nullText: String = "", timeFormat: CSVOptions.TimeFormat = .iso8601
    ) throws(ThalwegError) -> OutputFormat {
        try csv(
            options: CSVOptions(
                header: header, separator: separator, quoting: quoting, nullText: nullText, timeFormat: timeFormat))
    }

    /// CSV with all its options.
    public static func csv(options: CSVOptions) throws(ThalwegError) -> OutputFormat {
        _ = try options.checkedSeparator()
        let type = try RecordType<Record>.learn()
        guard let layout = type.layout else { throw CSVColumns.unproven(Record.self, type.unprovenReason) }
        let columns = try CSVColumns(layout, of: Record.self)
        return OutputFormat(name: "csv", handling: type.handling) { () throws(ThalwegError) in
            try CSVWriter<Record>(layout, columns: columns, options: options)
        }
    }

    /// CSV with a header line.
    public static var csv: OutputFormat { get throws(ThalwegError) { try csv() } }

    /// JSON lines.
    public static var json: OutputFormat { get throws(ThalwegError) { try json() } }
}

extension OutputFormat where Record == String {
    /// Plain text, one record a line.
    public static var lines: OutputFormat {
        OutputFormat(name: "lines") { () throws(ThalwegError) in LineWriter() }
    }
}
