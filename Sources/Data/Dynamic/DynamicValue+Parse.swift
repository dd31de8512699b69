// SPDX-License-Identifier: Apache-2.0
//  Values of a schema from JSON text.

import ThalwegBase

extension DynamicValue {
    /// Reads a value of a schema from JSON.
    ///
    /// Texts and moments alone need no quotes: `ann`, `2026-03-01T10:00:00`. Moments may also be milliseconds since
    /// 1970. Fields that are optional may be left out. Of an enum any raw value is taken, as its cases are not known.
    ///
    /// - Throws: kind `input`, with the field that does not fit.
    public init(json text: String, _ schema: RecordSchema) throws(ThalwegError) {
        if schema.root.isText, !text.hasPrefix("\"") {
            if case .optional = schema.root, text == "null" {
                self = .null
                return
            }
            self = try Self.value(.string(text), schema.root, "")
            return
        }
        let json: JSONText
        do {
            json = try JSONText.parse(Array(text.utf8))
        } catch {
            // Of a number, what is wrong is not the form.
            if case .scalar = schema.root { throw Self.misfit(.string(text), schema.root, "") }
            throw ThalwegError(
                .input, "this is no JSON", detail: "\(error.reason) of \(text)",
                hint: "write texts in double quotes: '\"text\"'")
        }
        self = try Self.value(json, schema.root, "")
    }

    private static func misfit(_ json: JSONText, _ type: SchemaType, _ path: String) -> ThalwegError {
        ThalwegError(
            .input, "a value does not fit its schema",
            detail: (path.isEmpty ? "" : "field \(path): ") + "\(json.kindName) is no \(type)",
            hint: "thalweg state schema shows what a state holds")
    }

    private static func value(
        _ json: JSONText, _ type: SchemaType, _ path: String
    ) throws(ThalwegError) -> DynamicValue {
        switch (type, json) {
        case (.scalar(let kind), _):
            guard let value = scalar(json, kind) else { throw misfit(json, type, path) }
            return value
        case (.optional, .null): return .null
        case (.optional(let wrapped), _): return try value(json, wrapped, path).wrapped(wrapped)
        case (.array(let element), .array(let elements)):
            var values: [DynamicValue] = []
            for (index, json) in elements.enumerated() { values.append(try value(json, element, "\(path)[\(index)]")) }
            return .array(values)
        case (.record(let fields), .object(let members)): return try record(members, fields, path)
        case (.rawValue(let kind, _), _):
            guard let value = scalar(json, kind == .string || kind == .uint64 ? kind : .int64) else {
                throw misfit(json, type, path)
            }
            return value
        case (.codable, _): return plain(json)
        default: throw misfit(json, type, path)
        }
    }

    private static func record(
        _ members: [(name: String, value: JSONText)], _ fields: [RecordSchema.Field], _ path: String
    ) throws(ThalwegError) -> DynamicValue {
        func inner(_ name: String) -> String { path.isEmpty ? name : path + "." + name }
        let names = Set(fields.map(\.name))
        if let unknown = members.first(where: { !names.contains($0.name) }) {
            throw ThalwegError(
                .input, "a value does not fit its schema", detail: "there is no field \(inner(unknown.name))",
                hint: "the fields are \(fields.map(\.name).joined(separator: ", "))")
        }
        var values: [Field] = []
        for field in fields {
            if let member = members.first(where: { $0.name == field.name }) {
                values.append(Field(field.name, try value(member.value, field.type, inner(field.name))))
            } else if case .optional = field.type {
                values.append(Field(field.name, .null))
            } else {
                throw ThalwegError(
                    .input, "a value does not fit its schema", detail: "field \(inner(field.name)) is missing",
                    hint: "its type is \(field.type)")
            }
        }
        return .record(values)
    }

    private static func scalar(_ json: JSONText, _ kind: ScalarKind) -> DynamicValue? {
        switch (kind, json) {
        case (.bool, .bool(let value)): return .bool(value)
        case (.string, .string(let text)): return .string(text)
        case (.time, .number(let digits)):
            return Int64(digits).map { .time(EventTime(milliseconds: $0)) }
        case (.time, .string(let text)):
            switch text {
            case "min": return .time(.min)
            case "max": return .time(.max)
            default:
                return (EventTime(iso8601: text) ?? Int64(text).map(EventTime.init(milliseconds:))).map { .time($0) }
            }
        case (.float, .number(let text)): return Float(text).flatMap { $0.isFinite ? .float($0) : nil }
        case (.double, .number(let text)): return Double(text).flatMap { $0.isFinite ? .double($0) : nil }
        case (.float, .string(let text)):
            return Float(text).flatMap { $0.isFinite ? nil : .float($0) }
        case (.double, .string(let text)):
            return Double(text).flatMap { $0.isFinite ? nil : .double($0) }
        case (.uint64, .number(let digits)): return UInt64(digits).map { .unsigned($0) }
        case (_, .number(let digits)):
            guard let range = kind.integers, let number = Int64(digits), range.contains(number) else { return nil }
            return .integer(number)
        default: return nil
        }
    }

    /// What plain `Codable` reads: whole numbers as such, all other numbers as `Double`.
    private static func plain(_ json: JSONText) -> DynamicValue {
        switch json {
        case .null: .null
        case .bool(let value): .bool(value)
        case .number(let text):
            if let number = Int64(text) {
                .integer(number)
            } else if let number = UInt64(text) {
                .unsigned(number)
            } else {
                .double(Double(text) ?? 0)
            }
        case .string(let text): .string(text)
        case .array(let elements): .array(elements.map(plain))
        case .object(let members): .record(members.map { Field($0.name, plain($0.value)) })
        }
    }
}

extension SchemaType {
    /// Whether values are written as texts.
    fileprivate var isText: Bool {
        switch self {
        case .scalar(.string), .scalar(.time), .rawValue(.string, _): true
        case .optional(let wrapped): wrapped.isText
        default: false
        }
    }
}
