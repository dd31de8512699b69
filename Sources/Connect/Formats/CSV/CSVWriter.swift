// SPDX-License-Identifier: Apache-2.0
//  Records as CSV.

import ThalwegBase
import ThalwegData

/// Writes one CSV record per record, straight from memory; columns stand in the order of declaration.
final class CSVWriter<Record: Codable & Sendable>: RecordWriter {
    private let walk: CSVWriteWalk

    init(_ layout: RecordLayout, columns: CSVColumns, options: CSVOptions) throws(ThalwegError) {
        walk = try CSVWriteWalk(layout, columns: columns, options: options)
    }

    func writeHeader(to buffer: inout OutputBuffer) throws(ThalwegError) {
        guard walk.options.header else { return }
        try walk.writeHeader(to: &buffer)
    }

    func write(_ rows: UnsafeBufferPointer<Record>, to buffer: inout OutputBuffer) throws(ThalwegError) {
        guard var base = UnsafeRawPointer(rows.baseAddress) else { return }
        for _ in 0..<rows.count {
            let start = buffer.count
            do throws(ThalwegError) {
                try walk.write(base, to: &buffer)
            } catch {
                buffer.removeAll(keepingFirst: start)
                throw error
            }
            base += MemoryLayout<Record>.stride
        }
    }
}

/// The walk over the columns of a record, for all record types.
struct CSVWriteWalk {
    let options: CSVOptions
    private let program: TextProgram
    private let names: [String]
    private let separator: UInt8
    private let nullText: [UInt8]
    private let lineEnd: [UInt8]

    init(_ layout: RecordLayout, columns: CSVColumns, options: CSVOptions) throws(ThalwegError) {
        self.options = options
        separator = try options.checkedSeparator()
        program = TextProgram(layout.root)
        names = columns.columns.map(\.name)
        nullText = Array(options.nullText.utf8)
        lineEnd = Array(options.lineEnd.utf8)
    }

    func writeHeader(to buffer: inout OutputBuffer) throws(ThalwegError) {
        for (index, name) in names.enumerated() {
            if index > 0 { buffer.append(separator) }
            var isWritten = true
            Array(name.utf8).withUnsafeBytes { isWritten = append($0, isOptional: false, to: &buffer) }
            guard isWritten else { throw needsQuotes(name) }
        }
        buffer.append(lineEnd)
    }

    func write(_ base: UnsafeRawPointer, to buffer: inout OutputBuffer) throws(ThalwegError) {
        let steps = program.steps
        let count = program.count
        let separator = separator
        let start = buffer.count
        var at = 0
        while at < count {
            let step = steps[at]
            at += 1
            // A record has no text of its own, and an optional that is there shows in the next step.
            if step.code == .record { continue }
            if step.code == .optional {
                guard program.isNil(step, base) else { continue }
                at += Int(step.skip)
                buffer.append(nullText)
            } else if !buffer.append(integerLike: step, base + Int(step.offset)) {
                guard append(step, base + Int(step.offset), to: &buffer) else {
                    throw needsQuotes(program.paths[at - 1])
                }
            }
            buffer.append(separator)
        }
        if buffer.count > start { buffer.removeAll(keepingFirst: buffer.count - 1) }
        if lineEnd.count == 1 { buffer.append(UInt8(ascii: "\n")) } else { buffer.append(lineEnd) }
    }

    private func append(_ step: TextStep, _ field: UnsafeRawPointer, to buffer: inout OutputBuffer) -> Bool {
        switch step.code {
        case .string:
            let text = field.assumingMemoryBound(to: String.self)
            let isWritten = text.pointee.utf8.withContiguousStorageIfAvailable {
                append(UnsafeRawBufferPointer($0), isOptional: step.isOptional, to: &buffer)
            }
            return isWritten
                ?? Array(text.pointee.utf8).withUnsafeBytes { append($0, isOptional: step.isOptional, to: &buffer) }
        case .double: buffer.append(field.load(as: Double.self))
        case .float: buffer.append(field.load(as: Float.self))
        case .time:
            let time = EventTime(milliseconds: field.load(as: Int64.self))
            switch options.timeFormat {
            case .milliseconds: buffer.append(decimal: time.milliseconds)
            case .iso8601: buffer.append(iso8601: time)
            case .iso8601Seconds: buffer.append(iso8601: time, milliseconds: false)
            }
        case .rawInteger:
            let table = program.tables[Int(step.index)]
            buffer.append(decimal: table.rawIntegers[table.caseIndex(at: field)])
        case .rawString:
            let table = program.tables[Int(step.index)]
            return table.rawStrings[table.caseIndex(at: field)].withUnsafeBytes {
                append($0, isOptional: step.isOptional, to: &buffer)
            }
        default:
            assertionFailure("step \(step.code) has no column")
        }
        return true
    }

    /// Appends text, in quotation marks where it needs them; false when it needs them and there are none.
    private func append(_ text: UnsafeRawBufferPointer, isOptional: Bool, to buffer: inout OutputBuffer) -> Bool {
        var mustQuote = isOptional && text.count == nullText.count && text.elementsEqual(nullText)
        var quotes = 0
        for byte in text {
            if byte == separator || byte == 0x0A || byte == 0x0D { mustQuote = true }
            if byte == 0x22 { quotes += 1 }
        }
        if options.quoting == .none {
            guard !mustQuote else { return false }
            buffer.append(text)
            return true
        }
        guard mustQuote || quotes > 0 else {
            buffer.append(text)
            return true
        }
        let room = buffer.reserve(text.count + quotes + 2)
        room[0] = 0x22
        var at = 1
        for byte in text {
            room[at] = byte
            at += 1
            if byte == 0x22 {
                room[at] = byte
                at += 1
            }
        }
        room[at] = 0x22
        buffer.commit(at + 1)
        return true
    }

    private func needsQuotes(_ path: String) -> ThalwegError {
        ThalwegError(
            .task, "cannot write field without quotation marks",
            detail: "field \(path) holds the separator, a line break or the null text",
            hint: "write with quoting: .rfc4180, or choose another separator or null text")
    }
}
