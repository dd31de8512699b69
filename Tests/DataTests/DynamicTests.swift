// SPDX-License-Identifier: Apache-2.0
//  Without the Swift type, from the schema alone: the same bytes, the same hash, and JSON that leads back.

import Testing
import ThalwegBase
import ThalwegData

@Suite struct DynamicTests {
    private func check<Value: Sampled>(
        _: Value.Type, throughJSON: Bool = true, _ location: SourceLocation = #_sourceLocation
    ) throws {
        let type = try RecordType<Value>.learn()
        let (codec, keys, hasher) = (RecordCodec(type), KeyEncoder(type), KeyHasher(type))
        let dynamic = DynamicCodec(type.schema)
        for seed in 0..<UInt64(150) {
            var random = SeededRandom(seed: seed)
            let value = random.of(Value.self)
            let bytes = try codec.encode(value)
            let found = try bytes.withUnsafeBytes { try dynamic.decode($0) }
            #expect(try dynamic.encode(found) == bytes, sourceLocation: location)
            let key = try keys.encode(value)
            let foundKey = try key.withUnsafeBytes { buffer in
                var reader = ByteReader(buffer)
                let found = try dynamic.decodeKey(&reader)
                #expect(reader.remaining == 0, sourceLocation: location)
                return found
            }
            #expect(try dynamic.encodeKey(foundKey) == key, sourceLocation: location)
            #expect(try dynamic.encodeKey(found) == key, sourceLocation: location)
            #expect(try dynamic.hash(foundKey) == hasher.hash(value), "\(value)", sourceLocation: location)
            if throughJSON {
                let back = try DynamicValue(json: found.json, type.schema)
                #expect(try dynamic.encode(back) == bytes, "\(found.json)", sourceLocation: location)
            }
            try damage(bytes, dynamic, &random)
        }
    }

    /// Nothing crashes, whatever the bytes.
    private func damage(_ bytes: [UInt8], _ codec: DynamicCodec, _ random: inout SeededRandom) throws {
        for _ in 0..<20 {
            var damaged = bytes
            if !damaged.isEmpty {
                damaged[Int(random.next() % UInt64(damaged.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            damaged.removeLast(Int(random.next() % UInt64(damaged.count + 1)))
            damaged.withUnsafeBytes { buffer in
                _ = try? codec.decode(buffer)
                var reader = ByteReader(buffer)
                _ = try? codec.decodeKey(&reader)
            }
        }
    }

    @Test func scalars() throws {
        try check(Bool.self)
        try check(Int8.self)
        try check(Int16.self)
        try check(Int32.self)
        try check(Int64.self)
        try check(UInt8.self)
        try check(UInt16.self)
        try check(UInt32.self)
        try check(UInt64.self)
        try check(Float.self)
        try check(Double.self)
        try check(String.self)
        try check(EventTime.self)
    }

    @Test func records() throws {
        try check(Scalars.self)
        try check(Words.self)
        try check(Padded.self)
        try check(Optionals.self)
        try check(Arrays.self)
        try check(Nested2.self)
        try check(PairKey.self)
        try check(UserID.self)
        try check(Side.self)
        try check(Level.self)
    }

    @Test func whatOnlyCodableReads() throws {
        try check(WithShape.self, throughJSON: false)
        try check(Shape.self, throughJSON: false)
        try check(Expression.self, throughJSON: false)
    }

    private struct Order: Codable, Sendable {
        struct Line: Codable, Sendable { var sku: String, count: UInt8 }
        var id: Int64
        var lines: [Line]
        var note: String?
    }

    @Test(arguments: [
        (#"{"id":1,"lines":[{"sku":"a","count":300}]}"#, "field lines[0].count: 300 is no uint8"),
        (#"{"id":"1","lines":[]}"#, #"field id: "1" is no int64"#),
        (#"{"id":1}"#, "field lines is missing"),
        (#"{"id":1,"lines":[],"nota":""}"#, "there is no field nota"),
        (#"{"id":1.5,"lines":[]}"#, "field id: 1.5 is no int64"),
        ("[1]", "a list is no {id: int64, lines: [{sku: string, count: uint8}], note: string?}"),
    ])
    func whatDoesNotFitIsNamed(_ text: String, _ detail: String) throws {
        let schema = try RecordType<Order>.learn().schema
        let error = #expect(throws: ThalwegError.self) { _ = try DynamicValue(json: text, schema) }
        #expect(error?.kind == .input && error?.detail == detail)
    }

    /// Types as texts nest no deeper than can be walked over, whatever nests.
    @Test func typesNestWithinBounds() throws {
        for text in [
            "int64" + String(repeating: "?", count: 100_000),
            String(repeating: "[", count: 100_000) + "int64" + String(repeating: "]", count: 100_000),
            String(repeating: "{a: ", count: 100_000) + "int64" + String(repeating: "}", count: 100_000),
        ] {
            let error = #expect(throws: ThalwegError.self) { _ = try SchemaType(text: text) }
            #expect(error?.detail?.contains("a type that nests less") == true)
        }
        #expect(try SchemaType(text: "[int64??]?").description == "[int64??]?")
    }

    /// What `description` writes is read back, whatever fields are called.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func typesAsTexts(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let pieces = [
            "a", "B_1", " ", "\"", "\\", "'", "\n", "\r", "\t", "\0", "\u{1}", "\u{7F}", "é", "e\u{301}", "👍", "}", ":",
            ",",
        ]
        func name() -> String {
            (0..<Int(random.next() % 4)).map { _ in pieces[Int(random.next() % UInt64(pieces.count))] }.joined()
        }
        func type(_ depth: Int) -> SchemaType {
            switch random.next() % (depth > 3 ? 3 : 6) {
            case 0: .scalar(ScalarKind.allCases[Int(random.next() % UInt64(ScalarKind.allCases.count))])
            case 1: .rawValue(.string, cases: (0..<random.next() % 3).map { _ in name() })
            case 2: .codable(name())
            case 3: .optional(type(depth + 1))
            case 4: .array(type(depth + 1))
            default:
                .record(
                    Set((0..<random.next() % 4).map { _ in name() }).sorted().map {
                        RecordSchema.Field(name: $0, type: type(depth + 1))
                    })
            }
        }
        let wanted = type(0)
        #expect(try SchemaType(text: wanted.description) == wanted, "seed \(seed): \(wanted)")
    }

    @Test func textsNeedNoQuotes() throws {
        let text = RecordSchema(root: .scalar(.string))
        let time = RecordSchema(root: .optional(.scalar(.time)))
        #expect(try DynamicValue(json: "ann", text) == .string("ann"))
        #expect(try DynamicValue(json: #""a\n\ud83c\udf0a""#, text) == .string("a\n🌊"))
        #expect(try DynamicValue(json: "1970-01-01T00:00:01", time) == .time(EventTime(milliseconds: 1000)))
        #expect(try DynamicValue(json: "-5", time) == .time(EventTime(milliseconds: -5)))
        #expect(try DynamicValue(json: "null", time) == .null)
        #expect(throws: ThalwegError.self) { try DynamicValue(json: "yesterday", time) }
    }
}
