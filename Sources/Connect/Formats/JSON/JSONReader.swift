// SPDX-License-Identifier: Apache-2.0
//  Lines of JSON into records.

import CSimdjson
import FoundationEssentials
import ThalwegBase
import ThalwegData
import ThalwegStorage

/// Reads one record per line, straight into memory. Empty lines are passed over.
final class JSONReader<Record: Codable & Sendable>: RecordReader {
    private let lines: JSONLines

    init(_ source: any ByteSource, range: ReadRange, limits: ReadLimits, layout: RecordLayout) throws(ThalwegError) {
        assert(layout.stride == MemoryLayout<Record>.stride)
        lines = try JSONLines(LineBlocks(source, range: range, limits: limits), layout)
    }

    var position: ReadPosition { lines.blocks.position }
    var bytesConsumed: UInt64 { lines.blocks.bytesConsumed }

    func read(
        into rows: UnsafeMutablePointer<Record>, positions: UnsafeMutablePointer<UInt64>?, capacity: Int,
        onError: (RecordError) throws -> Void
    ) throws -> Int {
        var count = 0
        do {
            try lines.read(into: rows, positions: positions, capacity: capacity, count: &count, onError: onError)
        } catch {
            rows.deinitialize(count: count)
            throw error
        }
        return count
    }
}

/// The part of reading JSON lines that is the same for all record types.
final class JSONLines {
    let blocks: LineBlocks
    private let parser: JSONParser
    private let layout: RecordLayout
    private let decoder = JSONCellDecoder()

    init(_ blocks: LineBlocks, _ layout: RecordLayout) throws(ThalwegError) {
        self.blocks = blocks
        self.layout = layout
        parser = try JSONParser(tree: layout.cellTree, limits: blocks.limits)
    }

    /// Fills rows from `count` on; `count` tells how many are initialised, also when this throws.
    func read(
        into rows: UnsafeMutableRawPointer, positions: UnsafeMutablePointer<UInt64>?, capacity: Int, count: inout Int,
        onError: (RecordError) throws -> Void
    ) throws {
        let (blocks, parser, layout, decoder) = (blocks, parser, layout, decoder)
        let stride = layout.stride
        let lineBytesMax = blocks.limits.lineBytesMax
        while count < capacity {
            let offset = blocks.offset
            let start = blocks.cursor
            guard let line = blocks.takeLine() else {
                if count > 0 { return }
                guard try blocks.next(onError: onError) else { return }
                try parser.load(blocks.block)
                continue
            }
            if line.count > lineBytesMax {
                try onError(blocks.tooLong(at: offset, line))
                continue
            }
            let code = parser.parse(at: start, count: line.count)
            if code == THALWEG_JSON_OK {
                do throws(CellError) {
                    try layout.assemble(cells: parser.cells, into: rows + count &* stride, using: decoder)
                    if let positions { positions[count] = offset }
                    count &+= 1
                } catch {
                    try onError(mismatch(error, at: offset, line))
                }
            } else if code != THALWEG_JSON_BLANK {
                try onError(malformed(code, start: start, at: offset, line))
            }
        }
    }

    private func mismatch(_ error: CellError, at offset: UInt64, _ line: UnsafeRawBufferPointer) -> RecordError {
        blocks.error(
            at: offset, line, field: error.field, reason: error.reason,
            hint: error.reason == "missing"
                ? "make the field optional, or check its name"
                : "change the field's type, or filter such lines out before they are read")
    }

    private func malformed(
        _ code: thalweg_json_code, start: Int, at offset: UInt64, _ line: UnsafeRawBufferPointer
    ) -> RecordError {
        let place = parser.failure(at: start, code)
        let texts = code.texts
        return blocks.error(
            at: offset, line, column: place.column, field: place.field, reason: texts.reason, hint: texts.hint)
    }
}

/// Decodes fields that only plain `Codable` understands from their JSON text.
struct JSONCellDecoder: CellDecoder {
    private let decoder = JSONDecoder()

    func decode<Value: Decodable>(_ type: Value.Type, from cell: Cell) throws -> Value {
        guard cell.kind == .raw, let start = UnsafeRawPointer(bitPattern: UInt(cell.bits)) else {
            return try decoder.decode(type, from: Data("null".utf8))
        }
        return try decoder.decode(type, from: Data(bytes: start, count: Int(cell.length)))
    }
}
