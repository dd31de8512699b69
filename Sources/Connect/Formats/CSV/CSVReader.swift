// SPDX-License-Identifier: Apache-2.0
//  CSV records into records.

import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Reads one record per CSV record, straight into memory.
final class CSVReader<Record: Codable & Sendable>: RecordReader {
    private let rows: CSVRows

    init(
        _ source: any ByteSource, range: ReadRange, limits: ReadLimits, options: CSVOptions, columns: CSVColumns,
        layout: RecordLayout
    ) throws(ThalwegError) {
        assert(layout.stride == MemoryLayout<Record>.stride)
        rows = try CSVRows(source, range: range, limits: limits, options: options, columns: columns, layout: layout)
    }

    var position: ReadPosition { rows.position }
    var bytesConsumed: UInt64 { rows.bytesConsumed }

    func read(
        into records: UnsafeMutablePointer<Record>, positions: UnsafeMutablePointer<UInt64>?, capacity: Int,
        onError: (RecordError) throws -> Void
    ) throws -> Int {
        var count = 0
        do {
            try rows.read(into: records, positions: positions, capacity: capacity, count: &count, onError: onError)
        } catch {
            records.deinitialize(count: count)
            throw error
        }
        return count
    }
}

/// The part of reading CSV that is the same for all record types.
final class CSVRows {
    /// Where the text of a column goes.
    private struct Target: BitwiseCopyable {
        /// -1: nowhere.
        var cell: Int32
        var isOptional: Bool
        var isString: Bool
    }

    private let source: any ByteSource
    private let limits: ReadLimits
    private let options: CSVOptions
    private let separator: UInt8
    private let columns: CSVColumns
    private let layout: RecordLayout
    private let nullText: [UInt8]
    private let cells: UnsafeMutablePointer<Cell>
    private let range: ReadRange
    /// Opened with the first read, when the header is known.
    private var records: CSVRecords?
    private var targets: [Target] = []
    private var headerLength: UInt64 = 0

    init(
        _ source: any ByteSource, range: ReadRange, limits: ReadLimits, options: CSVOptions, columns: CSVColumns,
        layout: RecordLayout
    ) throws(ThalwegError) {
        self.source = source
        self.limits = limits
        self.options = options
        self.columns = columns
        self.layout = layout
        self.range = range
        separator = try options.checkedSeparator()
        nullText = Array(options.nullText.utf8)
        cells = .allocate(capacity: layout.cellTree.width)
        cells.initialize(repeating: Cell(.missing), count: layout.cellTree.width)
        for cell in columns.recordCells { cells[cell] = Cell(.record) }
        guard range.start == 0 && range.end == nil || !options.multiline else {
            throw ThalwegError(
                .job, "CSV with line breaks in fields cannot be read in ranges", detail: "file \(source.name)",
                hint: "read it as a whole, or declare multiline: false when no field holds a line break")
        }
    }

    deinit { cells.deallocate() }

    var position: ReadPosition {
        records?.position ?? range.resume ?? ReadPosition(byteOffset: range.start)
    }
    var bytesConsumed: UInt64 { records?.bytesConsumed ?? 0 }

    func read(
        into rows: UnsafeMutableRawPointer, positions: UnsafeMutablePointer<UInt64>?, capacity: Int, count: inout Int,
        onError: (RecordError) throws -> Void
    ) throws {
        guard let records = try records ?? open() else { return }
        let stride = layout.stride
        while count < capacity {
            guard try records.next(onError: onError) else { return }
            guard records.columns == targets.count else {
                try onError(wrongCount(records))
                continue
            }
            guard records.record.isUTF8 else {
                try onError(records.error(reason: "not valid UTF-8", hint: "convert the file to UTF-8"))
                continue
            }
            fill(records)
            do throws(CellError) {
                try layout.assemble(cells: cells, into: rows + count &* stride)
                if let positions { positions[count] = records.recordOffset }
                count &+= 1
            } catch {
                try onError(
                    records.error(
                        field: error.field, reason: error.reason,
                        hint: "change the field's type, make it optional, or check separator and null text"))
            }
        }
    }

    @inline(__always)
    private func fill(_ records: CSVRecords) {
        var scratch = 0
        targets.withUnsafeBufferPointer { targets in
            for column in 0..<targets.count {
                let target = targets[column]
                guard target.cell >= 0 else { continue }
                let (text, isQuoted) = records.text(column, scratchOffset: &scratch)
                var cell = Cell(
                    target.isString ? .string : .text, bits: UInt64(UInt(bitPattern: text.baseAddress)),
                    length: UInt32(text.count))
                if target.isOptional, !isQuoted, text.count == nullText.count, text.elementsEqual(nullText) {
                    cell = Cell(.null)
                }
                cells[Int(target.cell)] = cell
            }
        }
    }

    /// Reads the header, wherever the range starts, and opens the records; nil when there is no header.
    private func open() throws -> CSVRecords? {
        var from = range
        if options.header {
            let header = CSVRecords(
                source, range: .all, limits: limits, separator: separator, options: options,
                columns: limits.csvColumnsMax)
            guard try header.next(onError: { throw $0.thalwegError }) else { return nil }
            try setTargets(header: try names(header))
            let end = header.position
            if range.resume == nil, range.start < end.byteOffset {
                // Reading starts behind the header, or there is nothing left of a range that ends in it.
                if let last = range.end, last <= end.byteOffset {
                    from.resume = ReadPosition(byteOffset: last)
                } else {
                    from.resume = end
                }
            }
        } else {
            targets = columns.columns.map {
                Target(cell: Int32($0.cell), isOptional: $0.isOptional, isString: $0.isString)
            }
        }
        let opened = CSVRecords(
            source, range: from, limits: limits, separator: separator, options: options, columns: targets.count)
        opened.skipsEmptyLines = targets.count != 1
        records = opened
        return opened
    }

    private func names(_ header: CSVRecords) throws(ThalwegError) -> [String] {
        guard header.columns <= limits.csvColumnsMax else {
            throw ThalwegError(
                .input, "too many columns", detail: "\(source.name), line 1: \(header.columns)",
                hint: "check the separator, or raise csvColumnsMax")
        }
        var scratch = 0
        return (0..<header.columns).map {
            String(decoding: header.text($0, scratchOffset: &scratch).text, as: UTF8.self)
        }
    }

    private func setTargets(header: [String]) throws(ThalwegError) {
        targets = try columns.match(header: header, source: source.name).map { index in
            guard index >= 0 else { return Target(cell: -1, isOptional: false, isString: false) }
            let column = columns.columns[index]
            return Target(cell: Int32(column.cell), isOptional: column.isOptional, isString: column.isString)
        }
    }

    private func wrongCount(_ records: CSVRecords) -> RecordError {
        records.error(
            reason: "expected \(targets.count) columns, got \(records.columns)",
            hint: "quote fields that hold the separator (`\(options.separator)`), or check the separator")
    }
}
