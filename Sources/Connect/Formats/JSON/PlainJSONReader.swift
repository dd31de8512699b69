// SPDX-License-Identifier: Apache-2.0
//  Lines of JSON into records whose type is not proven.

import FoundationEssentials
import ThalwegBase
import ThalwegStorage

/// Reads one record per line through the type's own `Codable` conformance: slower, for types that cannot be learned.
final class PlainJSONReader<Record: Codable & Sendable>: RecordReader {
    private let blocks: LineBlocks
    private let decoder = JSONDecoder()

    init(_ source: any ByteSource, range: ReadRange, limits: ReadLimits) {
        blocks = LineBlocks(source, range: range, limits: limits)
    }

    var position: ReadPosition { blocks.position }
    var bytesConsumed: UInt64 { blocks.bytesConsumed }

    func read(
        into rows: UnsafeMutablePointer<Record>, positions: UnsafeMutablePointer<UInt64>?, capacity: Int,
        onError: (RecordError) throws -> Void
    ) throws -> Int {
        var count = 0
        do {
            while count < capacity {
                let offset = blocks.offset
                guard let line = blocks.takeLine() else {
                    if count > 0 { break }
                    guard try blocks.next(onError: onError) else { break }
                    continue
                }
                if line.count > blocks.limits.lineBytesMax {
                    try onError(blocks.tooLong(at: offset, line))
                } else if let record = try decode(line, at: offset, onError: onError) {
                    (rows + count).initialize(to: record)
                    if let positions { positions[count] = offset }
                    count += 1
                }
            }
        } catch {
            rows.deinitialize(count: count)
            throw error
        }
        return count
    }

    private func decode(
        _ line: UnsafeRawBufferPointer, at offset: UInt64, onError: (RecordError) throws -> Void
    ) throws -> Record? {
        guard let start = line.baseAddress, line.contains(where: { $0 != 0x20 && $0 != 0x09 }) else { return nil }
        do {
            return try decoder.decode(Record.self, from: Data(bytes: start, count: line.count))
        } catch {
            let (field, reason) = Self.explain(error)
            try onError(
                blocks.error(
                    at: offset, line, field: field, reason: reason,
                    hint: "check the line against what init(from:) of \(Record.self) reads"))
            return nil
        }
    }

    private static func explain(_ error: any Error) -> (field: String?, reason: String) {
        func path(_ keys: [any CodingKey]) -> String {
            keys.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
                .replacing(".[", with: "[")
        }
        switch error {
        case DecodingError.keyNotFound(let key, let context): return (path(context.codingPath + [key]), "missing")
        case DecodingError.typeMismatch(let type, let context):
            return (path(context.codingPath), "expected \(type): \(context.debugDescription)")
        case DecodingError.valueNotFound(let type, let context):
            return (path(context.codingPath), "expected \(type), got null")
        case DecodingError.dataCorrupted(let context):
            let field = path(context.codingPath)
            return (field.isEmpty ? nil : field, context.debugDescription)
        default: return (nil, "\(error)")
        }
    }
}
