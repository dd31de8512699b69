// SPDX-License-Identifier: Apache-2.0
//  Values of a stored schema read as values of a later type.

import Testing
import ThalwegBase

@testable import ThalwegData

/// Types as they were.
private enum Old {
    struct Order: Codable, Sendable, Hashable {
        var id: Int32
        var customer: String
        var cents: Int32
        var weight: Float
        var note: String?
        var side: Side
        var lines: [Line]
    }
    struct Line: Codable, Sendable, Hashable {
        var item: String
        var count: UInt16
    }
    enum Side: String, Codable, Sendable { case buy, sell }

    static let order = Order(
        id: -7, customer: "ann", cents: 250, weight: 1.5, note: nil, side: .sell,
        lines: [Line(item: "pen", count: 65535), Line(item: "ink", count: 2)])
}

/// The same a year later.
private enum New {
    struct Order: EvolvingRecord, Hashable {
        var id: Int64
        var currency: String
        var cents: Int64?
        var weight: Double
        var buyer: String
        var note: String
        var side: Side
        var lines: [Line]
        var region: String?

        static var evolution: Evolution<Order> {
            Evolution().renamed("client", to: \.buyer).renamed("customer", to: \.buyer)
                .defaulting(\.currency, to: "EUR").defaulting(\.note, to: "-")
        }
    }
    struct Line: EvolvingRecord, Hashable {
        var count: Int32
        var name: String
        static var evolution: Evolution<Line> { Evolution().renamed("item", to: \.name) }
    }
    enum Side: String, Codable, Sendable { case sell, buy, short }
}

/// Everything that differs, and what can be said of it.
struct EvolutionTests {
    /// Reads a value as a later type.
    private func read<Stored: Codable & Sendable, Wanted: Codable & Sendable>(
        _ value: Stored, as _: Wanted.Type, _ evolution: Evolution<Wanted>? = nil
    ) throws -> (Wanted, [String]) {
        let (stored, wanted) = (try RecordType<Stored>.learn(), try RecordType<Wanted>.learn())
        var declared = try wanted.evolution
        if let evolution { declared = try declared.replacingRoot(with: evolution) }
        let verdict = SchemaVerdict(from: stored.schema, to: wanted.schema, declared: declared)
        let bytes = try RecordCodec(stored).encode(value)
        switch verdict {
        case .same: return (try bytes.withUnsafeBytes { try RecordCodec(wanted).decode($0) }, [])
        case .incompatible(let obstacles):
            throw ThalwegError(.job, obstacles.map { "\($0) [\($0.fix)]" }.joined(separator: "; "))
        case .migrated(let conversion):
            var writer = ByteWriter()
            try bytes.withUnsafeBytes { buffer in
                var reader = ByteReader(buffer)
                try conversion.convert(&reader, into: &writer)
                #expect(reader.remaining == 0)
            }
            let converted = writer.bytes()
            #expect(!conversion.keepsBytes || converted == bytes)
            return (
                try converted.withUnsafeBytes { try RecordCodec(wanted).decode($0) },
                conversion.steps.map(\.description)
            )
        }
    }

    private func refusal<Stored: Codable & Sendable, Wanted: Codable & Sendable>(
        _: Stored.Type, _: Wanted.Type
    ) throws -> [SchemaObstacle] {
        let wanted = try RecordType<Wanted>.learn()
        return SchemaVerdict(
            from: try RecordType<Stored>.learn().schema, to: wanted.schema, declared: try wanted.evolution
        ).obstacles
    }

    @Test func aRecordThatChangedEverywhereIsRead() throws {
        let (order, steps) = try read(Old.order, as: New.Order.self)
        #expect(
            order
                == New.Order(
                    id: -7, currency: "EUR", cents: 250, weight: 1.5, buyer: "ann", note: "-", side: .sell,
                    lines: [New.Line(count: 65535, name: "pen"), New.Line(count: 2, name: "ink")], region: nil))
        #expect(
            steps == [
                "id: int32 widened to int64", "cents: int32 widened to int64", "cents: int32 became optional",
                "weight: float widened to double", "buyer: was customer", "note: no longer optional, \"-\" for nil",
                "side: the enum has the new case short", "lines[].count: uint16 widened to int32",
                "lines[].name: was item", "lines[]: the fields stand in another order",
                "currency: added, \"EUR\" for stored values", "region: added, nil for stored values",
                "the fields stand in another order",
            ])
    }

    @Test func whatIsTheSameCostsNothing() throws {
        let schema = try RecordType<Old.Order>.learn().schema
        guard case .same = SchemaVerdict(from: schema, to: schema) else {
            Issue.record("not the same")
            return
        }
        // The order of an enum's cases is no difference.
        enum Turned: String, Codable, Sendable { case sell, buy }
        let (turned, steps) = try read(Old.Side.sell, as: Turned.self)
        #expect(turned == .sell && steps.isEmpty)
        // New names and new cases leave the bytes as they are.
        struct Named: EvolvingRecord, Hashable {
            var article: String
            var count: UInt16
            static var evolution: Evolution<Named> { Evolution().renamed("item", to: \.article) }
        }
        let verdict = SchemaVerdict(
            from: try RecordType<Old.Line>.learn().schema, to: try RecordType<Named>.learn().schema,
            declared: try RecordType<Named>.learn().evolution)
        guard case .migrated(let conversion) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(conversion.keepsBytes && conversion.steps.map(\.kind) == [.renamed])
    }

    @Test func singleValuesAreWidened() throws {
        #expect(try read(Int8(-3), as: Int64.self).0 == -3)
        #expect(try read(UInt32.max, as: UInt64.self).0 == UInt64(UInt32.max))
        #expect(try read(Int32.min, as: Double.self).0 == Double(Int32.min))
        #expect(try read(Int16.max, as: Float.self).0 == Float(Int16.max))
        #expect(try read(Float(0.1), as: Double.self).0 == Double(Float(0.1)))
        #expect(try read([Int32(1), 2], as: [Int64?].self).0 == [1, 2])
        #expect(try read(Int32?.none, as: Int64?.self).0 == nil)
        #expect(try read(Int32?.some(4), as: Int64??.self).0 == .some(.some(4)))
        #expect(try read(Old.Side.buy, as: String.self).0 == "buy")
    }

    @Test func nothingIsRoundedOrCut() throws {
        for obstacles in [
            try refusal(Int64.self, Int32.self), try refusal(Int64.self, Double.self),
            try refusal(Int32.self, Float.self),
            try refusal(Int64.self, UInt64.self), try refusal(UInt64.self, Int64.self),
            try refusal(Double.self, Float.self),
            try refusal(Int64.self, String.self), try refusal(String.self, Int64.self),
            try refusal(Int64?.self, Int64.self),
            try refusal([Int64].self, Int64.self), try refusal(Int64.self, EventTime.self),
            try refusal(Bool.self, Int8.self),
            try refusal([Int64?].self, [Int64].self), try refusal(String.self, Old.Side.self),
        ] { #expect(obstacles.count == 1) }
    }

    @Test func aFieldThatMayHaveANewNameHasToBeDeclared() throws {
        struct Before: Codable, Sendable { var name: String, age: Int64 }
        struct After: Codable, Sendable { var title: String?, age: Int64 }
        let obstacles = try refusal(Before.self, After.self)
        #expect(obstacles.map(\.path) == ["title"])
        #expect(obstacles.first?.fix == #"declare renamed("name", to: \.title), or removed("name")"#)
        let renamed = try read(
            Before(name: "ann", age: 3), as: After.self, Evolution().renamed("name", to: \After.title))
        #expect(renamed.0.title == "ann" && renamed.0.age == 3)
        let removed = try read(Before(name: "ann", age: 3), as: After.self, Evolution().removed("name"))
        #expect(removed.0.title == nil && removed.0.age == 3)
    }

    @Test func aCaseThatIsGoneIsRefusedUnlessMapped() throws {
        enum Fewer: String, Codable, Sendable { case buy }
        #expect(try refusal(Old.Side.self, Fewer.self).map(\.reason) == ["the enum no longer has the case sell"])
        enum Mapped: String, EvolvingRecord {
            case buy
            static var evolution: Evolution<Mapped> { Evolution().migrated(from: Old.Side.self) { _ in .buy } }
        }
        struct Before: Codable, Sendable { var sides: [Old.Side] }
        struct After: Codable, Sendable { var sides: [Mapped] }
        let (mapped, steps) = try read(Before(sides: [.sell, .buy]), as: After.self)
        #expect(mapped.sides == [.buy, .buy] && steps == ["sides[]: by the function from Side"])
    }

    @Test func functionsConvertWhatRulesCannot() throws {
        struct Before: Codable, Sendable { var id: Int64 }
        struct After: EvolvingRecord {
            var id: String
            static var evolution: Evolution<After> {
                Evolution().migrated(from: Before.self) { old in
                    guard old.id >= 0 else { throw ThalwegError(.input, "negative") }
                    return After(id: "#\(old.id)")
                }
            }
        }
        #expect(try read(Before(id: 12), as: After.self).0.id == "#12")
        // An earlier form of the old type is brought to the old type first.
        struct Earlier: Codable, Sendable { var id: Int32 }
        let (after, steps) = try read(Earlier(id: 7), as: After.self)
        #expect(after.id == "#7" && steps == ["id: int32 widened to int64", "by the function from Before"])
        let error = #expect(throws: ThalwegError.self) { try read(Before(id: -1), as: After.self) }
        #expect(error?.primary == "a migration of stored values fails")
        #expect(try read(Int64(5), as: String.self, Evolution().migrated(from: Int64.self) { "\($0)" }).0 == "5")
    }

    @Test func declarationsThatCannotBeAreErrors() throws {
        struct Odd: EvolvingRecord {
            var a: Int64
            var half: Int64 { a / 2 }
            static var evolution: Evolution<Odd> { Evolution().renamed("b", to: \.half) }
        }
        let error = #expect(throws: ThalwegError.self) { _ = try RecordType<Odd>.learn().evolution }
        #expect(error?.detail == "Odd: a property that is not stored")
    }

    @Test func keysKeepTheirOrderAndHash() throws {
        let conversion = SchemaVerdict(
            from: try RecordType<Int32>.learn().schema, to: try RecordType<Int64>.learn().schema)
        guard case .migrated(let conversion) = conversion else {
            Issue.record("not migrated")
            return
        }
        let (old, new) = (KeyEncoder(try RecordType<Int32>.learn()), KeyEncoder(try RecordType<Int64>.learn()))
        for key in [Int32.min, -1, 0, 1, 77, .max] {
            var stored = ByteWriter()
            var wanted = ByteWriter()
            var converted = ByteWriter()
            try old.encode(key, into: &stored)
            try new.encode(Int64(key), into: &wanted)
            try stored.withBytes { bytes in
                var reader = ByteReader(bytes)
                let value = try conversion.convertKey(&reader, into: &converted)
                #expect(try conversion.hash(value) == KeyHasher(try RecordType<Int64>.learn()).hash(Int64(key)))
            }
            #expect(converted.bytes() == wanted.bytes())
        }
    }

    /// Random schemas, each changed at random places: what the verdict promises holds for every value.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func randomChangesKeepTheirPromise(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let stored = RandomSchemas.type(&random, depth: 3)
        let wanted = RandomSchemas.changed(stored, &random)
        let verdict = SchemaVerdict(from: RecordSchema(root: stored), to: RecordSchema(root: wanted))
        guard case .migrated(let conversion) = verdict else { return }
        for _ in 0..<20 {
            let value = RandomSchemas.value(stored, &random)
            let bytes = try DynamicCodec(conversion.stored).encode(value)
            var writer = ByteWriter()
            try bytes.withUnsafeBytes { buffer in
                var reader = ByteReader(buffer)
                try conversion.convert(&reader, into: &writer)
            }
            let read = try writer.bytes().withUnsafeBytes { try DynamicCodec(conversion.wanted).decode($0) }
            #expect(read == (try conversion.convert(value)), "seed \(seed)")
            #expect(!conversion.keepsBytes || writer.bytes() == bytes, "seed \(seed)")
            #expect(RandomSchemas.isKept(value, read), "seed \(seed): \(value.json) became \(read.json)")
        }
    }
}

/// Chance from a seed.
private struct SplitMix {
    var state: UInt64
    init(seed: UInt64) { state = seed &+ 0x9E37_79B9 }
    mutating func next(_ limit: Int) -> Int {
        state = StableHash.mix(state &+ 0x9E37_79B9_7F4A_7C15)
        return Int(state % UInt64(limit))
    }
}

private enum RandomSchemas {
    static let scalars: [ScalarKind] = [.bool, .int8, .int16, .int32, .uint8, .uint16, .uint32, .float, .string, .time]

    static func type(_ random: inout SplitMix, depth: Int) -> SchemaType {
        switch depth == 0 ? 0 : random.next(6) {
        case 1: .optional(type(&random, depth: depth - 1))
        case 2: .array(type(&random, depth: depth - 1))
        case 3, 4:
            .record(
                (0..<1 + random.next(4)).map { index in
                    RecordSchema.Field(name: "f\(index)", type: type(&random, depth: depth - 1))
                })
        case 5: .rawValue(.string, cases: ["a", "b"])
        default: .scalar(scalars[random.next(scalars.count)])
        }
    }

    static func changed(_ type: SchemaType, _ random: inout SplitMix) -> SchemaType {
        let isChanged = random.next(3) == 0
        switch type {
        case .scalar(let kind):
            if isChanged, let wider = ScalarKind.allCases.first(where: { ConversionSearch.isWider($0, than: kind) }) {
                return random.next(2) == 0 ? .scalar(wider) : .optional(.scalar(wider))
            }
            return isChanged ? .optional(type) : type
        case .optional(let wrapped): return .optional(changed(wrapped, &random))
        case .array(let element): return .array(changed(element, &random))
        case .record(var fields):
            for index in fields.indices { fields[index].type = changed(fields[index].type, &random) }
            if isChanged { fields.reverse() }
            if random.next(3) == 0 { fields.append(.init(name: "new", type: .optional(.array(.scalar(.time))))) }
            return .record(fields)
        case .rawValue(let kind, let cases): return .rawValue(kind, cases: isChanged ? cases + ["c"] : cases)
        case .codable: return type
        }
    }

    static func value(_ type: SchemaType, _ random: inout SplitMix) -> DynamicValue {
        switch type {
        case .scalar(.bool): return .bool(random.next(2) == 0)
        case .scalar(.float): return .float(Float(random.next(1000)) / 8)
        case .scalar(.string): return .string("s\(random.next(100))")
        case .scalar(.time): return .time(EventTime(milliseconds: Int64(random.next(1 << 40))))
        case .scalar: return .integer(Int64(random.next(100)))
        case .optional(let wrapped): return random.next(3) == 0 ? .null : value(wrapped, &random).wrapped(wrapped)
        case .array(let element): return .array((0..<random.next(4)).map { _ in value(element, &random) })
        case .record(let fields): return .record(fields.map { .init($0.name, value($0.type, &random)) })
        case .rawValue(_, let cases): return .string(cases[random.next(cases.count)])
        case .codable: return .null
        }
    }

    /// Whether all that was in a value is in the other: the naive twin of a conversion, by names.
    static func isKept(_ old: DynamicValue, _ new: DynamicValue) -> Bool {
        switch (old, new) {
        case (.record(let fields), .record):
            return fields.allSatisfy { field in new[field.name].map { isKept(field.value, $0) } ?? false }
        case (.array(let old), .array(let new)): return old.count == new.count && zip(old, new).allSatisfy(isKept)
        case (.some(let old), .some(let new)): return isKept(old, new)
        case (_, .some(let new)): return isKept(old, new)
        case (.some(let old), _): return isKept(old, new)
        case (.float(let old), .double(let new)): return Double(old) == new
        case (.integer(let old), .double(let new)): return Double(old) == new
        case (.integer(let old), .float(let new)): return Float(old) == new
        case (.integer(let old), .unsigned(let new)): return old >= 0 && UInt64(old) == new
        default: return old == new
        }
    }
}
