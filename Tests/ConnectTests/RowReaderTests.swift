// SPDX-License-Identifier: Apache-2.0
//  Rows without a Swift type: their keys and values have the bytes that their schemas ask for.

import Testing
import ThalwegBase
import ThalwegData
import ThalwegStorage

@testable import ThalwegFormats

@Suite struct RowReaderTests {
    private static let kinds = ScalarKind.allCases

    private func scalar(_ kind: ScalarKind, _ random: inout SeededRandom) -> DynamicValue {
        let word = random.next()
        return switch kind {
        case .bool: .bool(word % 2 == 0)
        case .int8: .integer(Int64(Int8(truncatingIfNeeded: word)))
        case .int16: .integer(Int64(Int16(truncatingIfNeeded: word)))
        case .int32: .integer(Int64(Int32(truncatingIfNeeded: word)))
        case .int64: .integer(Int64(truncatingIfNeeded: word))
        case .uint8: .integer(Int64(UInt8(truncatingIfNeeded: word)))
        case .uint16: .integer(Int64(UInt16(truncatingIfNeeded: word)))
        case .uint32: .integer(Int64(UInt32(truncatingIfNeeded: word)))
        case .uint64: .unsigned(word)
        case .float: .float(Float(Int16(truncatingIfNeeded: word)) / 8)
        case .double: .double(Double(Int32(truncatingIfNeeded: word)) / 16)
        case .string: .string("ü,\"x\" " + String(repeating: "y", count: Int(word % 20)))
        case .time: .time(EventTime(milliseconds: Int64(word % 1_000_000_000_000)))
        }
    }

    private func type(_ random: inout SeededRandom, isFlat: Bool) -> SchemaType {
        let scalar = SchemaType.scalar(Self.kinds[Int(random.next() % UInt64(Self.kinds.count))])
        switch random.next() % 6 {
        case 0: return .optional(scalar)
        case 1 where !isFlat: return .array(scalar)
        case 2 where !isFlat: return .array(.optional(scalar))
        case 3 where !isFlat: return .optional(.array(scalar))
        case 4: return .record([.init(name: "a", type: scalar), .init(name: "b", type: .scalar(.int16))])
        default: return scalar
        }
    }

    private func value(_ type: SchemaType, _ random: inout SeededRandom) -> DynamicValue {
        switch type {
        case .scalar(let kind): scalar(kind, &random)
        case .optional(let wrapped): random.next() % 3 == 0 ? .null : value(wrapped, &random)
        case .array(let element): .array((0..<random.next() % 4).map { _ in value(element, &random) })
        case .record(let fields): .record(fields.map { .init($0.name, value($0.type, &random)) })
        default: .null
        }
    }

    private func columns(_ prefix: String, _ random: inout SeededRandom, isFlat: Bool) -> RowLayout.Columns {
        let count = Int(random.next() % 4) + 1
        return RowLayout.Columns(
            (0..<count).map { .init(name: "\(prefix)\($0)", type: type(&random, isFlat: isFlat)) },
            isRecord: count > 1 || random.next() % 2 == 0)
    }

    private func cells(_ value: DynamicValue) -> [String] {
        if case .record(let fields) = value { return fields.flatMap { cells($0.value) } }
        let text = value.cellText
        if case .string = value { return ["\"" + text.replacing("\"", with: "\"\"") + "\""] }
        return [text]
    }

    private func names(_ name: String, _ type: SchemaType) -> [String] {
        if case .record(let fields) = type { return fields.flatMap { names(name + "." + $0.name, $0.type) } }
        return [name]
    }

    @Test(arguments: 0..<120 as Range<UInt64>)
    func asTheSchemasAsk(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let isFlat = seed % 2 == 0
        let parts = [columns("k", &random, isFlat: isFlat), columns("v", &random, isFlat: isFlat)]
        let layout = try RowLayout(parts)
        var lines: [String] = []
        var expected: [[DynamicValue]] = []
        if isFlat {
            lines.append(parts.flatMap(\.fields).flatMap { names($0.name, $0.type) }.joined(separator: ","))
        }
        for _ in 0..<50 {
            let rows = parts.map { part in part.fields.map { DynamicValue.Field($0.name, value($0.type, &random)) } }
            let all = DynamicValue.record(rows.flatMap { $0 })
            lines.append(isFlat ? cells(all).joined(separator: ",") : all.json)
            expected.append(zip(parts, rows).map { $0.isRecord ? .record($1) : $1[0].value })
        }
        let source = MemoryByteSource(lines.joined(separator: "\n") + "\n")
        let reader = try RowReader(source, isFlat ? .csv(CSVOptions()) : .json, layout)
        var place = 0
        try reader.forEach { row in
            for (part, wanted) in zip(layout.parts, expected[place]) {
                let codec = DynamicCodec(part.schema)
                var bytes = ByteWriter()
                try part.encode(row, into: &bytes)
                #expect(bytes.bytes() == (try codec.encode(wanted)), "seed \(seed), \(part.schema): \(wanted.json)")
                bytes.removeAll()
                try part.encodeKey(row, into: &bytes)
                #expect(bytes.bytes() == (try codec.encodeKey(wanted)), "seed \(seed), \(part.schema): \(wanted.json)")
                #expect(part.hash(row) == (try codec.hash(wanted)), "seed \(seed), \(part.schema): \(wanted.json)")
            }
            place += 1
        }
        #expect(place == expected.count)
    }

    @Test func whatDoesNotFitIsNamed() throws {
        let key = RowLayout.Columns([try .init(text: "key:int64")], isRecord: false)
        let value = RowLayout.Columns([try .init(text: "value:string")], isRecord: false)
        let reader = try RowReader(
            MemoryByteSource("key,value\n1,a\nx,b\n"), .csv(CSVOptions()), try RowLayout([key, value]))
        let error = #expect(throws: ThalwegError.self) { try reader.forEach { _ in } }
        #expect(error?.detail?.contains("line 3") == true && error?.detail?.contains("key") == true)
        #expect(throws: ThalwegError.self) { try RowLayout([key, key]) }
        #expect(throws: ThalwegError.self) {
            try RowLayout([RowLayout.Columns([try .init(text: "a:enum(string)")], isRecord: false)])
        }
        #expect(throws: ThalwegError.self) {
            try RowLayout([RowLayout.Columns([try .init(text: "a:[{b:int8}]")], isRecord: false)])
        }
    }

    @Test func typesAsText() throws {
        for text in [
            "int64", "string?", "[double]", "{auction: int64, note: string?}", "enum(string)", "[[time?]]??",
            "codable(Odd)", "{\"a b\": {c: [uint8]}}", "{}",
        ] {
            #expect(try SchemaType(text: text).description == text)
        }
        #expect(try SchemaType(text: " { a:Int , b : EventTime? } ").description == "{a: int64, b: time?}")
        for text in ["", "Int6", "{", "[int64", "{a}", "{a: int64, a: string}", "int64 x", "enum(x)", "?"] {
            #expect(throws: ThalwegError.self) { try SchemaType(text: text) }
        }
        #expect(throws: ThalwegError.self) {
            try SchemaType(text: String(repeating: "[", count: 1000) + "int64" + String(repeating: "]", count: 1000))
        }
    }
}
