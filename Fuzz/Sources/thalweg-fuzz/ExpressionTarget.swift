// SPDX-License-Identifier: Apache-2.0
//  Expressions of the state tool: their text, their types, their values.

import ThalwegSavepoint

/// An input is the text of an expression over names of many types; one that begins with a tab is an assignment that
/// changes a state.
struct ExpressionTarget: FuzzTarget {
    private let names: [RecordSchema.Field]
    private let rows: [[DynamicValue]]
    private let reader: SavepointReader
    private let disk: MemoryFileSystem

    init() throws {
        let types = [
            "flag:bool", "small:int8", "key:int64", "big:uint64", "ratio:float", "price:double?", "text:string",
            "note:string?", "at:time", "until:time?", "tags:[string]", "rows:[{a: int32, b: string?}]",
            "value:{price: int64, name: string, inner: {city: string?, zip: uint16}?}", "color:enum(string)",
            "level:enum(int32)", "odd:int64??", "all:[[double?]]?",
        ]
        names = try types.map { try RecordSchema.Field(text: $0) }
        let texts = [
            [
                "true", "-128", "-9223372036854775808", "18446744073709551615", "1.5", "null", "", "null",
                "2026-03-01T10:00:00", "null", "[]", "[]", #"{"price":0,"name":"","inner":null}"#, "red", "-1", "null",
                "null",
            ],
            [
                "false", "127", "9223372036854775807", "0", "-0.0", "1e308", "añ👍\n", "x", "max", "min",
                #"["a","","b"]"#, #"[{"a":-1,"b":null},{"a":2,"b":"c"}]"#,
                #"{"price":-7,"name":"n","inner":{"city":null,"zip":65535}}"#, "blue", "2147483647", "3",
                "[[null,1],[]]",
            ],
        ]
        rows = try texts.map { [names] texts in
            try zip(texts, names).map { try DynamicValue(json: $0, RecordSchema(root: $1.type)) }
        }
        disk = MemoryFileSystem()
        var writer = try SavepointWriter(maxParallelism: 4, timeMilliseconds: 0, fileSystem: disk)
        let schema = RecordSchema(root: names[12].type)
        let descriptor = StateDescriptor(
            operatorName: "op", name: "s", kind: .value, key: RecordSchema(root: .scalar(.int64)), value: schema)
        let lines = rows.map { "{\"key\":\($0[1].json),\"value\":\($0[12].json)}" }
        try writer.load(descriptor) { loader in for line in lines { try loader.add(json: line) } }
        try writer.write(to: "start")
        reader = try SavepointReader("start", fileSystem: disk)
    }

    func run(_ input: inout FuzzInput) throws {
        if input.rest.first == 9 {
            _ = input.byte()
            return try transform(input.text(input.rest.count))
        }
        let text = input.text(input.rest.count)
        let expression = try StateExpression(text, over: names)
        let codec = DynamicCodec(RecordSchema(root: expression.type))
        for row in rows {
            guard let value = ForgedSnapshot.found({ try expression.value(of: row) }) else { continue }
            // Whatever is computed is of the type that was found before.
            do { _ = try codec.encode(value) } catch {
                throw BrokenPromise("\(text.debugDescription) is no \(expression.type): \(value)")
            }
        }
        ForgedSnapshot.attempt { _ = try StateExpression(text, over: names, as: .scalar(.bool)) }
        ForgedSnapshot.attempt { _ = try StateExpression(text, over: names, as: .optional(.scalar(.double))) }
    }

    private func transform(_ text: String) throws {
        var writer = SavepointWriter(reader)
        var edit = EntryEdit()
        edit.assignments = [text]
        try writer.transform("s", in: "op", edit)
        defer { try? disk.removeTree("changed") }
        try writer.write(to: "changed")
        let found = try SavepointReader("changed", fileSystem: disk).verify()
        guard found.isEmpty else { throw BrokenPromise("\(text.debugDescription) leaves \(found)") }
    }
}
