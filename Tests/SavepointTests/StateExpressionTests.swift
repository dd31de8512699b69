// SPDX-License-Identifier: Apache-2.0
//  Expressions over entries: what they give, and what is refused where.

import Testing
import ThalwegSavepoint

@Suite struct StateExpressionTests {
    private static let names: [RecordSchema.Field] = [
        .init(name: "key", type: .scalar(.string)),
        .init(
            name: "value",
            type: .record([
                .init(name: "price", type: .scalar(.int64)), .init(name: "small", type: .scalar(.int8)),
                .init(name: "big", type: .scalar(.uint64)), .init(name: "rate", type: .scalar(.double)),
                .init(name: "note", type: .optional(.scalar(.string))), .init(name: "at", type: .scalar(.time)),
                .init(name: "tags", type: .array(.scalar(.string))), .init(name: "kind", type: .rawValue(.string)),
                .init(name: "inner", type: .record([.init(name: "isOn", type: .scalar(.bool))])),
            ])),
    ]

    private static func row(note: DynamicValue = .null) -> [DynamicValue] {
        [
            .string("ann"),
            .record([
                .init("price", .integer(700)), .init("small", .integer(100)), .init("big", .unsigned(.max)),
                .init("rate", .double(1.5)), .init("note", note), .init("at", .time(EventTime(milliseconds: 60_000))),
                .init("tags", .array([.string("a"), .string("b")])), .init("kind", .string("new")),
                .init("inner", .record([.init("isOn", .bool(true))])),
            ]),
        ]
    }

    @Test(arguments: [
        ("price", "int64", "700"), ("value.price + 1", "int64", "701"), ("1 + 2 * 3 - 4 / 3 % 2", "int64", "6"),
        ("-price", "int64", "-700"), ("small + 27", "int8", "127"), ("rate * 2", "double", "3.0"),
        ("2 * rate", "double", "3.0"), ("big", "uint64", "18446744073709551615"),
        ("big - 1", "uint64", "18446744073709551614"),
        ("string(price) + ' cents'", "string", "\"700 cents\""), ("key + \"-\" + kind", "string", "\"ann-new\""),
        ("note ?? 'none'", "string", "\"none\""), ("coalesce(note, key)", "string", "\"ann\""),
        ("note == null", "bool", "true"), ("note != null and length(note ?? '') > 3", "bool", "false"),
        ("if price > 500 then 'much' else 'little'", "string", "\"much\""),
        ("price > 500 ? note : null", "string?", "null"), ("price >= 700 and not (price <> 700)", "bool", "true"),
        ("price = 700 or 1 / 0 == 1", "bool", "true"), ("int64('42')", "int64", "42"),
        ("int64?('x') ?? -1", "int64", "-1"), ("int8(rate)", "int8", "1"), ("double(price) / 8", "double", "87.5"),
        ("time(at + 1000)", "time", "\"1970-01-01T00:01:01.000\""),
        ("at - time('1970-01-01T00:00:00')", "int64", "60000"),
        ("int64(at)", "int64", "60000"), ("string?(note)", "string?", "null"), ("tags[1]", "string", "\"b\""),
        ("count(tags)", "int64", "2"), ("[key, 'x']", "[string]", "[\"ann\",\"x\"]"),
        ("{who: key, cents: price}", "{who: string, cents: int64}", "{\"who\":\"ann\",\"cents\":700}"),
        ("inner.isOn && value.inner.isOn", "bool", "true"), ("kind == 'new'", "bool", "true"),
        ("upper(substring(key, 1, 5))", "string", "\"NN\""), ("replace(key, 'n', 'xx')", "string", "\"axxxx\""),
        ("contains(key, 'nn') and startsWith(key, 'a') and endsWith(key, 'nn')", "bool", "true"),
        ("trim('  a b ')", "string", "\"a b\""), ("lower('ÄB')", "string", "\"äb\""),
        ("max(price, 1000, 3)", "int64", "1000"), ("min(2.5, rate)", "double", "1.5"), ("abs(-5)", "int64", "5"),
        ("round(rate) + floor(rate) + ceil(rate)", "double", "5.0"),
        ("string(tags)", "string", "\"[\\\"a\\\",\\\"b\\\"]\""),
        ("'it''s' + 'a\\n\\\\'", "string", "\"it'sa\\n\\\\\""), ("(note ?? 'b') < 'c'", "bool", "true"),
        ("`price` + 1_000", "int64", "1700"), ("-9223372036854775808", "int64", "-9223372036854775808"),
        ("1.5e3", "double", "1500.0"),
    ])
    func gives(text: String, type: String, json: String) throws {
        let expression = try StateExpression(text, over: Self.names)
        #expect(expression.type.description == type, "\(text)")
        #expect(try expression.value(of: Self.row()).json == json, "\(text)")
    }

    @Test(arguments: [
        ("", 1), ("price +", 8), ("price + + 1", 9), ("prize", 1), ("value.prize", 6), ("price.x", 6),
        ("key + price", 5), ("note + 'x'", 6), ("1 + 'x'", 3), ("rate + price", 6), ("not price", 5),
        ("price ?? 1", 7), ("if price then 1 else 2", 4), ("if inner.isOn then 1 else 'x'", 1), ("null", 1),
        ("length(price)", 8), ("length('a', 'b')", 1), ("nothing(1)", 1), ("string(note)", 1), ("tags['a']", 6),
        ("'abc", 1), ("1a", 1), ("price # 2", 7), ("(price", 7), ("{a: 1, a: 2}", 8), ("[]", 1), ("key b", 5),
        ("tags < tags", 6), ("inner.isOn < true", 12), ("price == key", 7), ("'\\q'", 2), ("price 7", 7),
        ("at + at", 4), ("99999999999999999999", 1), ("int64(tags)", 1), ("min(true, false)", 1),
    ])
    func refuses(text: String, position: Int) throws {
        let error = #expect(throws: ThalwegError.self) { try StateExpression(text, over: Self.names) }
        #expect(error?.kind == .input)
        #expect(error?.detail?.hasPrefix("at character \(position) of ") == true, "\(text): \(error?.detail ?? "")")
    }

    @Test(arguments: [
        ("1 / (price - price)", 3), ("price % 0", 7), ("small + 28", 7), ("big + 1", 5), ("int8(price)", 1),
        ("int64('x')", 1), ("tags[2]", 5), ("tags[-1]", 5), ("uint64(-1)", 1), ("int64(1.0e30)", 1),
        ("abs(-9223372036854775808)", 1), ("at + 9223372036854775807", 4), ("time('soon')", 1), ("bool('yes')", 1),
    ])
    func cannotBeComputed(text: String, position: Int) throws {
        let expression = try StateExpression(text, over: Self.names)
        let error = #expect(throws: ThalwegError.self) { try expression.value(of: Self.row()) }
        #expect(error?.detail?.hasPrefix("at character \(position) of ") == true, "\(text): \(error?.detail ?? "")")
    }

    @Test func depthAndLengthAreBounded() {
        for text in [
            String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000),
            String(repeating: "-", count: 5000) + "1", String(repeating: "not ", count: 5000) + "true",
            String(repeating: "note ?? ", count: 5000) + "''", String(repeating: " ", count: 70_000) + "1",
            String(repeating: "1 + ", count: 15_000) + "1", "inner" + String(repeating: ".isOn", count: 12_000),
            "tags" + String(repeating: "[0]", count: 20_000),
        ] {
            let error = #expect(throws: ThalwegError.self) { try StateExpression(text, over: Self.names) }
            #expect(error?.kind == .input)
        }
    }

    /// Operators that follow one another lie in one another.
    @Test func rowsAreBounded() throws {
        let row = String(repeating: "key == 'x' or ", count: 390)
        let expression = try StateExpression(row + "price == 700", over: Self.names)
        #expect(try expression.value(of: Self.row()) == .bool(true))
        let longer = try StateExpression("(\(row)false) or (\(row)price == 700)", over: Self.names)
        #expect(try longer.value(of: Self.row()) == .bool(true))
        let error = #expect(throws: ThalwegError.self) { try StateExpression(row + row + "true", over: Self.names) }
        #expect(error?.hint?.contains("parentheses") == true)
    }

    /// Nothing that a person may type brings it down.
    @Test func noise() {
        let words = [
            "price", "note", "key", "value", ".", "(", ")", "+", "-", "*", "/", "%", "==", "<", "and", "or", "not",
            "if", "then", "else", "?", ":", "??", "[", "]", "{", "}", ",", "1", "2.5", "'x'", "null", "true", "int64",
            "int8?(", "string(", "coalesce(", "min(", "tags", "at", "big",
        ]
        for seed in 0..<4000 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let text = (0..<Int(random.next() % 12 + 1)).map { _ in words[Int(random.next() % UInt64(words.count))] }
                .joined(separator: " ")
            do {
                let value = try StateExpression(text, over: Self.names).value(of: Self.row(note: .string("n")))
                _ = value.json
            } catch {
                #expect(error.kind == .input, "seed \(seed): \(text)")
            }
        }
    }
}
