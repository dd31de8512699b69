// SPDX-License-Identifier: Apache-2.0
//  Which types are learned, and which are not and why.

import Testing
import ThalwegBase
import ThalwegData

@Suite struct RecordTypeTests {
    private func expectProven<Record: Codable & Sendable>(
        _: Record.Type, _ schema: String, codable: Int = 0, _ location: SourceLocation = #_sourceLocation
    ) throws {
        let type = try RecordType.learn(Record.self)
        #expect(type.unprovenReason == nil, sourceLocation: location)
        #expect(type.layout?.size == MemoryLayout<Record>.size, sourceLocation: location)
        #expect(type.schema.description == schema, sourceLocation: location)
        #expect(type.codableFields.count == codable, "\(type.codableFields)", sourceLocation: location)
    }

    @Test func plainStructsAreProven() throws {
        try expectProven(Words.self, "{a: int64, b: int64, c: int64, d: time}")
        try expectProven(
            Padded.self,
            "{a: int8, b: int64, flag: bool, c: int32, other: bool, d: int16, e: double, f: uint8}")
        try expectProven(
            Scalars.self,
            """
            {bool: bool, i8: int8, i16: int16, i32: int32, i64: int64, int: int64, u8: uint8, u16: uint16, \
            u32: uint32, u64: uint64, uint: uint64, float: float, double: double, string: string, time: time}
            """)
        try expectProven(Empty.self, "{}")
        try expectProven(Renamed.self, "{first_name: string, age: int64}")
    }

    @Test func optionalsOfEverythingAreProven() throws {
        let point = "{x: double, y: double}"
        let (side, level) = (#"enum(string: "?", buy, sell)"#, #"enum(int64: "-5", 0, 7000000000)"#)
        let padded = "{a: int8, b: int64, flag: bool, c: int32, other: bool, d: int16, e: double, f: uint8}"
        try expectProven(
            Optionals.self,
            """
            {bool: bool?, i8: int8?, i16: int16?, i32: int32?, i64: int64?, u64: uint64?, float: float?, \
            double: double?, string: string?, time: time?, side: \(side)?, \
            level: \(level)?, only: enum(string: one)?, point: \(point)?, \
            label: {text: string, weight: int8}?, list: [int64]?, strings: [string]?, padded: \(padded)?, empty: {}?}
            """)
        try expectProven(Nested2.self, "{a: int64??, b: string??, c: bool??, d: \(point)??}")
        try expectProven(Box<Int8?>.self, "{before: bool, content: int8?, after: int16}")
    }

    @Test func listsAndNestedRecordsAreProven() throws {
        try expectProven(
            Enums.self,
            #"{side: enum(string: "?", buy, sell), level: enum(int64: "-5", 0, 7000000000), "#
                + "only: enum(string: one), count: int64}")
        try expectProven(
            Wrapper.self, "{id: int64, inner: {deep: {flag: bool, names: [string], id: int64?}, n: int32}}")
        try expectProven(
            Box<Box<String>>.self,
            "{before: bool, content: {before: bool, content: string, after: int16}, after: int16}")
        #expect(try RecordType.learn(Arrays.self).layout != nil)
    }

    @Test func fieldsStandInTheOrderOfMemory() throws {
        try expectProven(Reordered.self, #"{"é a": int64, b: string, c: bool, dee: int64, e: bool}"#)
    }

    @Test func singleValuesAreRecords() throws {
        try expectProven(Int64.self, "int64")
        try expectProven(String.self, "string")
        try expectProven(EventTime.self, "time")
        try expectProven(UserID.self, "int64")
        try expectProven(Side.self, #"enum(string: "?", buy, sell)"#)
        try expectProven([Int?].self, "[int64?]")
        try expectProven(Int?.self, "int64?")
    }

    @Test func oddFieldsGoThroughCodableAlone() throws {
        try expectProven(
            WithDictionary.self,
            #"{id: int64, tags: codable("Dictionary<String, Int>"), seen: codable("Set<Int>"), name: string}"#,
            codable: 2)
        try expectProven(
            WithShape.self,
            "{id: int32, shape: codable(Shape), tree: codable(Expression), lenient: codable(Lenient), name: string}",
            codable: 3)
        try expectProven(Tree.self, "{value: int64, children: [codable(Tree)]}", codable: 1)
        try expectProven(WithClass.self, "{id: int64, reference: codable(Reference), name: string}", codable: 1)
        try expectProven(Box<Clamped>.self, "{before: bool, content: codable(Clamped), after: int16}", codable: 1)
    }

    @Test func typesWithTheirOwnWayAreNotProven() throws {
        #expect(try RecordType.learn(Clamped.self).unprovenReason?.contains("not stored as it is decoded") == true)
        #expect(try RecordType.learn(Defaulted.self).unprovenReason?.contains("note") == true)
        #expect(try RecordType.learn(Hidden.self).unprovenReason == "it stores 3 properties and decodes 2")
        #expect(try RecordType.learn(Positive.self).unprovenReason?.contains("not positive") == true)
        #expect(try RecordType.learn(Listed.self).unprovenReason == "it decodes itself from a list")
        #expect(try RecordType.learn([String: Int].self).layout == nil)
        #expect(try RecordType.learn(Shape.self).layout == nil)
        #expect(try RecordType.learn(Lenient.self).handling.hasPrefix("Lenient: plain Codable, because an enum"))
    }

    @Test func aSwapIsSeenThrough() throws {
        // It stores what it decodes, in other places: the layout follows the values, not the names.
        try expectProven(Swapped.self, "{y: int64, x: int64}")
    }

    @Test func classesAreRefused() throws {
        let error = #expect(throws: ThalwegError.self) { try RecordType.learn(Reference.self) }
        #expect(error?.kind == .job)
        #expect(error?.detail == "Reference")
        #expect(error?.hint != nil)
    }

    @Test func fingerprintsArePinned() throws {
        #expect(try RecordType.learn(Words.self).fingerprint == RecordType.learn(Words.self).fingerprint)
        #expect(try RecordType.learn(Words.self).fingerprint != RecordType.learn(Point.self).fingerprint)
    }

    @Test func wordsAreKnown() throws {
        #expect(try RecordType.learn(Words.self).layout?.words?.map(\.offset) == [0, 8, 16, 24])
        #expect(try RecordType.learn(Padded.self).layout?.words == nil)
        #expect(try RecordType.learn(Point.self).layout?.words == nil)
        #expect(try RecordType.learn(Point.self).layout?.isBitwiseCopyable == true)
    }
}
