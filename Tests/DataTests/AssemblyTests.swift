// SPDX-License-Identifier: Apache-2.0
//  Records from cells: values of every kind, and errors that name the field.

import Testing
import ThalwegBase
import ThalwegData

/// What a parser might have read.
indirect enum Input {
    case missing, null, bool(Bool), int(Int64), unsigned(UInt64), double(Double), string(String), text(String)
    case record([String: Input]), array([Input]), raw(String)
}

/// Fills cells as a parser would, and owns their memory.
final class CellFiller {
    private let tree: CellTree
    private var memory: [UnsafeMutableRawPointer] = []

    init(_ tree: CellTree) { self.tree = tree }
    deinit { for block in memory { block.deallocate() } }

    func cells(_ input: Input) -> UnsafePointer<Cell> {
        let block = cellBlock(count: tree.width)
        fill(0, input, block)
        return UnsafePointer(block)
    }

    private func cellBlock(count: Int) -> UnsafeMutablePointer<Cell> {
        let block = UnsafeMutablePointer<Cell>.allocate(capacity: max(count, 1))
        block.initialize(repeating: Cell(.missing), count: max(count, 1))
        memory.append(UnsafeMutableRawPointer(block))
        return block
    }

    private func bytes(_ kind: Cell.Kind, _ text: String) -> Cell {
        let utf8 = Array(text.utf8)
        let block = UnsafeMutableRawPointer.allocate(byteCount: max(utf8.count, 1), alignment: 1)
        memory.append(block)
        utf8.withUnsafeBytes {
            if let source = $0.baseAddress { block.copyMemory(from: source, byteCount: utf8.count) }
        }
        return Cell(kind, bits: UInt64(UInt(bitPattern: block)), length: UInt32(utf8.count))
    }

    private func fill(_ node: Int, _ input: Input, _ block: UnsafeMutablePointer<Cell>) {
        let place = Int(tree.nodes[node].cell)
        switch input {
        case .missing: break
        case .null: block[place] = Cell(.null)
        case .bool(let value): block[place] = Cell(.bool, bits: value ? 1 : 0)
        case .int(let value): block[place] = Cell(.int, bits: UInt64(bitPattern: value))
        case .unsigned(let value): block[place] = Cell(.unsigned, bits: value)
        case .double(let value): block[place] = Cell(.double, bits: value.bitPattern)
        case .string(let value): block[place] = bytes(.string, value)
        case .text(let value): block[place] = bytes(.text, value)
        case .raw(let value): block[place] = bytes(.raw, value)
        case .record(let fields):
            block[place] = Cell(.record)
            guard tree.nodes[node].kind == .record else { return }
            var child = Int(tree.nodes[node].firstChild)
            while child >= 0 {
                if let value = fields[tree.name(of: child)] { fill(child, value, block) }
                child = Int(tree.nodes[child].nextSibling)
            }
        case .array(let elements):
            guard tree.nodes[node].kind == .array else {
                block[place] = Cell(.array)
                return
            }
            let element = Int(tree.nodes[node].firstChild)
            let width = Int(tree.nodes[element].width)
            let inner = cellBlock(count: width * elements.count)
            for (index, value) in elements.enumerated() { fill(element, value, inner + index * width) }
            block[place] = Cell(.array, bits: UInt64(UInt(bitPattern: inner)), length: UInt32(elements.count))
        }
    }
}

/// Plays the format's own decoder: knows just one value.
struct OneShape: CellDecoder {
    func decode<Value: Decodable>(_: Value.Type, from cell: Cell) throws -> Value {
        guard let value = Shape.nothing as? Value else { throw ThalwegError(.input, "unknown") }
        return value
    }
}

private func assemble<Record: Codable & Sendable>(
    _: Record.Type, _ input: Input, using decoder: (any CellDecoder)? = nil
) throws -> Record {
    let layout = try #require(try RecordType<Record>.learn().layout)
    let filler = CellFiller(layout.cellTree)
    let memory = UnsafeMutablePointer<Record>.allocate(capacity: 1)
    defer { memory.deallocate() }
    try layout.assemble(cells: filler.cells(input), into: UnsafeMutableRawPointer(memory), using: decoder)
    return withExtendedLifetime(filler) { memory.move() }
}

@Suite struct AssemblyTests {
    private func expectError<Record: Codable & Sendable>(
        _: Record.Type, _ input: Input, _ text: String, _ location: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: CellError.self, sourceLocation: location) { _ = try assemble(Record.self, input) }
        #expect(error?.description == text, sourceLocation: location)
    }

    private let bid: [String: Input] = [
        "bool": .bool(true), "i8": .int(-128), "i16": .int(5), "i32": .double(7), "i64": .int(.min), "int": .double(-3),
        "u8": .int(255), "u16": .int(1), "u32": .int(4_000_000_000), "u64": .unsigned(.max), "uint": .int(9),
        "float": .int(2), "double": .unsigned(1 << 63), "string": .string("naïve, long enough for the heap"),
        "time": .string("2015-07-15T00:00:02.000"),
    ]

    @Test func scalarsOfAllKinds() throws {
        let value = try assemble(Scalars.self, .record(bid))
        #expect(
            value
                == Scalars(
                    bool: true, i8: -128, i16: 5, i32: 7, i64: .min, int: -3, u8: 255, u16: 1, u32: 4_000_000_000,
                    u64: .max, uint: 9, float: 2, double: 9.223372036854775808e18,
                    string: "naïve, long enough for the heap", time: EventTime(milliseconds: 1_436_918_402_000)))
    }

    @Test func textIsReadAsTheFieldsType() throws {
        let row: [String: Input] = [
            "bool": .text("TRUE"), "i8": .text("-7"), "i16": .text("+5"), "i32": .text("7"),
            "i64": .text("-9223372036854775808"), "int": .text("0"), "u8": .text("255"), "u16": .text("1"),
            "u32": .text("3"), "u64": .text("18446744073709551615"), "uint": .text("9"), "float": .text("2.5"),
            "double": .text("-0.1"), "string": .text(""), "time": .text("1436918402000"),
        ]
        let value = try assemble(Scalars.self, .record(row))
        #expect(
            value.i64 == .min && value.u64 == .max && value.double == -0.1 && value.i8 == -7 && value.string.isEmpty)
        #expect(value.bool && value.float == 2.5 && value.time == EventTime(milliseconds: 1_436_918_402_000))
        for text in [
            "1", "-2.25", "3.141592653589793", "1e300", "-1.7976931348623157e308", "0.1", "123456789012345678901",
        ] {
            #expect(try assemble(Double.self, .text(text)) == Double(text))
        }
    }

    @Test func optionalsTakeAbsence() throws {
        let empty = try assemble(Optionals.self, .record([:]))
        #expect(
            empty.bool == nil && empty.string == nil && empty.padded == nil && empty.list == nil && empty.side == nil)
        let full = try assemble(
            Optionals.self,
            .record([
                "bool": .bool(false), "i8": .int(1), "string": .string("s"), "side": .string("?"), "level": .int(-5),
                "only": .string("one"), "point": .record(["x": .int(1), "y": .double(2)]), "list": .array([.int(1)]),
                "label": .record(["text": .string("t"), "weight": .int(2)]), "strings": .array([]), "i64": .text(""),
                "empty": .record([:]), "double": .null,
            ]))
        #expect(
            full.bool == false && full.i8 == 1 && full.string == "s" && full.side == Side.none && full.level == .low)
        #expect(full.only == .one && full.point == Point(x: 1, y: 2) && full.list == [1] && full.strings == [])
        #expect(
            full.label == Label(text: "t", weight: 2) && full.i64 == nil && full.empty == Empty() && full.double == nil)
        let nested = try assemble(Nested2.self, .record(["a": .int(1), "b": .null]))
        #expect(nested == Nested2(a: 1, b: nil, c: nil, d: nil))
    }

    @Test func nestedListsAndRecords() throws {
        let label: Input = .record(["text": .string("a text that is longer than fifteen bytes"), "weight": .int(1)])
        let value = try assemble(
            Arrays.self,
            .record([
                "bytes": .array([.int(0), .int(255)]), "ints": .array([]), "bools": .array([.bool(true)]),
                "strings": .array([.string("x"), .string("y")]),
                "points": .array([.record(["x": .int(1), "y": .int(2)])]),
                "labels": .array([label, label, label]), "sides": .array([.string("buy")]),
                "optionals": .array([.null, .int(4)]), "nested": .array([.array([]), .array([.string("z")])]),
                "empties": .array([.record([:]), .record([:])]), "padded": .array([]), "times": .array([.int(5)]),
            ]))
        #expect(
            value.bytes == [0, 255] && value.labels.count == 3 && value.optionals == [nil, 4]
                && value.empties.count == 2)
        #expect(value.nested == [[], ["z"]] && value.points == [Point(x: 1, y: 2)] && value.sides == [.buy])
    }

    @Test func singleValuesAndCodableFields() throws {
        #expect(try assemble(Int64.self, .int(4)) == 4)
        #expect(try assemble([String].self, .array([.string("a")])) == ["a"])
        let input: Input = .record([
            "id": .int(1), "shape": .raw("{}"), "tree": .raw("{}"), "lenient": .raw("{}"), "name": .string("n"),
        ])
        #expect(throws: CellError.self) { try assemble(WithShape.self, input) }
        let boxed: Input = .record(["before": .bool(true), "content": .raw("{}"), "after": .int(1)])
        #expect(try assemble(Box<Shape>.self, boxed, using: OneShape()).content == .nothing)
        expectError(
            Box<Shape>.self, boxed, "field content: Shape needs plain Codable, which this format does not offer")
    }

    @Test func errorsNameTheField() {
        expectError(Point.self, .record(["x": .int(1)]), "field y: missing")
        expectError(Point.self, .record(["x": .null, "y": .int(1)]), "field x: expected Double, got null")
        expectError(Point.self, .string("no"), #"expected a record, got string "no""#)
        expectError(Words.self, .record(["a": .string("abc")]), #"field a: expected Int64, got string "abc""#)
        expectError(Words.self, .record(["a": .double(1.5)]), "field a: expected Int64, got number 1.5")
        expectError(
            Label.self, .record(["text": .string("long enough for the heap"), "weight": .int(300)]),
            "field weight: number 300 is out of range for Int8")
        expectError(Label.self, .record(["text": .int(5)]), "field text: expected String, got number 5")
        expectError(UInt64.self, .int(-1), "number -1 is out of range for UInt64")
        expectError(Int64.self, .unsigned(.max), "number 18446744073709551615 is out of range for Int64")
        expectError(
            Int64.self, .text("99999999999999999999"), #"text "99999999999999999999" is out of range for Int64"#)
        expectError(Side.self, .string("hold"), #"no case has the raw value string "hold""#)
        expectError(EventTime.self, .string("yesterday"), #"expected EventTime, got string "yesterday""#)
        let wrapper: Input = .record([
            "id": .int(1),
            "inner": .record([
                "n": .int(2), "deep": .record(["flag": .bool(true), "names": .array([.string("a"), .null])]),
            ]),
        ])
        expectError(Wrapper.self, wrapper, "field inner.deep.names[1]: expected String, got null")
        let long: Input = .string("a string that is longer than fifteen bytes")
        expectError(
            [Box<Label?>].self,
            .array([
                .record([
                    "before": .bool(true), "content": .record(["text": long, "weight": .int(1)]), "after": .int(1),
                ]),
                .record(["before": .bool(true), "content": .record(["text": long, "weight": .bool(true)])]),
            ]), "field [1].content.weight: expected Int8, got true")
    }

    @Test func theTreeIsPlain() throws {
        let tree = try #require(try RecordType.learn(Wrapper.self).layout).cellTree
        #expect(tree.width == 8)
        #expect(
            tree.nodes.indices.map { tree.name(of: $0) } == ["", "id", "inner", "deep", "flag", "names", "", "id", "n"])
        #expect(tree.nodes.map(\.cell) == [0, 1, 2, 3, 4, 5, 0, 6, 7])
        #expect(tree.nodes.map(\.width) == [8, 1, 6, 4, 1, 1, 1, 1, 1])
        #expect(tree.nodes.map(\.parent) == [-1, 0, 0, 2, 3, 3, 5, 3, 2])
        #expect(tree.nodes.map(\.nextSibling) == [-1, 2, -1, 8, 5, 7, -1, -1, -1])
        #expect(tree.nodes.map(\.isOptional) == [false, false, false, false, false, false, false, true, false])
    }
}
