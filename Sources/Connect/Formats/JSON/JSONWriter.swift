// SPDX-License-Identifier: Apache-2.0
//  Records as JSON lines.

import FoundationEssentials
import ThalwegBase
import ThalwegData

/// Writes one JSON value a line, straight from the memory of the records.
final class JSONWriter<Record: Codable & Sendable>: RecordWriter {
    private let program: TextProgram
    private let options: JSONOptions

    init(_ layout: RecordLayout, options: JSONOptions) {
        program = TextProgram(layout.root)
        self.options = options
    }

    func writeHeader(to buffer: inout OutputBuffer) throws(ThalwegError) {}

    func write(_ rows: UnsafeBufferPointer<Record>, to buffer: inout OutputBuffer) throws(ThalwegError) {
        guard var base = UnsafeRawPointer(rows.baseAddress) else { return }
        let stride = MemoryLayout<Record>.stride
        let walk = JSONWriteWalk(options: options)
        for _ in 0..<rows.count {
            let start = buffer.count
            do throws(ThalwegError) {
                try walk.write(program, base, to: &buffer)
            } catch {
                buffer.removeAll(keepingFirst: start)
                throw error
            }
            buffer.append(UInt8(ascii: "\n"))
            base += stride
        }
    }
}

/// Writes records whose type is not proven, through their own `Codable` conformance.
final class PlainJSONWriter<Record: Codable & Sendable>: RecordWriter {
    private let encoder = JSONEncoder()

    init() { encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes] }

    func writeHeader(to buffer: inout OutputBuffer) throws(ThalwegError) {}

    func write(_ rows: UnsafeBufferPointer<Record>, to buffer: inout OutputBuffer) throws(ThalwegError) {
        for row in rows {
            do {
                buffer.append([UInt8](try encoder.encode(row)))
            } catch {
                throw ThalwegError(
                    .task, "cannot write record as JSON", detail: "\(Record.self): \(error)",
                    hint: "check what its encode(to:) gives: JSON has no infinite numbers", cause: error)
            }
            buffer.append(UInt8(ascii: "\n"))
        }
    }
}

/// The walk over the steps of a record, for all record types.
struct JSONWriteWalk {
    let options: JSONOptions

    func write(
        _ program: TextProgram, _ base: UnsafeRawPointer, to buffer: inout OutputBuffer
    ) throws(ThalwegError) {
        try write(program, 0, program.count, base, to: &buffer)
    }

    private func write(
        _ program: TextProgram, _ first: Int, _ end: Int, _ base: UnsafeRawPointer, to buffer: inout OutputBuffer
    ) throws(ThalwegError) {
        let steps = program.steps
        let keys = program.keys
        var at = first
        while at < end {
            let step = steps[at]
            at += 1
            let isNil = step.code == .optional && program.isNil(step, base)
            if isNil, options.nulls == .omitted, step.keyLength > 0 {
                at += Int(step.skip)
                continue
            }
            if step.keyLength > 0 {
                // The comma before the first key of a record is left out.
                let isFirst: Int32 = buffer.lastByte == UInt8(ascii: "{") ? 1 : 0
                buffer.append(
                    UnsafeRawBufferPointer(
                        start: keys + Int(step.keyStart + isFirst), count: Int(step.keyLength - isFirst)))
            }
            if step.code == .optional {
                guard isNil else { continue }
                buffer.append("null" as StaticString)
                at += Int(step.skip)
            } else if step.code == .record {
                buffer.append(UInt8(ascii: "{"))
                try write(program, at, at + Int(step.skip), base, to: &buffer)
                buffer.append(UInt8(ascii: "}"))
                at += Int(step.skip)
            } else if !buffer.append(integerLike: step, base + Int(step.offset)) {
                try writeValue(program, at - 1, base + Int(step.offset), to: &buffer)
            }
        }
    }

    private func writeValue(
        _ program: TextProgram, _ at: Int, _ field: UnsafeRawPointer, to buffer: inout OutputBuffer
    ) throws(ThalwegError) {
        let step = program.steps[at]
        switch step.code {
        case .string:
            buffer.append(jsonString: field.assumingMemoryBound(to: String.self).pointee)
        case .double:
            let value = field.load(as: Double.self)
            guard value.isFinite else { throw notFinite(program.paths[at]) }
            buffer.append(value)
        case .float:
            let value = field.load(as: Float.self)
            guard value.isFinite else { throw notFinite(program.paths[at]) }
            buffer.append(value)
        case .time:
            writeTime(EventTime(milliseconds: field.load(as: Int64.self)), to: &buffer)
        case .rawInteger:
            let table = program.tables[Int(step.index)]
            buffer.append(decimal: table.rawIntegers[table.caseIndex(at: field)])
        case .rawString:
            let table = program.tables[Int(step.index)]
            table.rawStrings[table.caseIndex(at: field)].withUnsafeBytes { buffer.append(jsonString: $0) }
        case .array:
            try writeArray(program, step, field, to: &buffer)
        case .codable:
            try writeCodable(program, at, field, to: &buffer)
        default:
            assertionFailure("step \(step.code) has no value")
        }
    }

    private func writeTime(_ time: EventTime, to buffer: inout OutputBuffer) {
        switch options.timeFormat {
        case .milliseconds: buffer.append(decimal: time.milliseconds)
        case .iso8601, .iso8601Seconds:
            buffer.append(UInt8(ascii: "\""))
            buffer.append(iso8601: time, milliseconds: options.timeFormat == .iso8601)
            buffer.append(UInt8(ascii: "\""))
        }
    }

    private func writeArray(
        _ program: TextProgram, _ step: TextStep, _ field: UnsafeRawPointer, to buffer: inout OutputBuffer
    ) throws(ThalwegError) {
        let (layout, element) = program.arrays[Int(step.index)]
        let (start, count) = layout.elements(at: field)
        buffer.append(UInt8(ascii: "["))
        for index in 0..<count {
            if index > 0 { buffer.append(UInt8(ascii: ",")) }
            try write(element, start + index * layout.stride, to: &buffer)
        }
        buffer.append(UInt8(ascii: "]"))
    }

    private func writeCodable(
        _ program: TextProgram, _ at: Int, _ field: UnsafeRawPointer, to buffer: inout OutputBuffer
    ) throws(ThalwegError) {
        let witness = program.codables[Int(program.steps[at].index)]
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            buffer.append([UInt8](try encoder.encode(witness.value(at: field))))
        } catch {
            throw ThalwegError(
                .task, "cannot write record as JSON", detail: "field \(program.paths[at]): \(error)",
                hint: "check what encode(to:) of \(witness.typeName) gives", cause: error)
        }
    }

    private func notFinite(_ path: String) -> ThalwegError {
        ThalwegError(
            .task, "cannot write record as JSON", detail: "field \(path) is not a finite number",
            hint: "JSON has no nan and inf: make the field optional, or write CSV")
    }
}
